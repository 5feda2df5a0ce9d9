"""Leads as gomega spells them (gomega-api.md 4). A page of them costs a fixed number of queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max

from crm.models import Activity, Lead, LeadStatus, Membership
from crm.webhooks.dates import gomega_datetime
from crm.webhooks.event_lead import Shown, basics, custom_of, fields_of, people_of


def show_leads(leads: Sequence[Lead], *, custom: bool) -> list[Shown]:
    """The leads, which are all of one organization; with `custom` also their custom fields."""
    if not leads:
        return []
    organization_id, keys = leads[0].organization_id, [lead.pk for lead in leads]
    people = people_of(leads)
    stages = {stage.pk: stage for stage in LeadStatus.objects.filter(pk__in={lead.status_id for lead in leads})}
    owners = _owners(organization_id, {lead.owner_id for lead in leads} - {None})
    seen = _interactions(keys)
    fields = fields_of(organization_id) if custom else {}
    return [
        {
            **basics(lead, people[lead.pk]),
            "customer_id": str(lead.organization_id),
            "status": lead.lifecycle,
            "score": lead.score,
            "qualified": lead.qualified,
            "current_stage": _stage(stages.get(lead.status_id)),
            "owner": owners.get(lead.owner_id),
            "last_interaction_at": gomega_datetime(seen[lead.pk][1]) if lead.pk in seen else None,
            "interaction_count": seen[lead.pk][0] if lead.pk in seen else 0,
            **({"custom_fields": custom_of(lead, fields)} if custom else {}),
        }
        for lead in leads
    ]


def _stage(stage: LeadStatus | None) -> Shown | None:
    if stage is None:
        return None
    return {"id": str(stage.pk), "slug": stage.slug, "name": stage.label, "color": None}


def _owners(organization_id: UUID, user_ids: set[UUID]) -> dict[UUID, Shown]:
    members = Membership.objects.filter(organization_id=organization_id, user_id__in=user_ids).select_related("user")
    return {
        member.user_id: {
            "id": str(member.user_id),
            "name": member.user.full_name or member.user.email,
            "role_name": member.role,
        }
        for member in members
    }


def _interactions(lead_ids: Iterable[UUID]) -> dict[UUID, tuple[int, datetime]]:
    """How many there were, and when the last one was, of each lead with any."""
    activities = Activity.objects.filter(lead_id__in=lead_ids).order_by().values_list("lead_id")
    counted = activities.annotate(count=Count("pk"), last=Max("activity_at"))
    return {lead_id: (count, last) for lead_id, count, last in counted}
