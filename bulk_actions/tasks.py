"""Celery's way in. Nothing is decided here."""

from uuid import UUID

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from bulk_actions import exports, retention, runner, sweeper


@shared_task(name="bulk_actions.tasks.run")
def run(action_id: str, number: int = 0) -> None:
    runner.run_slice(UUID(action_id), number)


@shared_task(name="bulk_actions.tasks.write_file")
def write_file(action_id: str) -> None:
    runner.write_file(UUID(action_id))


@shared_task(name="bulk_actions.tasks.sweep")
def sweep() -> None:
    sweeper.sweep()


@shared_task(name="bulk_actions.tasks.purge")
def purge() -> None:
    retention.purge()


@worker_ready.connect
def sweep_at_start(**_: object) -> None:
    sweep.apply_async(expires=settings.SWEEP_EXPIRY_SECONDS, retry=False)


@worker_shutting_down.connect
def stop_writing(**_: object) -> None:
    exports.stop_all()
