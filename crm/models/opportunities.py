"""Deals: pipelines, the statuses in them, and opportunities."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.contacts import Contact
from crm.models.leads import Lead
from crm.models.organizations import Organization


class Pipeline(Keyed, Dated):
    """An ordered row of opportunity statuses. The organization's first one (by position) is the default."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="pipelines")
    name = models.TextField()
    position = models.IntegerField(default=0)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class StatusType(models.TextChoices):
    ACTIVE = "active"
    WON = "won"
    LOST = "lost"


class OpportunityStatus(Keyed, Dated):
    """A stage of a pipeline. `slug` is made once, with the row, and never changes.

    `probability` is the confidence of a deal that enters the stage, where a dialect asks for that.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="opportunity_statuses")
    pipeline = models.ForeignKey(Pipeline, models.PROTECT, related_name="statuses")
    label = models.TextField()
    slug = models.TextField(editable=False)
    type = models.TextField(choices=StatusType.choices, default=StatusType.ACTIVE)
    probability = models.SmallIntegerField(null=True, blank=True, help_text="Per cent.")
    position = models.IntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "opportunity statuses"
        constraints = [models.UniqueConstraint(fields=["pipeline", "slug"], name="opportunity_status_slug_unique")]

    def __str__(self) -> str:
        return self.label


class ValuePeriod(models.TextChoices):
    ONE_TIME = "one_time"
    MONTHLY = "monthly"
    ANNUAL = "annual"


class LiveOpportunities(models.Manager["Opportunity"]):
    """Opportunities that are not themselves marked as deleted. Whether their lead is, each read asks for itself."""

    def get_queryset(self) -> models.QuerySet["Opportunity"]:
        return super().get_queryset().filter(deleted_at__isnull=True)


class Opportunity(Keyed, Dated):
    """A deal. `value` is in hundredths of the organization's currency. Some dialects know deals without a lead.

    A deal deleted by BlueAI is a marked row (`deleted_at`) for 30 days, as a lead is: `objects` does not see it.
    `detached_from` is the lead that was deleted over its head (`crm.companies`).
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="opportunities", null=True, blank=True, db_index=False)
    contact = models.ForeignKey(Contact, models.SET_NULL, related_name="opportunities", null=True, blank=True)
    user = plain_reference("crm.User", null=True, blank=True)
    status = models.ForeignKey(OpportunityStatus, models.PROTECT, related_name="opportunities")
    name = models.TextField(null=True, blank=True)
    value = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, null=True, blank=True, help_text="Null: the organization's.")
    value_period = models.TextField(choices=ValuePeriod.choices, default=ValuePeriod.ONE_TIME)
    confidence = models.SmallIntegerField(default=50, help_text="Per cent.")
    note = models.TextField(null=True, blank=True)
    date_won = models.DateField(null=True, blank=True)
    date_lost = models.DateTimeField(null=True, blank=True)
    lost_reason = models.TextField(null=True, blank=True)
    expected_close_date = models.DateField(null=True, blank=True)
    custom = models.JSONField(default=dict, blank=True)
    detached_from = models.UUIDField(null=True, blank=True, editable=False)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, editable=False)
    deleted_by_action = models.UUIDField(null=True, editable=False)

    objects = LiveOpportunities()
    all_objects = models.Manager()

    class Meta:
        base_manager_name = "all_objects"
        verbose_name_plural = "opportunities"
        indexes = [
            models.Index(fields=["lead", "id"], name="opportunity_lead"),
            models.Index(fields=["organization", "date_updated", "id"], name="opportunity_org_updated"),
            models.Index(fields=["organization", "date_created", "id"], name="opportunity_org_created"),
            models.Index(fields=["deleted_at"], name="opportunity_deleted", condition=Q(deleted_at__isnull=False)),
            models.Index(
                fields=["detached_from"], name="opportunity_detached", condition=Q(detached_from__isnull=False)
            ),
        ]


class OpportunityStatusChange(Keyed):
    """The activity that says: this opportunity went from one status to another (`old_status` null: made in it)."""

    organization = plain_reference("crm.Organization")
    opportunity = plain_reference("crm.Opportunity")
    lead = plain_reference("crm.Lead", null=True)
    old_status = plain_reference("crm.OpportunityStatus", null=True)
    new_status = plain_reference("crm.OpportunityStatus")
    user = plain_reference("crm.User", null=True)
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["opportunity", "id"], name="opportunity_change")]
