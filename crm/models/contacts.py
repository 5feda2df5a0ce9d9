"""People, and how to reach them."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Left, Lower, Trim

from crm.match_keys import EmailKey, PhoneKey
from crm.models.base import Dated, Keyed, plain_reference
from crm.models.leads import Lead
from crm.models.organizations import Organization


class Contact(Keyed, Dated):
    """A person, usually of a lead; some dialects know people without one. `note` is BlueAI's.

    `name` is what a person typed; `first_name` and `last_name` are kept only where a dialect gives them, and a write of
    `name` clears both. `detached_from` is the lead that was deleted over its head (`crm.companies`). `external_id` is
    the key that it has in another system, for imports.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", db_index=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="contacts", null=True, blank=True, db_index=False)
    name = models.TextField(null=True, blank=True)
    first_name = models.TextField(null=True, blank=True)
    last_name = models.TextField(null=True, blank=True)
    title = models.TextField(null=True, blank=True)
    position = models.IntegerField(default=0, help_text="Order among the contacts of the lead.")
    note = models.TextField(null=True, blank=True)
    external_id = models.TextField(null=True, blank=True)
    custom = models.JSONField(default=dict, blank=True)
    detached_from = models.UUIDField(null=True, blank=True, editable=False)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    class Meta:
        ordering = ["position", "id"]
        indexes = [
            models.Index(fields=["lead", "position", "id"], name="contact_lead_position"),
            models.Index(fields=["organization", "date_created", "id"], name="contact_organization_created"),
            models.Index(fields=["organization", "lead"], name="contact_organization_lead"),
            models.Index(
                fields=["organization", "external_id"],
                name="contact_external_id",
                condition=Q(external_id__isnull=False),
            ),
            models.Index(fields=["detached_from"], name="contact_detached", condition=Q(detached_from__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name or str(self.pk)


class ContactDetail(Keyed):
    """One way to reach a contact. `position` keeps the order given; `organization` is the contact's."""

    organization = plain_reference("crm.Organization")
    position = models.SmallIntegerField(default=0)
    type = models.TextField(default="office")

    class Meta:
        abstract = True
        ordering = ["position", "id"]


class ContactEmail(ContactDetail):
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="emails")
    email = models.TextField()

    class Meta(ContactDetail.Meta):
        # Who wrote an incoming mail. Cut off, since an index holds no text of any length.
        indexes = [
            models.Index("organization", Left(Lower(Trim("email")), 254), name="contact_email_address"),
            models.Index(F("organization"), EmailKey("email"), name="contact_email_key"),
        ]


class ContactPhone(ContactDetail):
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="phones")
    phone = models.TextField(help_text="International form (E.164) where the number could be read, else as typed.")

    class Meta(ContactDetail.Meta):
        indexes = [models.Index(F("organization"), PhoneKey("phone"), name="contact_phone_key")]


class ContactUrl(ContactDetail):
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="urls")
    url = models.TextField()
