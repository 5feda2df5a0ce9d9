"""The objects of exported JSON and JSONL: each as its own address in Close's API answers it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import cast
from uuid import UUID

from bulk_actions.models import BulkAction
from crm.activities import activities_of
from crm.api.close.activity_answers import serialize_activities
from crm.api.close.answers import serialize_contacts, serialize_leads
from crm.api.close.conventions import CloseRequest, Fields
from crm.api.close.opportunity_answers import serialize_opportunities
from crm.models import Activity, Contact, Lead, Organization
from crm.opportunities import opportunities_of

Shown = Mapping[str, object]
_WITH_ACTIVITIES = 100  # leads at once: each of them may have thousands


@dataclass(frozen=True)
class _Asker:
    organization: Organization


@dataclass(frozen=True)
class _Asked:
    """As much of a request as an answer is made of. Days are those of UTC, as in the rest of the file."""

    caller: _Asker
    tz: tzinfo = UTC


class Reader:
    """Reads whole objects, or those keys of them that `fields` names."""

    header = None
    phones = ()

    def __init__(self, action: BulkAction) -> None:
        self._action = action
        self._fields: Fields = frozenset(action.params["fields"]) if action.params["fields"] is not None else None
        self._asked = cast(CloseRequest, _Asked(_Asker(action.organization)))

    def rows(self, keys: Sequence[UUID]) -> Iterator[Shown]:
        match self._action.params["type"]:
            case "leads":
                yield from self._leads(keys)
            case "contacts":
                yield from self._contacts(keys)
            case "lead_opps":
                found = opportunities_of(self._action.organization_id).filter(lead__in=keys)
                by_lead = {key: place for place, key in enumerate(keys)}
                rows = sorted(found, key=lambda row: (by_lead[row.lead_id], row.pk))
                yield from serialize_opportunities(rows, self._fields, self._asked)
            case _:
                by_key = opportunities_of(self._action.organization_id).in_bulk(list(keys))
                rows = [by_key[key] for key in keys if key in by_key]
                yield from serialize_opportunities(rows, self._fields, self._asked)

    def _leads(self, keys: Sequence[UUID]) -> Iterator[Shown]:
        by_key = Lead.objects.filter(organization=self._action.organization_id).in_bulk(list(keys))
        leads = [by_key[key] for key in keys if key in by_key]
        if not self._action.params["include_activities"]:
            yield from serialize_leads(leads, self._fields, self._asked)
            return
        for start in range(0, len(leads), _WITH_ACTIVITIES):
            some = leads[start : start + _WITH_ACTIVITIES]
            activities = self._activities_of(some)
            for lead, shown in zip(some, serialize_leads(some, self._fields, self._asked), strict=True):
                yield {**shown, "activities": activities.get(lead.pk, [])}

    def _activities_of(self, leads: Sequence[Lead]) -> dict[UUID, list[Shown]]:
        found: list[Activity] = list(
            activities_of(self._action.organization_id).filter(lead__in=[lead.pk for lead in leads]).order_by("-pk")
        )
        by_lead: dict[UUID, list[Shown]] = {}
        for activity, shown in zip(found, serialize_activities(found, None), strict=True):
            by_lead.setdefault(activity.lead_id, []).append(shown)
        return by_lead

    def _contacts(self, keys: Sequence[UUID]) -> Iterator[Shown]:
        found = Contact.objects.filter(
            organization=self._action.organization_id, lead__in=keys, lead__deleted_at__isnull=True
        )
        by_lead = {key: place for place, key in enumerate(keys)}
        contacts = sorted(found, key=lambda contact: (by_lead[contact.lead_id], contact.position, contact.pk))
        yield from serialize_contacts(contacts, self._fields, self._asked)
