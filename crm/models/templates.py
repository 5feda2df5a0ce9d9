"""What mails and messages are made from."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.organizations import Organization


class Undefined(models.TextChoices):
    """What a variable without a value does to a mail."""

    BLANK = "blank"  # nothing stands in its place
    ERROR = "error"  # the mail is not made


class EmailTemplate(Keyed, Dated):
    """A mail with variables (docs/templates.md). `text` is the plain text part, made from `body` when it is saved."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.TextField()
    subject = models.TextField()
    body = models.TextField(help_text="HTML.")
    text = models.TextField(editable=False)
    undefined = models.TextField(choices=Undefined.choices, default=Undefined.BLANK)
    cc = ArrayField(models.TextField(), default=list, blank=True)
    bcc = ArrayField(models.TextField(), default=list, blank=True)
    attachments = models.JSONField(default=list, blank=True)
    is_shared = models.BooleanField(default=False)
    is_archived = models.BooleanField(default=False)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class SmsTemplate(Keyed, Dated):
    """A text message with variables."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.TextField()
    text = models.TextField()
    status = models.TextField(choices=Status.choices, default=Status.ACTIVE)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    def __str__(self) -> str:
        return self.name
