"""What templates see: contact, lead, user and organization, fetched for many contacts in a fixed number of queries.

A variable is there only with a value, so that a template can tell what is missing (`default`, policy `error`). All
values are plain texts, numbers, and the two classes below: a template finds nothing of Python behind them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Model, QuerySet

from crm.contacts import contact_name, contacts_of
from crm.custom_values import Stored, show_value
from crm.errors import Invalid
from crm.mail.addresses import normalise
from crm.mail.unsubscribe import link_for
from crm.models import (
    Address,
    Contact,
    ContactEmail,
    ContactPhone,
    CustomField,
    FieldObject,
    FieldType,
    Lead,
    Organization,
    User,
)

UNNAMED_LEAD = "Unnamed lead"
_LEAD_TEXTS = ("name", "url", "description")
_ADDRESS_TEXTS = ("address_1", "address_2", "city", "state", "zipcode", "country")

Context = Mapping[str, object]


class Fields(dict[str, object]):
    """A record. `{{ contact }}` itself reads as its name; `lead['custom.cf_…']` as `lead.custom['cf_…']`."""

    def __str__(self) -> str:
        return str(self.get("display_name") or self.get("name") or "")

    def __missing__(self, key: str) -> object:
        if isinstance(key, str) and key.startswith("custom."):
            return self["custom"][key.removeprefix("custom.")]
        raise KeyError(key)


class Several(tuple[object, ...]):
    """The values of a field that has several; printed with commas between them."""

    def __str__(self) -> str:
        return ", ".join(str(one) for one in self)


class Custom(Mapping[str, object]):
    """The custom fields of a record that have a value: by name, by slug, and as `cf_…`."""

    __slots__ = ("fields", "show", "stored")

    def __init__(self, fields: "Spellings", stored: Mapping[str, Stored], show: "Show") -> None:
        self.fields, self.stored, self.show = fields, stored, show

    def __getitem__(self, name: str) -> object:
        field, key = self.fields[name]
        value = self.show(field, self.stored[key])
        return Several(value) if isinstance(value, list) else value

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(field.name for field, key in self.fields.values() if key in self.stored))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __str__(self) -> str:
        return ""


Show = Callable[[CustomField, Stored], Stored | None]
Spellings = Mapping[str, tuple[CustomField, str]]  # with the field's key: making that takes longer than looking it up


def contexts_of(contact_ids: Sequence[UUID], *, user: User | None, organization: Organization) -> dict[UUID, Context]:
    """What a template sees of each contact when `user` writes. Without those that are gone, or whose lead is."""
    contacts = list(contacts_of(organization.pk).filter(pk__in=contact_ids).select_related("lead__status"))
    return _contexts(contacts, [contact.lead for contact in contacts if contact.lead], user, organization)[0]


def context_of_lead(lead: Lead, *, user: User | None, organization: Organization) -> Context:
    """What a template sees of a lead to whom no contact belongs."""
    return _contexts([], [lead], user, organization)[1][lead.pk]


def addressed(context: Context, address: str | None, *, organization: Organization, source_id: UUID | None) -> Context:
    """`context` for a mail to `address` that `source_id` asks for: its `contact.email`, and `unsubscribe_link`.

    Without an address it is that of `context`; one that nobody could write to has no link.
    """
    contact = context["contact"]
    assert isinstance(contact, Fields)
    to = address or contact.get("email")
    if to is None:
        return context
    known = {**context, "contact": Fields({**contact, "email": to})}
    try:
        return {**known, "unsubscribe_link": link_for(organization.pk, normalise(str(to)), source_id)}
    except Invalid:
        return known


def _contexts(
    contacts: Sequence[Contact], leads: Sequence[Lead], user: User | None, organization: Organization
) -> tuple[dict[UUID, Context], dict[UUID, Context]]:
    """By contact, and by lead without one."""
    keys = [contact.pk for contact in contacts]
    emails = _first(ContactEmail.objects.filter(contact_id__in=keys), "contact_id", "email")
    phones = _first(ContactPhone.objects.filter(contact_id__in=keys), "contact_id", "phone")
    addresses = _first(Address.objects.filter(lead_id__in={lead.pk for lead in leads}), "lead_id", *_ADDRESS_TEXTS)
    names = _display_names(leads)
    custom = _CustomFields.of(organization, [*contacts, *leads])
    around = {"user": _user(user), "organization": _organization(organization)}
    shown = {lead.pk: _lead(lead, names[lead.pk], addresses.get(lead.pk, ()), custom) for lead in leads}
    by_contact = {
        contact.pk: {
            **around,
            "contact": _contact(contact, *emails.get(contact.pk, (None,)), *phones.get(contact.pk, (None,)), custom),
            "lead": shown.get(contact.lead_id, Fields()),
        }
        for contact in contacts
    }
    return by_contact, {key: {**around, "contact": Fields(), "lead": lead} for key, lead in shown.items()}


@dataclass(frozen=True)
class _CustomFields:
    """The fields of the organization, by all their spellings, and how their values are shown."""

    of_contacts: Spellings
    of_leads: Spellings
    user_names: Mapping[str, str]

    @classmethod
    def of(cls, organization: Organization, records: Sequence[Contact | Lead]) -> "_CustomFields":
        fields = list(CustomField.objects.filter(organization=organization))
        of_users = [field.key for field in fields if field.type == FieldType.USER]
        users: set[str] = set()
        for record in records:
            for key in of_users:
                value = record.custom.get(key)
                users.update(value if isinstance(value, list) else [value] if value else [])
        found = User.objects.filter(pk__in=users) if users else ()
        spelled = {kind: _spellings(fields, kind) for kind in (FieldObject.CONTACT, FieldObject.LEAD)}
        names = {str(user.pk): user.full_name or user.email for user in found}
        return cls(spelled[FieldObject.CONTACT], spelled[FieldObject.LEAD], names)

    def show(self, field: CustomField, stored: Stored) -> Stored | None:
        """A user by name, all else as the API shows it."""
        if field.type != FieldType.USER:
            return show_value(field, stored)
        values = stored if isinstance(stored, list) else [stored]
        names = [self.user_names.get(str(value), "") for value in values]
        return names if isinstance(stored, list) else names[0]


def _spellings(fields: Sequence[CustomField], kind: FieldObject) -> Spellings:
    """A name goes before another field's slug."""
    own = [(field, field.key) for field in fields if field.object_type == kind]
    return {
        **{f"cf_{key}": (field, key) for field, key in own},
        **{field.slug: (field, key) for field, key in own},
        **{field.name: (field, key) for field, key in own},
    }


