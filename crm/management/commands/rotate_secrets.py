"""`manage.py rotate_secrets`: stored secrets under the newest key, so that older ones of ENCRYPTION_KEYS can go."""

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from crm import secrets
from crm.models import EmailAccount, LeadWebhook

_SECRETS: tuple[tuple[type[Model], str], ...] = ((EmailAccount, "smtp_password"), (LeadWebhook, "secret"))


class Command(BaseCommand):
    help = (
        "Encrypts stored passwords and the secrets of webhooks with the first of ENCRYPTION_KEYS. Safe to run twice, "
        "and while mail is sent."
    )

    def handle(self, *args: object, **options: object) -> None:
        rotated, lost = 0, []
        for model, column in _SECRETS:
            for key, stored in model.objects.exclude(**{column: ""}).values_list("pk", column):
                try:
                    renewed = secrets.rotate(stored)
                except secrets.Undecryptable:
                    lost.append(str(key))
                    continue
                # Only what was read: a secret that was changed meanwhile is under the first key already.
                rotated += model.objects.filter(pk=key, **{column: stored}).update(**{column: renewed})
        self.stdout.write(f"{rotated} secrets are encrypted with the first key.")
        if lost:
            raise CommandError(f"No key opens the secrets of these accounts and webhooks: {', '.join(lost)}.")
