"""`manage.py up`: the whole stack in the foreground."""

import contextlib
import sys

from django.conf import settings
from django.core.management.base import BaseCommand

from config.processes import CannotStart
from config.supervisor import Supervisor


class Command(BaseCommand):
    help = (
        "Runs database, Redis, mail sink, web, workers and beat until Ctrl-C. Environment: PORT, WORKERS, DROVER_HOME."
    )
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:
        supervisor = Supervisor(settings.HOME, port=settings.PORT, workers=settings.BULK_WORKERS, say=self._say)
        try:
            supervisor.run()
        except CannotStart as problem:
            sys.exit(str(problem))

    def _say(self, line: str) -> None:
        # Whoever read us may be gone; that must not keep us from ending what we started.
        with contextlib.suppress(BrokenPipeError):
            self.stdout.write(line)
            self.stdout.flush()
