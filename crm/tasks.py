"""Celery's way into mail, sequences and webhooks. What they do stands in `crm.mail.delivery`, `crm.sequences.engine`
and `crm.webhooks.delivery`."""

from celery import shared_task

from crm.mail import delivery, doorbell
from crm.sequences import engine
from crm.webhooks import delivery as webhook_delivery
from crm.webhooks import doorbell as webhook_doorbell

SLICE_SECONDS = 4
SUBSCRIPTIONS_PER_TICK = 2_500  # 3 s or so: the sweeps of the same worker get their turn


@shared_task(name="crm.tasks.deliver_mail")
def deliver_mail() -> None:
    """Deliver due mail for a while. Any number may run at once."""
    doorbell.answered()
    if delivery.deliver_slice(SLICE_SECONDS):
        doorbell.ring()


@shared_task(name="crm.tasks.sweep_mail")
def sweep_mail() -> None:
    """Settle what died workers left behind, and ring when mail is due. Safe to run twice at once."""
    delivery.sweep_lost()
    if delivery.is_due():
        doorbell.ring_again()


@shared_task(name="crm.tasks.tick_sequences")
def tick_sequences() -> None:
    """Move on the subscriptions that are due. Safe to run twice at once."""
    engine.tick(SUBSCRIPTIONS_PER_TICK)


@shared_task(name="crm.tasks.deliver_webhooks")
def deliver_webhooks() -> None:
    """Post due events to webhooks for a while. Any number may run at once."""
    webhook_doorbell.answered()
    if webhook_delivery.deliver_slice(SLICE_SECONDS):
        webhook_doorbell.ring()


@shared_task(name="crm.tasks.sweep_webhooks")
def sweep_webhooks() -> None:
    """Take up again what died workers left behind, and ring when something is due. Safe to run twice at once."""
    webhook_delivery.sweep_lost()
    if webhook_delivery.is_due():
        webhook_doorbell.ring()
