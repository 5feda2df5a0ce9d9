"""Mail that is to leave, has left, or must not."""

from datetime import UTC, datetime

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.organizations import Organization


class EmailAccount(Keyed, Dated):
    """An SMTP account to send from. An account without a host sends through `EMAIL_URL`, the default relay.

    `smtp_password` is encrypted (`crm.secrets`) and never leaves the service. Limits count what the outbox says has
    left; null means none. `paused_until` is set while its server asks for patience, or takes no session (`send_status`
    is `error` then); each pause is twice as long as the one before, until a mail leaves. `waits_until` spares delivery
    a look at an account whose limits are used up; what may leave is counted all the same (`crm.mail.limits`).
    """

    class Security(models.TextChoices):
        NONE = "none"
        STARTTLS = "starttls"
        SSL = "ssl"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="email_accounts")
    user = plain_reference("crm.User", null=True, blank=True)
    sender_name = models.TextField(blank=True, default="")
    sender_email = models.TextField()
    identities = models.JSONField(default=list, blank=True, help_text='Further senders: [{"email", "name"}].')
    smtp_host = models.TextField(blank=True, default="")
    smtp_port = models.PositiveIntegerField(null=True, blank=True)
    smtp_security = models.TextField(choices=Security.choices, default=Security.STARTTLS)
    smtp_username = models.TextField(blank=True, default="")
    smtp_password = models.TextField(blank=True, default="", editable=False)
    daily_limit = models.PositiveIntegerField(null=True, blank=True)
    hourly_limit = models.PositiveIntegerField(null=True, blank=True)
    minimum_gap_seconds = models.FloatField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    waits_until = models.DateTimeField(null=True, blank=True, editable=False, help_text="Its limits were used up then.")
    pause_seconds = models.FloatField(default=0, editable=False, help_text="How long the last pause was to be.")
    send_status = models.TextField(default="ok", choices=[("ok", "ok"), ("error", "error")])
    send_error = models.TextField(blank=True, default="")
    inbound_token = models.TextField(blank=True, default="", editable=False, help_text="Of its inbound address.")

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


# A `not_before` beyond this is nobody's wish: the mail is set aside, since its job stands still.
SET_ASIDE = datetime(2500, 1, 1, tzinfo=UTC)


class OutboxMail(Keyed):
    """One message to one address. `message_id` is fixed when the row is made and never changes.

    (`source_id`, `purpose`, `step`, `address`) is unique: whoever reserves twice sends once.
    """

    organization = plain_reference("crm.Organization")
    account = plain_reference("crm.EmailAccount", null=True)
    purpose = models.TextField(choices=Purpose.choices)
    source_id = models.UUIDField(null=True, help_text="What asked for the mail, such as a bulk action.")
    activity = plain_reference("crm.Activity", null=True)
    lead = plain_reference("crm.Lead", null=True)
    contact = plain_reference("crm.Contact", null=True)
    step = models.TextField(default="", blank=True, help_text="Tells apart several mails of one source to one address.")
    address = models.TextField(help_text="The envelope recipient, normalised.")
    sender = models.TextField(help_text="The From header.")
    subject = models.TextField()
    body_text = models.TextField()
    body_html = models.TextField(null=True)
    headers = models.JSONField(default=dict)
    message_id = models.TextField()
    state = models.TextField(choices=MailState.choices, default=MailState.RESERVED)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(default=0)
    claim = models.BigIntegerField(null=True, help_text="The delivery chunk that has the row in hand.")
    claimed_at = models.DateTimeField(null=True)
    error_code = models.TextField(null=True)
    error_message = models.TextField(null=True)
    date_created = models.DateTimeField(db_default=Now())
    date_sent = models.DateTimeField(null=True, help_text="When it left; of an unknown one, when it may have.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source_id", "purpose", "step", "address"], name="outbox_once"),
            # `unique=True` would make a second index, for LIKE, that each change of a mail's state would write to.
            models.UniqueConstraint(fields=["message_id"], name="outbox_message_id"),
        ]
        indexes = [
            models.Index(fields=["account", "not_before", "id"], name="outbox_due", condition=Q(state="reserved")),
            models.Index(
                fields=["source_id"], name="outbox_set_aside", condition=Q(state="reserved", not_before__gt=SET_ASIDE)
            ),
            models.Index(fields=["claimed_at"], name="outbox_sending", condition=Q(state="sending")),
            models.Index(fields=["account", "date_sent"], name="outbox_account", condition=Q(date_sent__isnull=False)),
            models.Index(fields=["source_id", "state"], name="outbox_source", condition=~Q(purpose="notice")),
            models.Index(fields=["activity"], name="outbox_activity", condition=Q(activity__isnull=False)),
            models.Index(fields=["lead"], name="outbox_lead", condition=Q(lead__isnull=False)),
            models.Index(
                fields=["address"], name="outbox_waiting", condition=Q(state="reserved") & ~Q(purpose="notice")
            ),
            models.Index(fields=["organization", "address"], name="outbox_refused", condition=Q(state="error")),
            models.Index(fields=["date_created"], name="outbox_unknown", condition=Q(state="unknown")),
        ]


class Suppression(Keyed):
    """An address that an organization must not write to, and why."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed"
        BOUNCED = "bounced"
        COMPLAINED = "complained"
        MANUAL = "manual"

    # The unsubscribe list, and `is_unsubscribed`: who does not want mail. A bounced address says nothing of that.
    UNWANTED = (Reason.UNSUBSCRIBED, Reason.COMPLAINED, Reason.MANUAL)

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    address = models.TextField(help_text="Normalised: lower case, trimmed.")
    reason = models.TextField(choices=Reason.choices)
    detail = models.TextField(blank=True, default="", help_text="What the server or the person said.")
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "address"], name="suppression_unique")]
        indexes = [models.Index(fields=["organization", "id"], name="suppression_list")]


class InboundKind(models.TextChoices):
    HARD_BOUNCE = "hard_bounce"  # the address is no good: it is suppressed
    SOFT_BOUNCE = "soft_bounce"  # this mail did not arrive; a later one may
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"  # a mail to the `mailto:` of List-Unsubscribe
    REPLY = "reply"  # from a person: it is an activity now
    AUTOMATIC = "automatic"  # an absence note, a delay notice, a list: noted, nothing follows
    UNRELATED = "unrelated"  # has nothing to do with any mail or contact of ours


class InboundMail(Keyed):
    """A message that came in, once per `Message-ID`, and what it was taken for. Its text is not kept here."""

    organization = plain_reference("crm.Organization")
    message_id = models.TextField(help_text="As sent; a digest of the content where it has none.")
    kind = models.TextField(choices=InboundKind.choices, default=InboundKind.UNRELATED)
    address = models.TextField(blank=True, default="", help_text="Whose mailbox it speaks of, or who wrote it.")
    mail = plain_reference("crm.OutboxMail", null=True)
    detail = models.TextField(blank=True, default="", help_text="What a server said in it.")
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "inbound mail"
        constraints = [models.UniqueConstraint(fields=["organization", "message_id"], name="inbound_once")]
        indexes = [models.Index(fields=["date_created"], name="inbound_age")]
