"""What the language speaks of: object types, their fields, how a value is reached, and how objects are related.

Names: close-api.md 3.4 and 3.5. A text that is empty is no value; counts of nothing are 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, Exists, Expression, F, IntegerField, Model, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower, NullIf, Trim

from crm.models import Address, Contact, ContactEmail, ContactPhone, ContactUrl, FieldType, Lead, Suppression
from search.expressions import (
    CountOf,
    CustomTexts,
    IsPresent,
    Joined,
    TextArray,
    Together,
    Unnest,
    text_array,
    text_value,
)
from search.nodes import Kind
from search.unsupported import UNSUPPORTED_LEAD_FIELDS

CustomKeys = Mapping[str, tuple[str, ...]]  # by object type: the keys of custom fields whose values are texts


@dataclass(frozen=True)
class Field:
    """A regular field. `reference` says what an id-valued one refers to."""

    kind: Kind
    value: Callable[[], Expression]
    reference: str | None = None


@dataclass(frozen=True)
class ObjectType:
    """`documents` gives everything that the object says, one text per value."""

    name: str
    objects: Callable[[], QuerySet[Model]]
    documents: Callable[[CustomKeys], Expression]
    fields: Mapping[str, Field]
    prefix: str | None = None
    has_custom_fields: bool = False
    unsupported_fields: frozenset[str] = field(default_factory=frozenset)


# --- values -----------------------------------------------------------------------------------------------------------
def _text(column: str, kind: Kind = Kind.TEXT) -> Field:
    return Field(kind, lambda: NullIf(F(column), text_value("")))


def _column(column: str, kind: Kind, reference: str | None = None) -> Field:
    return Field(kind, lambda: F(column), reference)


def _count(objects: Callable[[], QuerySet[Model]]) -> Field:
    return Field(Kind.NUMBER, lambda: CountOf(objects().order_by().values("pk")))


def _present(column: str) -> Expression:
    return NullIf(F(column), text_value(""))


def _contact_name() -> Expression:
    """What was typed as the name, else first and last name."""
    parts = Joined(_present("first_name"), _present("last_name"))
    return Coalesce(_present("name"), NullIf(parts, text_value("")))


def _display_name() -> Expression:
    """The lead's name, else what its first contact is known by: a name, an e-mail address or a number."""
    emails = ContactEmail.objects.filter(contact_id=OuterRef("pk")).order_by("position", "pk").values("email")
    phones = ContactPhone.objects.filter(contact_id=OuterRef("pk")).order_by("position", "pk").values("phone")
    known_by = Coalesce(_contact_name(), Subquery(emails[:1]), Subquery(phones[:1]))
    first = Contact.objects.filter(lead_id=OuterRef("pk")).order_by("position", "pk").annotate(known_by=known_by)
    return Coalesce(_present("name"), Subquery(first.values("known_by")[:1]))


def _is_unsubscribed() -> Expression:
    return Exists(
        Suppression.objects.filter(
            organization_id=OuterRef("organization_id"),
            address=Lower(Trim(OuterRef("email"))),
            reason=Suppression.Reason.UNSUBSCRIBED,
        )
    )


def _all_urls_count() -> Expression:
    own = Case(When(IsPresent(_present("url")), then=Value(1)), default=Value(0), output_field=IntegerField())
    return own + CountOf(ContactUrl.objects.filter(contact__lead_id=OuterRef("pk")).order_by().values("pk"))


_ADDRESS_PARTS = ("address_1", "address_2", "city", "state", "zipcode", "country")


def _location() -> Expression:
    """The whole address as one text."""
    return NullIf(Joined(*(_present(part) for part in _ADDRESS_PARTS)), text_value(""))


# --- documents --------------------------------------------------------------------------------------------------------
def _texts_of(objects: QuerySet[Model], column: str) -> Expression:
    return ArraySubquery(objects.order_by().values(column))


def _contact_documents(keys: CustomKeys) -> Expression:
    return Together(
        TextArray(_contact_name(), F("title")),
        _texts_of(ContactEmail.objects.filter(contact_id=OuterRef("pk")), "email"),
        _texts_of(ContactPhone.objects.filter(contact_id=OuterRef("pk")), "phone"),
        _texts_of(ContactUrl.objects.filter(contact_id=OuterRef("pk")), "url"),
        CustomTexts(F("custom"), text_array(keys.get("contact", ()))),
    )


def _address_documents(keys: CustomKeys) -> Expression:
    return TextArray(*(F(part) for part in _ADDRESS_PARTS))


def _lead_documents(keys: CustomKeys) -> Expression:
    contacts = Contact.objects.filter(lead_id=OuterRef("pk")).annotate(document=Unnest(_contact_documents(keys)))
    addresses = Address.objects.filter(lead_id=OuterRef("pk")).annotate(document=Unnest(_address_documents(keys)))
    return Together(
        TextArray(F("name"), F("description"), F("url")),
        CustomTexts(F("custom"), text_array(keys.get("lead", ()))),
        _texts_of(addresses, "document"),
        _texts_of(contacts, "document"),
    )


def _own_text(column: str) -> Callable[[CustomKeys], Expression]:
    return lambda keys: TextArray(F(column))


# --- object types -----------------------------------------------------------------------------------------------------
_RECORD = {
    "created_by": _column("created_by_id", Kind.REFERENCE, "user"),
    "updated_by": _column("updated_by_id", Kind.REFERENCE, "user"),
    "date_created": _column("date_created", Kind.MOMENT),
    "date_updated": _column("date_updated", Kind.MOMENT),
}

