"""Merging one lead into another (close-api.md 4.1)."""

from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Max, Model
from django.db.models.functions import Now

from crm.custom_fields import hold_field
from crm.errors import FieldErrors
from crm.leads import leads_of
from crm.models import (
    Activity,
    Address,
    Contact,
    CustomField,
    FieldObject,
    Lead,
    LeadStatusChange,
    Opportunity,
    OpportunityStatusChange,
    Organization,
    OutboxMail,
    SequenceSubscription,
    Task,
    User,
    WebhookDelivery,
)

_TEXTS = ("name", "description", "url", "phone", "email", "industry", "name_kana", "department", "external_id")
_VALUES = ("owner_id", "lead_line", "score", "qualified", "employee_count")
_DATED: tuple[type[Model], ...] = (Contact, Opportunity, Activity, Task, SequenceSubscription)
_ORDERED: tuple[type[Model], ...] = (Contact, Address)

# An address that the destination has too stays behind.
_DROP_DOUBLE_ADDRESSES = """
DELETE FROM crm_address AS old USING crm_address AS kept
WHERE old.lead_id = %s AND kept.lead_id = %s
  AND (old.label, old.address_1, old.address_2, old.city, old.state, old.zipcode, old.country)
      IS NOT DISTINCT FROM
      (kept.label, kept.address_1, kept.address_2, kept.city, kept.state, kept.zipcode, kept.country)
"""


@transaction.atomic
def merge_leads(*, source_id: UUID, destination_id: UUID, organization: Organization, by: User) -> None:
    """Move all that hangs on the source to the destination, and mark the source as deleted.

    The destination's texts, status and custom values stay; where it has none, it gets the source's. `FieldErrors` for
    a lead that is not there, or one and the same.
    """
    if source_id == destination_id:
        raise FieldErrors({"destination": "A lead cannot be merged into itself."})
    # The fields before the leads: all writes take them in this order.
    fields = CustomField.objects.filter(organization=organization, object_type=FieldObject.LEAD).order_by("pk")
    keys = {field.key for field in fields if hold_field(field.pk, organization.pk)}
    source, destination = _hold_both(source_id, destination_id, organization)
    _move_parts(source, destination)
    for column in _TEXTS:
        setattr(destination, column, getattr(destination, column) or getattr(source, column))
    for column in _VALUES:
        if getattr(destination, column) is None:
            setattr(destination, column, getattr(source, column))
    filled = {key: value for key, value in source.custom.items() if key in keys}
    destination.custom = {**filled, **destination.custom}
    source.deleted_at = Now()
    for lead in (source, destination):
        lead.updated_by = by
        lead.date_updated = Now()
        lead.save()


def _hold_both(source_id: UUID, destination_id: UUID, organization: Organization) -> tuple[Lead, Lead]:
    # FOR UPDATE, not FOR NO KEY UPDATE: whoever adds something to either lead holds it FOR KEY SHARE, and must wait.
    wanted = {"source": source_id, "destination": destination_id}
    live = leads_of(organization.pk).filter(pk__in=wanted.values())
    found = {lead.pk: lead for lead in live.order_by("pk").select_for_update()}
    problems = {name: "Object does not exist." for name, key in wanted.items() if key not in found}
    if problems:
        raise FieldErrors(problems)
    return found[source_id], found[destination_id]


def _move_parts(source: Lead, destination: Lead) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_DROP_DOUBLE_ADDRESSES, [source.pk, destination.pk])
    for model in _ORDERED:
        last = model.objects.filter(lead=destination).aggregate(last=Max("position"))["last"]
        if last is not None:
            model.objects.filter(lead=source).update(position=F("position") + last + 1)
    for model in _DATED:
        # Those marked as deleted as well: they may come back.
        model._base_manager.filter(lead=source).update(lead=destination, date_updated=Now())
    for model in (Address, LeadStatusChange, OpportunityStatusChange, WebhookDelivery):
        model.objects.filter(lead=source).update(lead=destination)
    # Never waiting: delivery holds what it has in hand while it speaks to a server, and a few mails that stay behind
    # are still found by their activity.
    free = OutboxMail.objects.filter(lead=source).select_for_update(skip_locked=True)
    OutboxMail.objects.filter(pk__in=[mail.pk for mail in free.only("pk")]).update(lead=destination)
