"""Custom fields: making, changing and deleting them (close-api.md 4.6)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now

from crm.errors import FieldErrors, NotFound
from crm.locks import hold_row, lock_customizations
from crm.models import CustomField, FieldObject, FieldType, Organization, Role, User
from crm.slugs import unique_slug
from crm.text import clean_name, clean_text

MULTIPLE = frozenset({FieldType.CHOICES, FieldType.USER, FieldType.CONTACT, FieldType.CUSTOM_OBJECT})
LONGEST_DESCRIPTION = 280  # characters
_MOST_CHOICES = 5000
_ROWS_PER_SWEEP = 5000  # records whose value is removed in one transaction

# Types whose values are stored alike: the one can become the other without touching a record.
_PLAIN_TEXT = frozenset({FieldType.TEXT, FieldType.TEXTAREA, FieldType.HIDDEN})

# Where the slug maps of gomega show a column of the record (gomega-api.md 4).
_RESERVED_SLUGS = {FieldObject.LEAD: frozenset({"lead_line"})}

_TABLE_OF = {
    FieldObject.LEAD: "crm_lead",
    FieldObject.CONTACT: "crm_contact",
    FieldObject.OPPORTUNITY: "crm_opportunity",
}


def hold_field(field_id: UUID | str, organization_id: UUID) -> bool:
    """Keep the field from being deleted until this transaction ends; False when the organization has none such."""
    return hold_row(CustomField, "id = %s AND organization_id = %s", [field_id, organization_id]) is not None


@transaction.atomic
def create_field(
    *, organization: Organization, object_type: FieldObject, properties: Mapping[str, object], by: User | None = None
) -> CustomField:
    """A new field at the end of its list, from `name`*, `type`*, `choices`, `accepts_multiple_values`, `description`
    and `editable_with_roles`; other keys are ignored. Raises `FieldErrors` with all that is wrong.
    """
    lock_customizations(organization.pk)
    field = CustomField(organization=organization, object_type=object_type, created_by=by, updated_by=by)
    given = {"name": None, "type": None, **properties}
    _apply(field, given)
    siblings = CustomField.objects.filter(organization=organization, object_type=object_type)
    reserved = _RESERVED_SLUGS.get(object_type, frozenset())
    field.slug = unique_slug(field.name, {*siblings.values_list("slug", flat=True), *reserved})
    last = siblings.aggregate(last=Max("position"))["last"]
    field.position = 0 if last is None else last + 1
    field.save(force_insert=True)
    field.refresh_from_db()
    return field


@transaction.atomic
def update_field(*, field: CustomField, properties: Mapping[str, object], by: User | None = None) -> CustomField:
    """Change what `properties` names, as in `create_field`. The slug stays, and so do stored values: a type that stores
    them otherwise, or another `accepts_multiple_values`, is refused; a choice taken away stays where it is set.
    """
    lock_customizations(field.organization_id)
    # What the caller has read may be old by now, and gone.
    current = CustomField.objects.filter(pk=field.pk).first()
    if current is None:
        raise NotFound
    _apply(current, properties)
    current.updated_by = by
    current.date_updated = Now()
    current.save(
        update_fields=["name", "type", "choices", "description", "editable_with_roles", "updated_by", "date_updated"]
    )
    current.refresh_from_db()
    return current


def delete_field(*, field: CustomField) -> None:
    """Delete the field, then its values in all records, those of deleted leads included.

    The field goes first, once nobody holds it any more; without it nobody sees its values. They are then removed in
    short transactions, so that neither writers nor bulk actions wait for long.
    """
    with transaction.atomic():
        lock_customizations(field.organization_id)
        if not CustomField.objects.filter(pk=field.pk).delete()[0]:
            raise NotFound
    _remove_values(_TABLE_OF[FieldObject(field.object_type)], field.organization_id, field.key)


@transaction.atomic
def order_fields(*, organization: Organization, object_type: FieldObject, first: Sequence[UUID]) -> None:
    """Put these fields first, in this order; the others follow in the order they had. Unknown ids: `FieldErrors`."""
    lock_customizations(organization.pk)
    fields = {
        field.pk: field for field in CustomField.objects.filter(organization=organization, object_type=object_type)
    }
    if any(key not in fields for key in first):
        raise FieldErrors({"fields": "Object does not exist."})
    ordered = [fields[key] for key in dict.fromkeys([*first, *fields])]
    for position, field in enumerate(ordered):
        field.position = position
    CustomField.objects.bulk_update(ordered, ["position"])


def _apply(field: CustomField, properties: Mapping[str, object]) -> None:
    problems: dict[str, object] = {}
    for name, setter in _SETTERS.items():
        if name in properties:
            try:
                setter(field, properties[name])
            except FieldErrors as problem:
                problems |= problem.field_errors
    if problems:
        raise FieldErrors(problems)


def _set_name(field: CustomField, value: object) -> None:
    if value is None:
        raise FieldErrors({"name": "This field is required."})
    name = clean_name(value, path="name")
    namesakes = CustomField.objects.filter(
        organization_id=field.organization_id, object_type=field.object_type, name=name
    )
    if namesakes.exclude(pk=None if field._state.adding else field.pk).exists():
        raise FieldErrors({"name": "There is a field with this name already."})
    field.name = name


def _set_type(field: CustomField, value: object) -> None:
    if value is None:
        raise FieldErrors({"type": "This field is required."})
    if not isinstance(value, str) or value not in FieldType.values:
        raise FieldErrors({"type": f"Not a valid choice. One of: {', '.join(FieldType.values)}."})
    if not field._state.adding and value != field.type and not {value, field.type} <= _PLAIN_TEXT:
        raise FieldErrors({"type": f"A field of the type '{field.type}' cannot become one of the type '{value}'."})
    field.type = value


def _set_multiple(field: CustomField, value: object) -> None:
    if not isinstance(value, bool):
        raise FieldErrors({"accepts_multiple_values": "Value must be true or false."})
    if not field._state.adding and value != field.accepts_multiple_values:
        raise FieldErrors({"accepts_multiple_values": "This cannot be changed once the field is made."})
    if value and field.type and field.type not in MULTIPLE:
        raise FieldErrors({"accepts_multiple_values": f"A field of the type '{field.type}' has a single value."})
    field.accepts_multiple_values = value


def _set_choices(field: CustomField, value: object) -> None:
    values = [] if value is None else value
    if not isinstance(values, list):
        raise FieldErrors({"choices": "Value must be a list."})
    if values and field.type and field.type != FieldType.CHOICES:
        raise FieldErrors({"choices": "Only a field of the type 'choices' has choices."})
    if len(values) > _MOST_CHOICES:
        raise FieldErrors({"choices": f"List is too long: at most {_MOST_CHOICES} choices."})
    choices = [clean_name(choice, path="choices") for choice in values]
    if len(set(choices)) < len(choices):
        raise FieldErrors({"choices": "Each choice may stand in the list once."})
    field.choices = choices


def _set_description(field: CustomField, value: object) -> None:
    field.description = None if value is None else clean_text(value, path="description", limit=LONGEST_DESCRIPTION)


def _set_roles(field: CustomField, value: object) -> None:
    roles = [] if value is None else value
    if not isinstance(roles, list) or any(not isinstance(role, str) or role not in Role.values for role in roles):
        raise FieldErrors({"editable_with_roles": f"Value must be a list of roles: {', '.join(Role.values)}."})
    field.editable_with_roles = list(dict.fromkeys(roles))


# The type comes before what depends on it.
_SETTERS = {
    "name": _set_name,
    "type": _set_type,
    "accepts_multiple_values": _set_multiple,
    "choices": _set_choices,
    "description": _set_description,
    "editable_with_roles": _set_roles,
}


def _remove_values(table: str, organization_id: UUID, key: str) -> None:
    """Walk the organization's records in the order of an index, and lock each page in the order of the keys, as bulk
    actions do: two that take rows in the same order cannot block each other for good.
    """
    page = f"""
        SELECT id, date_created FROM {table}
        WHERE organization_id = %s AND custom ? %s AND (%s::timestamptz IS NULL OR (date_created, id) > (%s, %s))
        ORDER BY date_created, id LIMIT {_ROWS_PER_SWEEP}"""
    remove = f"""
        UPDATE {table} SET custom = custom - %s WHERE id IN (
            SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)"""
    last_id, last_date = None, None
    with connection.cursor() as cursor:
        while True:
            cursor.execute(page, [organization_id, key, last_date, last_date, last_id])
            rows = cursor.fetchall()
            if not rows:
                return
            cursor.execute(remove, [key, [row[0] for row in rows]])
            last_id, last_date = rows[-1]
