"""Custom fields as Close's clients write them (close-api.md 4.1), the deprecated forms included."""

from collections.abc import Mapping
from uuid import UUID

from crm.custom_changes import CustomChange, Operation
from crm.custom_values import clean_value
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.models import CustomField, FieldObject

UNKNOWN_FIELD = "There is no such custom field."
_SUFFIXES = {".add": Operation.ADD, ".remove": Operation.REMOVE}


class CustomFields:
    """The fields of one kind of record in one organization. Read from the database at the first need, once."""

    def __init__(self, organization_id: UUID, object_type: FieldObject) -> None:
        self._query = CustomField.objects.filter(organization_id=organization_id, object_type=object_type)
        self._by_id: dict[UUID, CustomField] | None = None
        self._by_name: dict[str, CustomField] = {}

    def find(self, text: str) -> CustomField | None:
        """The field of that id, else of exactly that name."""
        if self._by_id is None:
            self._by_id = {field.pk: field for field in self._query}
            self._by_name = {field.name: field for field in self._by_id.values()}
        key = parse_close_id("cf", text)
        return (self._by_id.get(key) if key else None) or self._by_name.get(text)


def read_custom(body: Mapping[str, object], fields: CustomFields) -> list[CustomChange]:
    """What `body` says of custom fields: `custom: {name: value}`, `custom.<id or name>`, `custom.<id>.add`/`.remove`.

    The single keys come after the object, so that they win; additions and removals come last. Raises `FieldErrors`
    with all that is wrong, each under the key as written.
    """
    changes: list[CustomChange] = []
    problems: dict[str, object] = {}
    for path, text, value in _written(body, problems):
        try:
            changes.append(_change(path, text, value, fields))
        except FieldErrors as problem:
            problems |= problem.field_errors
    if problems:
        raise FieldErrors(problems)
    return sorted(changes, key=lambda change: change.operation is not Operation.SET)


def _written(body: Mapping[str, object], problems: dict[str, object]) -> list[tuple[str, str, object]]:
    """(key as written, id or name, value) of each custom field in the body."""
    written: list[tuple[str, str, object]] = []
    by_name = body.get("custom")
    if isinstance(by_name, dict):
        written += [(f"custom.{name}", name, value) for name, value in by_name.items()]
    elif by_name is not None:
        problems["custom"] = "Value must be an object."
    written += [(key, key[len("custom.") :], value) for key, value in body.items() if key.startswith("custom.")]
    return written


def _change(path: str, text: str, value: object, fields: CustomFields) -> CustomChange:
    field, operation = fields.find(text), Operation.SET
    for suffix, other in _SUFFIXES.items():
        # A field may be called "x.add": its own name goes first.
        if field is None and text.endswith(suffix):
            field, operation = fields.find(text.removesuffix(suffix)), other
    if field is None:
        raise FieldErrors({path: UNKNOWN_FIELD})
    if operation is not Operation.SET and not field.accepts_multiple_values:
        raise FieldErrors({path: "This field has a single value: nothing can be added to it or removed from it."})
    return CustomChange(field, operation, clean_value(field, value, path=path))