def _contact(contact: Contact, email: object, phone: object, custom: _CustomFields) -> Fields:
    name = contact_name(contact)
    # Who has only a name is called by its first word, as one does with names that are written that way round.
    first, _, last = (name or "").strip().partition(" ")
    texts = {
        "name": name,
        "display_name": name or email or phone,
        "first_name": contact.first_name or first,
        "last_name": contact.last_name or last.strip(),
        "title": contact.title,
        "email": email,
        "phone": phone,
    }
    return _fields(texts, custom=Custom(custom.of_contacts, contact.custom, custom.show))


def _lead(lead: Lead, display_name: str, address: Sequence[object], custom: _CustomFields) -> Fields:
    texts = {name: getattr(lead, name) for name in _LEAD_TEXTS}
    if address:
        texts["address"] = _fields(dict(zip(_ADDRESS_TEXTS, address, strict=True)))
    return _fields(
        {**texts, "display_name": display_name, "status_label": lead.status.label},
        custom=Custom(custom.of_leads, lead.custom, custom.show),
    )


def _display_names(leads: Sequence[Lead]) -> dict[UUID, str]:
    """The name of each lead, else that of its first contact."""
    nameless = [lead.pk for lead in leads if not lead.name]
    first: dict[UUID, Contact] = {}
    for contact in Contact.objects.filter(lead_id__in=nameless) if nameless else ():
        first.setdefault(contact.lead_id, contact)
    return {lead.pk: lead.name or (lead.pk in first and contact_name(first[lead.pk])) or UNNAMED_LEAD for lead in leads}


def _user(user: User | None) -> Fields:
    if user is None:
        return Fields()
    return _fields(
        {"first_name": user.first_name, "last_name": user.last_name, "name": user.full_name, "email": user.email}
    )


def _organization(organization: Organization) -> Fields:
    return _fields(
        {"name": organization.name, "postal_address": organization.postal_address, "currency": organization.currency}
    )


def _fields(texts: Mapping[str, object], **more: object) -> Fields:
    return Fields({name: value for name, value in texts.items() if value}, **more)


def _first(rows: QuerySet[Model], key: str, *columns: str) -> dict[UUID, tuple[object, ...]]:
    """Those columns of the first row (by position) of each record."""
    found: dict[UUID, tuple[object, ...]] = {}
    for record, *values in rows.values_list(key, *columns):
        found.setdefault(record, tuple(values))
    return found
