"""Sequences: mails, calls and messages to a contact, one after the other, until somebody answers."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.contacts import Contact
from crm.models.organizations import Organization
from crm.models.templates import EmailTemplate, SmsTemplate


class Sequence(Keyed, Dated):
    """`schedule`: `{"ranges": [{"weekday": 1-7, "start": "09:00", "end": "16:59"}]}` in `timezone`; null: always.

    A deleted sequence is a marked row without steps: its subscriptions stay to be seen.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        DRAFT = "draft"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    name = models.TextField()
    timezone = models.TextField(help_text="IANA zone name.")
    status = models.TextField(choices=Status.choices, default=Status.ACTIVE)
    schedule = models.JSONField(null=True, blank=True)
    trigger_query = models.JSONField(null=True, blank=True)
    allow_manual_enrollment = models.BooleanField(default=True)
    owner = plain_reference("crm.User", null=True, blank=True)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name


class StepType(models.TextChoices):
    EMAIL = "email"
    CALL = "call"
    SMS = "sms"


class SequenceStep(Keyed):
    """One step; `delay` is seconds since the step before it (the first: since the start).

    A call or a message waits for its task to be completed if it is `required`, else not; `step_allowed_delay` is how
    many seconds it waits at most (docs/sequences.md).
    """

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="steps")
    position = models.IntegerField()
    step_type = models.TextField(choices=StepType.choices)
    delay = models.BigIntegerField(default=0)
    email_template = models.ForeignKey(EmailTemplate, models.PROTECT, null=True, blank=True, related_name="steps")
    sms_template = models.ForeignKey(SmsTemplate, models.PROTECT, null=True, blank=True, related_name="steps")
    threading = models.TextField(
        null=True, blank=True, choices=[("new_thread", "new thread"), ("old_thread", "old thread")]
    )
    required = models.BooleanField(default=True)
    step_allowed_delay = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["sequence", "position"], name="sequence_step_place", deferrable=models.Deferrable.DEFERRED
            )
        ]


class SubscriptionStatus(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"
    GOAL = "goal"
    ERROR = "error"


class SequenceSubscription(Keyed, Dated):
    """A contact in a sequence, once. `next_step` is due at `next_at`; null when nothing is to come.

    While `waiting_task` is to be done by a person, `next_at` is how long that may take; null: as long as it takes.
    `steps_done` counts the steps that are behind it: it tells the mails of one subscription apart, so that a step is
    never sent twice.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="subscriptions", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="subscriptions")
    lead = plain_reference("crm.Lead")
    contact_email = models.TextField()
    sender_account = plain_reference("crm.EmailAccount")
    sender_name = models.TextField()
    sender_email = models.TextField()
    calls_assigned_to = ArrayField(models.UUIDField(), null=True, blank=True)
    status = models.TextField(choices=SubscriptionStatus.choices, default=SubscriptionStatus.ACTIVE)
    status_reason = models.TextField(null=True, blank=True)
    start_date = models.DateTimeField(null=True, blank=True)
    next_step = plain_reference("crm.SequenceStep", null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    waiting_task = plain_reference("crm.Task", null=True, blank=True)
    steps_done = models.IntegerField(default=0)
    thread_message_ids = ArrayField(models.TextField(), default=list, blank=True)
    thread_subject = models.TextField(blank=True, default="")
    bulk_action_id = models.UUIDField(null=True, blank=True, help_text="The job that made it, if one did.")
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sequence", "contact"], name="subscription_once")]
        indexes = [
            models.Index(fields=["next_at", "id"], name="subscription_due", condition=Q(status="active")),
            models.Index(fields=["sequence", "status"], name="subscription_counts"),
            models.Index(fields=["lead"], name="subscription_lead"),
            models.Index(fields=["sender_account"], name="subscription_account", condition=Q(status="active")),
            models.Index(Lower("contact_email"), name="subscription_address", condition=Q(status="active")),
            models.Index(fields=["waiting_task"], name="subscription_task", condition=Q(waiting_task__isnull=False)),
        ]
