"""Mail that is to leave, has left, or must not."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.base import Keyed, plain_reference
from crm.models.organizations import Organization


class EmailAccount(Keyed):
    """An SMTP account to send from. An account without a host sends through `EMAIL_URL`, the default relay."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="email_accounts")
    sender_name = models.TextField(blank=True, default="")
    sender_email = models.TextField()
    date_created = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.sender_email


class MailState(models.TextChoices):
    RESERVED = "reserved"  # written down; will be sent when its time has come
    SENDING = "sending"  # a delivery worker has it in hand
    SENT = "sent"  # the SMTP server took it
    ERROR = "error"  # the SMTP server refused it for good
    UNKNOWN = "unknown"  # a worker died between SMTP and commit; never resent unless a person says so
    WITHHELD = "withheld"  # stopped before it left: suppressed address, or its job was ended


class Purpose(models.TextChoices):
    NOTICE = "notice"  # from Drover to a user: a job is done, a job failed
    BULK = "bulk"
    SEQUENCE = "sequence"
    SINGLE = "single"


class OutboxMail(Keyed):
    """One message to one address. `message_id` is fixed when the row is made and never changes.

    (`source_id`, `purpose`, `step`, `address`) is unique: whoever reserves twice sends once.
    """

    organization = plain_reference("crm.Organization")
    account = plain_reference("crm.EmailAccount", null=True)
    purpose = models.TextField(choices=Purpose.choices)
    source_id = models.UUIDField(null=True, help_text="What asked for the mail, such as a bulk action.")
    step = models.TextField(default="", blank=True, help_text="Tells apart several mails of one source to one address.")
    address = models.TextField(help_text="The envelope recipient, normalised.")
    sender = models.TextField(help_text="The From header.")
    subject = models.TextField()
    body_text = models.TextField()
    body_html = models.TextField(null=True)
    headers = models.JSONField(default=dict)
    message_id = models.TextField(unique=True)
    state = models.TextField(choices=MailState.choices, default=MailState.RESERVED)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(default=0)
    claim = models.BigIntegerField(null=True, help_text="The delivery chunk that has the row in hand.")
    claimed_at = models.DateTimeField(null=True)
    error_code = models.TextField(null=True)
    error_message = models.TextField(null=True)
    date_created = models.DateTimeField(db_default=Now())
    date_sent = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source_id", "purpose", "step", "address"], name="outbox_once"),
        ]
        indexes = [
            models.Index(fields=["not_before", "id"], name="outbox_due", condition=Q(state="reserved")),
            models.Index(fields=["claimed_at"], name="outbox_sending", condition=Q(state="sending")),
            models.Index(fields=["date_created"], name="outbox_unknown", condition=Q(state="unknown")),
        ]


class Suppression(Keyed):
    """An address that an organization must not write to, and why."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed"
        BOUNCED = "bounced"
        COMPLAINED = "complained"
        MANUAL = "manual"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    address = models.TextField(help_text="Normalised: lower case, trimmed.")
    reason = models.TextField(choices=Reason.choices)
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "address"], name="suppression_unique")]
