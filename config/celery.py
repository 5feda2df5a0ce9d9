"""The Celery application. Messages are doorbells: PostgreSQL is the job (docs/architecture.md)."""

import gc
import os
from pathlib import Path

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_process_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("drover")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Stop Celery from replacing the logging that `settings.LOGGING` has set up."""


@worker_process_init.connect
def spare_the_garbage_collector(**_: object) -> None:
    """Keep full collections from walking what lives as long as this process: some 200,000 objects, which took a fifth
    of the processor time of a bulk email."""
    gc.collect()
    gc.freeze()


@worker_ready.connect
@beat_init.connect
def tell_supervisor(**_: object) -> None:
    """Touch the file that the supervisor waits for: this worker takes messages now, or beat begins to tick."""
    if file := os.environ.get("DROVER_READY_FILE"):
        Path(file).touch()
