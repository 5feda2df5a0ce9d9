"""What a write does to the custom fields of one record."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from crm.custom_fields import hold_field
from crm.custom_values import Stored, add_values, remove_values
from crm.errors import FieldErrors
from crm.models import CustomField


class Operation(Enum):
    SET = "set"  # also to None: the field gets no value
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True)
class CustomChange:
    """`value` is in stored form (`crm.custom_values.clean_value`); ADD and REMOVE need a field with multiple values."""

    field: CustomField
    operation: Operation
    value: Stored | None


def hold_fields(changes: Iterable[CustomChange]) -> None:
    """Keep the fields from being deleted until this transaction ends. `FieldErrors` for one that is gone already.

    Without it a value written just then would stay in the record for good, under a key that means nothing.
    """
    fields = {change.field.pk: change.field for change in changes}
    for field in sorted(fields.values(), key=lambda field: field.pk):
        if not hold_field(field.pk, field.organization_id):
            raise FieldErrors({f"custom.cf_{field.key}": "Object does not exist."})


def changed_custom(custom: dict[str, Stored], changes: Iterable[CustomChange]) -> dict[str, Stored]:
    """`custom` with the changes made, in order. A field left without a value has no key.

    Raises `FieldErrors` where an addition would give a field too many values.
    """
    result = dict(custom)
    for change in changes:
        key = change.field.key
        match change.operation:
            case Operation.SET:
                value = change.value
            case Operation.ADD:
                value = add_values(result.get(key), change.value, path=f"custom.cf_{key}")
            case Operation.REMOVE:
                value = remove_values(result.get(key), change.value)
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result
