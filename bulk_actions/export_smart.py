"""The smart fields of exported leads: what their contacts, deals, activities and tasks come to (close-api.md 3.5)."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from uuid import UUID

from crm.api.close.conventions import close_datetime
from crm.ids import close_id
from crm.models import Lead
from search.fields import Field
from search.nodes import Kind
from search.schema import ID_PREFIX
from search.smart_fields import SMART_FIELDS
from search.smart_money import MONEY_FIELDS

FIELDS: dict[str, Field] = {**SMART_FIELDS, **MONEY_FIELDS}
_AS = "smart_{}"  # a column of leads may have the same name


def smart_values(organization_id: UUID, keys: Sequence[UUID], wanted: Collection[str]) -> dict[UUID, dict[str, object]]:
    """The smart fields of these leads that are `wanted`, by their keys, as the API would show them: in one query."""
    names = [name for name in FIELDS if name in wanted]
    if not names:
        return {}
    values = {_AS.format(name): FIELDS[name].value() for name in names}
    rows = Lead.objects.filter(organization=organization_id, pk__in=keys).annotate(**values)
    shows = [_show(FIELDS[name]) for name in names]
    return {
        key: {name: show(value) for name, show, value in zip(names, shows, found, strict=True)}
        for key, *found in rows.order_by().values_list("pk", *values)
    }


def _show(field: Field) -> Callable[[object], object]:
    prefix = ID_PREFIX[field.reference] if field.reference else None

    def show(value: object) -> object:
        if prefix is not None and isinstance(value, UUID):
            return close_id(prefix, value)
        if field.kind is Kind.MOMENT and isinstance(value, datetime):
            return close_datetime(value)
        return value

    return show
