"""Fields that an organization adds to its records."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from crm.ids import base62
from crm.models.base import Dated, Keyed, plain_reference
from crm.models.organizations import Organization


class FieldType(models.TextChoices):
    """close-api.md 4.6."""

    TEXT = "text"
    TEXTAREA = "textarea"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    CHOICES = "choices"
    USER = "user"
    CONTACT = "contact"
    CUSTOM_OBJECT = "custom_object"
    HIDDEN = "hidden"


class FieldObject(models.TextChoices):
    """What kind of record has the field."""

    LEAD = "lead"
    CONTACT = "contact"
    OPPORTUNITY = "opportunity"


class CustomField(Keyed, Dated):
    """A field of an organization's own. Its values lie in the `custom` JSON of the records, under `key`.

    Stored values: text, textarea, hidden, choices: string · number: number · date: "YYYY-MM-DD" · datetime: ISO 8601 in
    UTC with "+00:00" · user, contact, custom_object: the canonical uuid as text. With `accepts_multiple_values`, a list
    of those without duplicates, never empty. `slug` is made once and never changes.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="custom_fields")
    object_type = models.TextField(choices=FieldObject.choices)
    name = models.TextField()
    slug = models.TextField(editable=False)
    type = models.TextField(choices=FieldType.choices)
    accepts_multiple_values = models.BooleanField(default=False)
    choices = ArrayField(models.TextField(), default=list, blank=True)
    description = models.CharField(max_length=280, null=True, blank=True)
    editable_with_roles = ArrayField(models.TextField(), default=list, blank=True)
    position = models.IntegerField(default=0)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "object_type", "slug"], name="custom_field_slug_unique"),
            models.UniqueConstraint(fields=["organization", "object_type", "name"], name="custom_field_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """The field's key in `custom`: 22 characters, the Close id without its prefix."""
        return base62(self.pk)
