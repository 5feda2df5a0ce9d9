"""The plain way to do the same: a Celery task that saves each lead through the ORM. Needs Django to be set up."""

import time
from collections.abc import Callable
from uuid import UUID

from celery import shared_task
from django.db.models import QuerySet
from django.utils import timezone

from crm.models import Lead, LeadStatusChange


def seconds_per_lead(name: str, parameters: dict[str, object], n_leads: int) -> float:
    """Run the task for the work of that name over all leads, in this process: no message is waited for."""
    tasks = {
        "edit of the status": set_status,
        "edit of a custom field": set_custom_field,
        "delete": delete,
    }
    began = time.monotonic()
    n_changed = tasks[name](parameters)
    seconds = time.monotonic() - began
    if n_changed != n_leads:
        raise RuntimeError(f"The task changed {n_changed} of {n_leads} leads.")
    return seconds / n_leads


@shared_task
def set_status(parameters: dict[str, object]) -> int:
    def change(lead: Lead) -> None:
        old_status_id, lead.status_id = lead.status_id, parameters["new_status"]
        lead.save()
        LeadStatusChange.objects.create(
            organization_id=lead.organization_id,
            lead=lead,
            old_status_id=old_status_id,
            new_status_id=lead.status_id,
            user_id=parameters["user"],
        )

    return _each(_leads(parameters["organization"]).filter(status=parameters["old_status"]), change)


@shared_task
def set_custom_field(parameters: dict[str, object]) -> int:
    def change(lead: Lead) -> None:
        lead.custom[parameters["field_key"]] = parameters["value"]
        lead.save()

    return _each(_leads(parameters["organization"]), change)


@shared_task
def delete(parameters: dict[str, object]) -> int:
    def change(lead: Lead) -> None:
        lead.deleted_at, lead.deleted_by_action = timezone.now(), parameters["action"]
        lead.save()

    return _each(_leads(parameters["organization"]), change)


def _leads(organization: UUID) -> QuerySet[Lead]:
    return Lead.objects.filter(organization=organization)


def _each(leads: QuerySet[Lead], change: Callable[[Lead], None]) -> int:
    n = 0
    for lead in leads.iterator():
        change(lead)
        n += 1
    return n
