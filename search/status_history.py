"""Whether an object entered a status in a time: by the activities that its changes wrote, and by its creation."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Case, DateTimeField, Expression, F, Model, OuterRef, Q, Subquery, UUIDField, Value, When
from django.db.models import Exists as ExistsIn

from crm.models import LeadStatusChange, OpportunityStatusChange
from search.expressions import IsAnyOf, Test, uuid_array

_CHANGES: dict[str, tuple[type[Model], str]] = {
    "lead": (LeadStatusChange, "lead_id"),
    "opportunity": (OpportunityStatusChange, "opportunity_id"),
}


def entered(object_type: str, statuses: Sequence[UUID], first: datetime | None, last: datetime | None) -> Q:
    """Any entry into one of the statuses counts; what an object was made in, it entered at its creation.

    What it was made in stands in its first change, or is where it still is. A first change from nothing is the creation
    itself, and counts as any change.
    """
    model, reference = _CHANGES[object_type]
    changes = model._default_manager.filter(**{reference: OuterRef("pk")})
    into = IsAnyOf(F("new_status_id"), uuid_array(statuses))
    changed = ExistsIn(changes.filter(into, *_within(first, last)))
    earliest = Subquery(changes.order_by("date_created", "pk").values("old_status_id")[:1])
    made_in = Case(When(ExistsIn(changes), then=earliest), default=F("status_id"), output_field=UUIDField())
    made = Q(IsAnyOf(made_in, uuid_array(statuses)), *_within(first, last))
    return Q(changed, made, _connector=Q.OR)


def _within(first: datetime | None, last: datetime | None) -> list[Expression]:
    bounds = {">=": first, "<": last}
    return [Test(F("date_created"), sign, Value(bound, DateTimeField())) for sign, bound in bounds.items() if bound]
