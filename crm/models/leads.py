"""Leads, their statuses and addresses, and the activity that a status change writes."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.organizations import Organization


class LeadStatus(Keyed, Dated):
    """A stage that a lead can be in. The organization's first one (by position) is the default.

    `slug` is made once, with the row, and never changes: other dialects address statuses by it.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="lead_statuses")
    label = models.TextField()
    slug = models.TextField(editable=False)
    position = models.IntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "lead statuses"
        constraints = [models.UniqueConstraint(fields=["organization", "slug"], name="lead_status_slug_unique")]

    def __str__(self) -> str:
        return self.label


class LiveLeads(models.Manager["Lead"]):
    """Leads that are not marked as deleted: what every read sees."""

    def get_queryset(self) -> models.QuerySet["Lead"]:
        return super().get_queryset().filter(deleted_at__isnull=True)


class Lead(Keyed, Dated):
    """A company or a person that one sells to.

    A deleted lead is a marked row (`deleted_at`) for 30 days: `objects` does not see it, nor what hangs on it.
    `custom` maps the key of a custom field (`CustomField.key`) to its value; a field without a value has no key.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    name = models.TextField(null=True, blank=True)
    description = models.TextField(null=True, blank=True)
    url = models.TextField(null=True, blank=True)
    # No constraint: checking it costs a look-up per lead of a bulk edit. `crm.statuses` locks a status that is about
    # to be used or deleted instead.
    status = models.ForeignKey(LeadStatus, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    custom = models.JSONField(default=dict, blank=True)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, editable=False)
    deleted_by_action = models.UUIDField(null=True, editable=False)

    objects = LiveLeads()
    all_objects = models.Manager()

    class Meta:
        base_manager_name = "all_objects"
        indexes = [
            # Of live leads alone: what counts them need not look at the rows.
            models.Index(
                fields=["organization", "date_created", "id"],
                name="lead_organization_created",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["organization", "status", "id"],
                name="lead_organization_status",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(fields=["deleted_at"], name="lead_deleted", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name or str(self.pk)


class Address(Keyed):
    """A postal address of a lead, in the order given."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="addresses")
    position = models.SmallIntegerField(default=0)
    label = models.TextField(null=True, blank=True)
    address_1 = models.TextField(null=True, blank=True)
    address_2 = models.TextField(null=True, blank=True)
    city = models.TextField(null=True, blank=True)
    state = models.TextField(null=True, blank=True)
    zipcode = models.TextField(null=True, blank=True)
    country = models.TextField(null=True, blank=True, help_text="Two-letter code.")

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "addresses"


class LeadStatusChange(Keyed):
    """The activity that says: this lead went from one status to another. One per lead really changed."""

    organization = plain_reference("crm.Organization")
    lead = plain_reference("crm.Lead")
    old_status = plain_reference("crm.LeadStatus", null=True)
    new_status = plain_reference("crm.LeadStatus")
    user = plain_reference("crm.User", null=True)
    bulk_action_id = models.UUIDField(null=True)
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["lead", "id"], name="status_change_lead"),
            models.Index(fields=["organization", "id"], name="status_change_organization"),
        ]
