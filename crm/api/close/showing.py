"""What the answers of all kinds of records share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from crm.custom_values import Stored, show_value
from crm.ids import close_id
from crm.models import CustomField, FieldObject

Shown = dict[str, object]


def shown_id(prefix: str, key: UUID | None) -> str | None:
    return None if key is None else close_id(prefix, key)


def naive_datetime(moment: datetime) -> str:
    """`2031-03-10T14:21:15.270359`, meaning UTC: how the newer kinds of objects spell it (close-api.md 1.9)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def custom_fields_of(organization_id: UUID, object_type: FieldObject) -> dict[str, CustomField]:
    """The custom fields of a kind of record, by their keys in `custom`."""
    found = CustomField.objects.filter(organization_id=organization_id, object_type=object_type)
    return {custom_field.key: custom_field for custom_field in found}


def show_custom(custom: Mapping[str, Stored], fields: Mapping[str, CustomField]) -> Shown:
    """`custom.cf_…` for each field with a value, and the same by field name under `custom`."""
    values = {key: show_value(fields[key], stored) for key, stored in custom.items() if key in fields}
    by_name = {fields[key].name: value for key, value in values.items()}
    return {**{f"custom.cf_{key}": value for key, value in values.items()}, "custom": by_name}
