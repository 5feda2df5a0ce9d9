"""The objects of exported JSON and JSONL: each as its own address in Close's API answers it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import cast
from uuid import UUID

from django.db.models import QuerySet

from bulk_actions.export_smart import FIELDS, smart_values
from bulk_actions.models import BulkAction
from crm.activities import activities_of
from crm.api.close.activity_answers import serialize_activities
from crm.api.close.answers import serialize_contacts, serialize_leads
from crm.api.close.conventions import CloseRequest, Fields
from crm.api.close.opportunity_answers import serialize_opportunities
from crm.contacts import contacts_of
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
            case _:
                yield from self._opportunities(keys)

    def _leads(self, keys: Sequence[UUID]) -> Iterator[Shown]:
        leads = self._rows_of(Lead.objects.filter(organization=self._action.organization_id), keys)
        params = self._action.params
        if not params["include_activities"] and not params["include_smart_fields"]:
            yield from serialize_leads(leads, self._fields, self._asked)
            return
        at_once = _WITH_ACTIVITIES if params["include_activities"] else max(len(leads), 1)
        for start in range(0, len(leads), at_once):
            some = leads[start : start + at_once]
            more = self._more_of(some)
            for lead, shown in zip(some, serialize_leads(some, self._fields, self._asked), strict=True):
                yield {**shown, **{name: value for name, value in more[lead.pk].items() if name not in shown}}

    def _more_of(self, leads: Sequence[Lead]) -> dict[UUID, dict[str, object]]:
        """What is shown of each lead besides what its own address answers."""
        more: dict[UUID, dict[str, object]] = {lead.pk: {} for lead in leads}
        if self._action.params["include_smart_fields"]:
            wanted = FIELDS if self._fields is None else self._fields
            for key, values in smart_values(self._action.organization_id, list(more), wanted).items():
                more[key] |= values
        if self._action.params["include_activities"]:
            activities = self._activities_of(leads)
            for key, shown in more.items():
                shown["activities"] = activities.get(key, [])
        return more

    def _activities_of(self, leads: Sequence[Lead]) -> dict[UUID, list[Shown]]:
        found: list[Activity] = list(
            activities_of(self._action.organization_id).filter(lead__in=[lead.pk for lead in leads]).order_by("-pk")
        )
        by_lead: dict[UUID, list[Shown]] = {}
        for activity, shown in zip(found, serialize_activities(found, None), strict=True):
            by_lead.setdefault(activity.lead_id, []).append(shown)
        return by_lead

    def _contacts(self, keys: Sequence[UUID]) -> Iterator[Shown]:
        known = contacts_of(self._action.organization_id)
        if self._action.target == "contact":
            contacts = self._rows_of(known, keys)
        else:
            by_lead = {key: place for place, key in enumerate(keys)}
            found: Iterable[Contact] = known.filter(lead__in=keys)
            contacts = sorted(found, key=lambda contact: (by_lead[contact.lead_id], contact.position, contact.pk))
        yield from serialize_contacts(contacts, self._fields, self._asked)

    def _opportunities(self, keys: Sequence[UUID]) -> Iterator[Shown]:
        known = opportunities_of(self._action.organization_id)
        if self._action.target == "opportunity":
            rows = self._rows_of(known, keys)
        else:
            by_lead = {key: place for place, key in enumerate(keys)}
            rows = sorted(known.filter(lead__in=keys), key=lambda row: (by_lead[row.lead_id], row.pk))
        yield from serialize_opportunities(rows, self._fields, self._asked)

    def _rows_of(self, known: QuerySet, keys: Sequence[UUID]) -> list:
        """Those with these keys that are there still, in their order."""
        by_key = known.in_bulk(list(keys))
        return [by_key[key] for key in keys if key in by_key]
