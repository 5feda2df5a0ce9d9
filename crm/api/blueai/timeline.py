"""What was done with a deal: its activities and its moves from stage to stage, in one list, newest first."""

from collections.abc import Mapping, Sequence

from django.db.models import F, QuerySet, TextField, UUIDField, Value
from django.db.models.functions import Cast, Coalesce, Concat
from rest_framework.request import Request

from crm.api.blueai.conventions import moment, shown_id
from crm.api.blueai.lists import made_between
from crm.ids import hex_id
from crm.models import Activity, ActivityType, Opportunity, OpportunityStatusChange

STAGE_CHANGE = "stage_change"
SHOWN_TYPES = (ActivityType.NOTE, ActivityType.CALL, ActivityType.EMAIL, ActivityType.MEETING)
_COLUMNS = ("pk", "kind", "content", "deal", "person", "by", "at")


def timeline_of(deal: Opportunity, request: Request) -> QuerySet:
    """The rows, as `show_entries` takes them; those between `created_after` and `created_before`."""
    done = Activity.objects.filter(opportunity=deal.pk, type__in=SHOWN_TYPES)
    moves = OpportunityStatusChange.objects.filter(opportunity=deal.pk)
    shown = made_between(request, done).values(
        "pk",
        kind=F("type"),
        content=Coalesce("text", "title"),
        deal=F("opportunity_id"),
        person=F("contact_id"),
        by=F("created_by_id"),
        at=F("date_created"),
    )
    return (
        shown.union(
            made_between(request, moves).values(
                "pk",
                kind=Value(STAGE_CHANGE, TextField()),
                content=_move(),
                deal=F("opportunity_id"),
                person=Cast(None, UUIDField()),
                by=F("user_id"),
                at=F("date_created"),
            ),
            all=True,
        )
        .order_by("-at", "-pk")
        .values(*_COLUMNS)
    )


def _move() -> Concat:
    """`Proposal → Won`; of the first one, which comes from nowhere, `→ Proposal`."""
    return Concat("old_status__label", Value(" → "), "new_status__label", output_field=TextField())


def show_entries(entries: Sequence[Mapping]) -> list[dict[str, object]]:
    return [
        {
            "id": hex_id("act", entry["pk"]),
            "type": entry["kind"],
            "content": (entry["content"] or "").strip() or None,
            "deal_id": shown_id("deal", entry["deal"]),
            "contact_id": shown_id("cont", entry["person"]),
            "created_by": shown_id("usr", entry["by"]),
            "created_at": moment(entry["at"]),
        }
        for entry in entries
    ]