_TYPES = [
    ObjectType(
        "lead",
        lambda: Lead.all_objects.all(),
        _lead_documents,
        {
            **_RECORD,
            "name": _text("name"),
            "display_name": Field(Kind.TEXT, _display_name),
            "description": _text("description"),
            "url": _text("url"),
            "status_id": _column("status_id", Kind.REFERENCE, "status.lead"),
            "addresses_count": _count(lambda: Address.objects.filter(lead_id=OuterRef("pk"))),
            "all_urls_count": Field(Kind.NUMBER, _all_urls_count),
        },
        prefix="lead",
        has_custom_fields=True,
        unsupported_fields=UNSUPPORTED_LEAD_FIELDS,
    ),
    ObjectType(
        "contact",
        lambda: Contact.objects.all(),
        _contact_documents,
        {
            **_RECORD,
            "lead_id": _column("lead_id", Kind.REFERENCE, "lead"),
            "name": Field(Kind.TEXT, _contact_name),
            "title": _text("title"),
            "emails_count": _count(lambda: ContactEmail.objects.filter(contact_id=OuterRef("pk"))),
            "phones_count": _count(lambda: ContactPhone.objects.filter(contact_id=OuterRef("pk"))),
            "urls_count": _count(lambda: ContactUrl.objects.filter(contact_id=OuterRef("pk"))),
        },
        prefix="cont",
        has_custom_fields=True,
    ),
    ObjectType(
        "contact_email",
        lambda: ContactEmail.objects.all(),
        _own_text("email"),
        {
            "email": _text("email"),
            "type": _text("type", Kind.CHOICE),
            "is_unsubscribed": Field(Kind.BOOLEAN, _is_unsubscribed),
        },
    ),
    ObjectType(
        "contact_phone",
        lambda: ContactPhone.objects.all(),
        _own_text("phone"),
        {"phone": _text("phone"), "type": _text("type", Kind.CHOICE)},
    ),
    ObjectType(
        "contact_url",
        lambda: ContactUrl.objects.all(),
        _own_text("url"),
        {"url": _text("url"), "type": _text("type", Kind.CHOICE)},
    ),
    ObjectType(
        "address",
        lambda: Address.objects.all(),
        _address_documents,
        {**{part: _text(part) for part in _ADDRESS_PARTS}, "location": Field(Kind.TEXT, _location)},
    ),
]
OBJECT_TYPES: Mapping[str, ObjectType] = {object_type.name: object_type for object_type in _TYPES}
RESULT_TYPES = ("lead", "contact")
DEFAULT_TYPE = "lead"

UNSUPPORTED_TYPES = frozenset(
    {
        "opportunity",
        "activity.email",
        "activity.call",
        "activity.note",
        "activity.sms",
        "activity.meeting",
        "activity.custom_activity",
        "activity.whatsapp_message",
        "activity.form_submission",
        "task",
        "sequence_subscription",
        "custom_object",
    }
)

# (this, related): the path on the related object, and the one on this object, that hold the same key.
RELATIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("lead", "contact"): ("lead_id", "pk"),
    ("lead", "address"): ("lead_id", "pk"),
    ("lead", "contact_email"): ("contact__lead_id", "pk"),
    ("lead", "contact_phone"): ("contact__lead_id", "pk"),
    ("lead", "contact_url"): ("contact__lead_id", "pk"),
    ("contact", "lead"): ("pk", "lead_id"),
    ("contact", "contact_email"): ("contact_id", "pk"),
    ("contact", "contact_phone"): ("contact_id", "pk"),
    ("contact", "contact_url"): ("contact_id", "pk"),
    ("contact_email", "contact"): ("pk", "contact_id"),
    ("contact_phone", "contact"): ("pk", "contact_id"),
    ("contact_url", "contact"): ("pk", "contact_id"),
    ("contact_email", "lead"): ("pk", "contact__lead_id"),
    ("contact_phone", "lead"): ("pk", "contact__lead_id"),
    ("contact_url", "lead"): ("pk", "contact__lead_id"),
    ("address", "lead"): ("pk", "lead_id"),
}

# --- custom fields ----------------------------------------------------------------------------------------------------
KIND_OF_CUSTOM: Mapping[str, Kind] = {
    FieldType.TEXT: Kind.TEXT,
    FieldType.TEXTAREA: Kind.TEXT,
    FieldType.HIDDEN: Kind.TEXT,
    FieldType.CHOICES: Kind.CHOICE,
    FieldType.NUMBER: Kind.NUMBER,
    FieldType.DATE: Kind.DATE,
    FieldType.DATETIME: Kind.MOMENT,
    FieldType.USER: Kind.REFERENCE,
    FieldType.CONTACT: Kind.REFERENCE,
    FieldType.CUSTOM_OBJECT: Kind.REFERENCE,
}
TYPES_IN_DOCUMENTS = (FieldType.TEXT, FieldType.TEXTAREA, FieldType.HIDDEN, FieldType.CHOICES)

# What an id-valued field refers to: the prefix of its ids; and what the `reference_type` of a condition means.
ID_PREFIX: Mapping[str, str] = {
    "user": "user",
    "status.lead": "stat",
    "lead": "lead",
    "contact": "cont",
    "custom_object": "custobj",
}
REFERENCE_TYPES: Mapping[str, str] = {
    "user": "user",
    "user_or_group": "user",
    "status.lead": "status.lead",
    "status.opportunity": "status.opportunity",
    "sequence": "sequence",
    "lead": "lead",
    "contact": "contact",
    "custom_object": "custom_object",
}
