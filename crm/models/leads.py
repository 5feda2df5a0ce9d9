"""Leads, their statuses and addresses, and the activity that a status change writes."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.match_keys import EmailKey, PhoneKey
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


class Lifecycle(models.TextChoices):
    """Where a lead stands beside its stage (gomega-api.md 4)."""

    ACTIVE = "active"
    WON = "won"
    LOST = "lost"
    NURTURE = "nurture"
    ARCHIVED = "archived"  # out of the way, not deleted


class SourcePlatform(models.TextChoices):
    """Through whom a lead came (gomega-api.md 4)."""

    GOOGLE_ADS = "google_ads"
    META_ADS = "meta_ads"
    GOOGLE_ORGANIC = "google_organic"
    DIRECT = "direct"
    REFERRAL = "referral"
    HUBSPOT = "hubspot"
    ZOHO = "zoho"
    GHL = "ghl"
    SHOPIFY = "shopify"
    ZENMAID = "zenmaid"
    LEAD_DOCKET = "lead_docket"
    SALESFORCE = "salesforce"


class SourceType(models.TextChoices):
    """How a lead came (gomega-api.md 4)."""

    FORM = "form"
    PHONE_CALL = "phone_call"
    EMAIL = "email"
    CHAT = "chat"
    SMS = "sms"
    MANUAL = "manual"
    IMPORT = "import"


class LiveLeads(models.Manager["Lead"]):
    """Leads that are not marked as deleted: what every read sees."""

    def get_queryset(self) -> models.QuerySet["Lead"]:
        return super().get_queryset().filter(deleted_at__isnull=True)


class Lead(Keyed, Dated):
    """A company or a person that one sells to.

    A deleted lead is a marked row (`deleted_at`) for 30 days: `objects` does not see it, nor what hangs on it.
    `custom` maps the key of a custom field (`CustomField.key`) to its value; a field without a value has no key.
    The columns from `owner` to `employee_count` are those of the BlueAI and gomega dialects: `phone` and `email` are
    the company's own, not those of its contacts. `external_id` is the key that it has in another system, for imports.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    name = models.TextField(null=True, blank=True)
    description = models.TextField(null=True, blank=True)
    url = models.TextField(null=True, blank=True)
    # No constraint: checking it costs a look-up per lead of a bulk edit. `crm.statuses` locks a status that is about
    # to be used or deleted instead.
    status = models.ForeignKey(LeadStatus, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    custom = models.JSONField(default=dict, blank=True)
    owner = plain_reference("crm.User", null=True, blank=True)
    lifecycle = models.TextField(choices=Lifecycle.choices, default=Lifecycle.ACTIVE, db_default=Lifecycle.ACTIVE)
    source_platform = models.TextField(
        choices=SourcePlatform.choices, default=SourcePlatform.DIRECT, db_default=SourcePlatform.DIRECT
    )
    source_type = models.TextField(choices=SourceType.choices, default=SourceType.MANUAL, db_default=SourceType.MANUAL)
    lead_line = models.TextField(choices=[("buyer", "buyer"), ("seller", "seller")], null=True, blank=True)
    score = models.IntegerField(null=True, blank=True)
    qualified = models.BooleanField(null=True, blank=True)
    phone = models.TextField(null=True, blank=True)
    email = models.TextField(null=True, blank=True)
    industry = models.TextField(null=True, blank=True)
    name_kana = models.TextField(null=True, blank=True)
    department = models.TextField(null=True, blank=True)
    employee_count = models.IntegerField(null=True, blank=True)
    external_id = models.TextField(null=True, blank=True)
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
            models.Index(
                fields=["organization", "external_id"],
                name="lead_external_id",
                condition=Q(external_id__isnull=False),
            ),
            models.Index(F("organization"), EmailKey("email"), name="lead_email_key", condition=Q(email__isnull=False)),
            models.Index(F("organization"), PhoneKey("phone"), name="lead_phone_key", condition=Q(phone__isnull=False)),
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
