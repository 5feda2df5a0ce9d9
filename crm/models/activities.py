"""What was done with a lead: calls, notes, mails, messages, meetings; and what is still to do."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.contacts import Contact
from crm.models.leads import Lead
from crm.models.organizations import Organization


class ActivityType(models.TextChoices):
    """The part behind `activity.` in a query."""

    CALL = "call"
    EMAIL = "email"
    MEETING = "meeting"
    NOTE = "note"
    SMS = "sms"


class Activity(Keyed, Dated):
    """One thing that happened, of any type: one table, so that "the last activity" is one look.

    `direction`: incoming, outgoing (email); inbound, outbound (call, sms). `text` is the note, the call's note, the
    message, the mail's plain text. `activity_at` is when it happened. BlueAI's may belong to a deal, and to no lead;
    Close sees only those of a lead.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="activities", null=True, blank=True, db_index=False)
    opportunity = plain_reference("crm.Opportunity", null=True, blank=True)
    contact = models.ForeignKey(Contact, models.SET_NULL, related_name="activities", null=True, blank=True)
    user = plain_reference("crm.User", null=True, blank=True)
    type = models.TextField(choices=ActivityType.choices)
    direction = models.TextField(null=True, blank=True)
    status = models.TextField(null=True, blank=True)
    activity_at = models.DateTimeField(db_default=Now())
    title = models.TextField(null=True, blank=True, help_text="Subject of a mail, title of a meeting or note.")
    text = models.TextField(null=True, blank=True)
    html = models.TextField(null=True, blank=True)
    duration = models.IntegerField(null=True, blank=True, help_text="Seconds.")
    disposition = models.TextField(null=True, blank=True)
    local_address = models.TextField(null=True, blank=True, help_text="Our phone number, or the sender of a mail.")
    remote_address = models.TextField(null=True, blank=True, help_text="Their phone number.")
    recipients = ArrayField(models.TextField(), default=list, blank=True, help_text="To, of a mail.")
    date_sent = models.DateTimeField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    has_reply = models.BooleanField(default=False)
    details = models.JSONField(default=dict, blank=True, help_text="What only one type has and nothing searches.")
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    class Meta:
        verbose_name_plural = "activities"
        indexes = [
            models.Index(fields=["lead", "type", "activity_at"], name="activity_lead"),
            models.Index(fields=["organization", "type", "activity_at", "id"], name="activity_organization"),
            models.Index(fields=["organization", "activity_at", "id"], name="activity_organization_at"),
            models.Index(
                fields=["opportunity", "activity_at", "id"],
                name="activity_opportunity",
                condition=Q(opportunity__isnull=False),
            ),
        ]


class TaskType(models.TextChoices):
    """close-api.md 4.5. Clients make the first two; the others are made by the system."""

    LEAD = "lead"
    OUTGOING_CALL = "outgoing_call"
    INCOMING_EMAIL = "incoming_email"
    EMAIL_FOLLOWUP = "email_followup"
    MISSED_CALL = "missed_call"
    ANSWERED_DETACHED_CALL = "answered_detached_call"
    VOICEMAIL = "voicemail"
    OPPORTUNITY_DUE = "opportunity_due"
    INCOMING_SMS = "incoming_sms"


class Task(Keyed, Dated):
    """Something that a person is to do. `due_date` is a day (`due_at` null) or a moment."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="tasks", db_index=False)
    contact = models.ForeignKey(Contact, models.SET_NULL, related_name="tasks", null=True, blank=True)
    type = models.TextField(choices=TaskType.choices, default=TaskType.LEAD)
    assigned_to = plain_reference("crm.User", null=True, blank=True)
    text = models.TextField(blank=True, default="")
    due_date = models.DateField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    is_complete = models.BooleanField(default=False)
    priority = models.TextField(choices=[("high", "high"), ("medium", "medium")], null=True, blank=True)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["lead", "id"], name="task_lead"),
            models.Index(fields=["organization", "is_complete", "due_date", "id"], name="task_organization"),
            models.Index(fields=["organization", "id"], name="task_organization_id"),
        ]
