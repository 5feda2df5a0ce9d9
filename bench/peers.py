"""What people would otherwise write: one Celery task that saves each lead through the ORM, and one task per lead.

Both change exactly what the engine changes, but keep neither old values nor outcomes, and cannot be paused.
"""

from collections.abc import Mapping
from uuid import UUID

from celery import shared_task
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bench.work import DELETE, NUMBER, STATUS, TEXT
from crm.models import Lead, LeadStatusChange

QUEUE = "bench"
Parameters = Mapping[str, object]


@shared_task
def save_each(name: str, parameters: Parameters) -> None:
    for lead in _leads(name, parameters).iterator():
        _CHANGES[name](lead, parameters)


@shared_task
def send_each(name: str, parameters: Parameters) -> None:
    """Send one task for each lead."""
    for lead_id in _leads(name, parameters).values_list("pk", flat=True).iterator():
        change_one.apply_async((name, lead_id, parameters), queue=QUEUE)


@shared_task
def change_one(name: str, lead_id: UUID, parameters: Parameters) -> None:
    with transaction.atomic():
        _CHANGES[name](Lead.objects.select_for_update().get(pk=lead_id), parameters)


def _leads(name: str, parameters: Parameters) -> QuerySet[Lead]:
    leads = Lead.objects.filter(organization=parameters["organization"])
    return leads.filter(status=parameters["old_status"]) if name == STATUS else leads


def _set_status(lead: Lead, parameters: Parameters) -> None:
    old_status_id, lead.status_id = lead.status_id, parameters["new_status"]
    lead.save()
    LeadStatusChange.objects.create(
        organization_id=lead.organization_id,
        lead=lead,
        old_status_id=old_status_id,
        new_status_id=lead.status_id,
        user_id=parameters["user"],
    )


def _set_number(lead: Lead, parameters: Parameters) -> None:
    lead.custom[parameters["number_key"]] = parameters["number_value"]
    lead.save()


def _set_text(lead: Lead, parameters: Parameters) -> None:
    lead.custom[parameters["text_key"]] = parameters["text_value"]
    lead.save()


def _delete(lead: Lead, parameters: Parameters) -> None:
    lead.deleted_at, lead.deleted_by_action = timezone.now(), parameters["action"]
    lead.save()


_CHANGES = {STATUS: _set_status, NUMBER: _set_number, TEXT: _set_text, DELETE: _delete}
