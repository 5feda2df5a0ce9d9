"""The Celery application. Messages are doorbells: PostgreSQL is the job (docs/architecture.md)."""

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("drover")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Stop Celery from replacing the logging that `settings.LOGGING` has set up."""
