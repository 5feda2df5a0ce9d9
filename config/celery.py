"""The Celery application. Messages are doorbells: PostgreSQL is the job (docs/architecture.md)."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("drover")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Stop Celery from replacing the logging that `settings.LOGGING` has set up."""


@worker_ready.connect
@beat_init.connect
def tell_supervisor(**_: object) -> None:
    """Touch the file that the supervisor waits for: this worker takes messages now, or beat begins to tick."""
    if file := os.environ.get("DROVER_READY_FILE"):
        Path(file).touch()
