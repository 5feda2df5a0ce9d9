"""What webhooks are told: written down in the transaction that it tells of, posted after it."""

from django.db import transaction

from crm.models import Lead, WebhookDelivery
from crm.webhooks.doorbell import ring
from crm.webhooks.event_lead import event_lead
from crm.webhooks.hooks import LEAD_CREATED, webhooks_of


def note_created(lead: Lead) -> None:
    """A single lead was made just now, with all that it came with. Bulk calls and imports tell nobody.

    Costs one look where there is no webhook.
    """
    wanting = webhooks_of(lead.organization_id).filter(is_active=True, event_types__contains=[LEAD_CREATED])
    webhook_ids = list(wanting.values_list("pk", flat=True))
    if not webhook_ids:
        return
    payload = {"event": LEAD_CREATED, "lead": event_lead(Lead.objects.get(pk=lead.pk))}
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            organization_id=lead.organization_id, webhook_id=key, lead=lead, event=LEAD_CREATED, payload=payload
        )
        for key in webhook_ids
    )
    transaction.on_commit(ring, robust=True)
