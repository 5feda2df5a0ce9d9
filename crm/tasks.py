"""Celery's way into the mail: doorbells and a sweep. What they do stands in `crm.mail.delivery`."""

from celery import shared_task

from crm.mail import delivery, doorbell

SLICE_SECONDS = 4


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
        doorbell.ring()
