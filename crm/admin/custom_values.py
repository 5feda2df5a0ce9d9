"""Showing the custom values of a record by the names of their fields."""

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from crm.models import Contact, CustomField, Lead, Opportunity


def custom_values_of(record: Lead | Contact | Opportunity, object_type: str) -> SafeString | str:
    """`Name: value` lines in the order of the fields; `-` without any."""
    fields = CustomField.objects.filter(organization_id=record.organization_id, object_type=object_type)
    shown = [(field.name, _text(record.custom[field.key])) for field in fields if field.key in record.custom]
    return format_html_join("", "<div><strong>{}</strong>: {}</div>", shown) or "-"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
