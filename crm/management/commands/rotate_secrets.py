"""`manage.py rotate_secrets`: stored secrets under the newest key, so that older ones of ENCRYPTION_KEYS can go."""

from django.core.management.base import BaseCommand, CommandError

from crm import secrets
from crm.models import EmailAccount


class Command(BaseCommand):
    help = "Encrypts stored passwords with the first of ENCRYPTION_KEYS. Safe to run twice, and while mail is sent."

    def handle(self, *args: object, **options: object) -> None:
        rotated, lost = 0, []
        for key, stored in EmailAccount.objects.exclude(smtp_password="").values_list("pk", "smtp_password"):
            try:
                renewed = secrets.rotate(stored)
            except secrets.Undecryptable:
                lost.append(str(key))
                continue
            # Only what was read: a password that was changed meanwhile is under the first key already.
            rotated += EmailAccount.objects.filter(pk=key, smtp_password=stored).update(smtp_password=renewed)
        self.stdout.write(f"{rotated} passwords are encrypted with the first key.")
        if lost:
            raise CommandError(f"No key opens the passwords of these accounts: {', '.join(lost)}. Set them again.")
