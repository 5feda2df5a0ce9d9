"""What a bulk edit is to do (close-api.md 2.6)."""

from collections.abc import Mapping
from uuid import UUID

from crm.auth import Caller
from crm.custom_values import clean_value, show_value
from crm.errors import FieldErrors
from crm.ids import close_id, parse_close_id
from crm.models import CustomField, LeadStatus

_TYPES = ("set_lead_status", "set_custom_field", "clear_custom_field")
_LATER = (
    "set_contact_custom_field", "clear_contact_custom_field",
    "set_activity_custom_field", "clear_activity_custom_field",
    "set_global_custom_field", "clear_global_custom_field", "set_opportunity_custom_field",
    "clear_opportunity_custom_field", "set_custom_object_custom_field", "clear_custom_object_custom_field",
)  # fmt: skip
_OPERATIONS = ("replace", "add", "remove")
_REQUIRED = "This field is required."


def edit_params(body: Mapping[str, object], caller: Caller) -> dict[str, object]:
    """The `params` of a bulk edit (shapes: `bulk_actions.actions.edit.Edit`). Raises `FieldErrors`."""
    type_ = body.get("type")
    if type_ is None:
        raise FieldErrors({"type": _REQUIRED})
    if type_ == "set_lead_status":
        return {"type": type_, "status_id": _status(body, caller)}
    if type_ not in _TYPES:
        raise FieldErrors({"type": "Not supported yet." if type_ in _LATER else "Not a valid choice."})
    field = _field(body, caller)
    params: dict[str, object] = {"type": type_, "field_id": str(field.pk), "field_key": field.key}
    if type_ == "clear_custom_field":
        return {**params, "operation": "clear", "value": None}
    return {**params, **_value(body, field)}


def _status(body: Mapping[str, object], caller: Caller) -> str:
    given = body.get("lead_status_id")
    if given is None:
        raise FieldErrors({"lead_status_id": _REQUIRED})
    key = parse_close_id("stat", given)
    if key is None or not LeadStatus.objects.filter(pk=key, organization=caller.organization).exists():
        raise FieldErrors({"lead_status_id": "Object does not exist."})
    return str(key)


def _field(body: Mapping[str, object], caller: Caller) -> CustomField:
    given, name = body.get("custom_field_id"), body.get("custom_field_name")
    if (given is None) == (name is None):
        problem = "Give either custom_field_id or custom_field_name" + (", not both." if given is not None else ".")
        raise FieldErrors({"custom_field_id": problem})
    fields = CustomField.objects.filter(organization=caller.organization, object_type="lead")
    if given is not None:
        key = parse_close_id("cf", given)
        field = fields.filter(pk=key).first() if key else None
        where = "custom_field_id"
    else:
        field = fields.filter(name=name).first() if isinstance(name, str) else None
        where = "custom_field_name"
    if field is None:
        raise FieldErrors({where: "Object does not exist."})
    return field


def _value(body: Mapping[str, object], field: CustomField) -> dict[str, object]:
    operation = body.get("custom_field_operation")
    if operation is not None and operation not in _OPERATIONS:
        raise FieldErrors({"custom_field_operation": "Not a valid choice."})
    if operation in ("add", "remove") and not field.accepts_multiple_values:
        raise FieldErrors({"custom_field_operation": f"{field.name} takes a single value: only replace is possible."})
    single, several = body.get("custom_field_value"), body.get("custom_field_values")
    if single is not None and several is not None:
        raise FieldErrors({"custom_field_values": "Give either custom_field_value or custom_field_values, not both."})
    path = "custom_field_value" if several is None else "custom_field_values"
    value = clean_value(field, single if several is None else several, path=path)
    if value is None:
        raise FieldErrors({path: _REQUIRED + " To empty the field use clear_custom_field."})
    return {"operation": operation or "replace", "value": value, "shown_value": show_value(field, value)}


def show_edit(params: Mapping[str, object], field_names: Mapping[str, str]) -> dict[str, object]:
    """The keys that an edit adds to the answer. `field_names`: by field id."""
    status, field_id, shown = params.get("status_id"), params.get("field_id"), params.get("shown_value")
    several = isinstance(shown, list)
    return {
        "type": params["type"],
        "lead_status_id": close_id("stat", UUID(str(status))) if status else None,
        "custom_field_id": close_id("cf", UUID(str(field_id))) if field_id else None,
        "custom_field_name": field_names.get(str(field_id)),
        "custom_field_value": None if several or shown is None else str(shown),
        "custom_field_values": shown if several else None,
        "custom_field_operation": params["operation"] if params["type"] == "set_custom_field" else None,
    }
