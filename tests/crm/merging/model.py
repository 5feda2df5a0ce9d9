"""The rules of merging as one would write them down for a few rows: one row after the other, lists and loops."""

from dataclasses import dataclass, field

from crm.merging import Key, OnDuplicate, Outcome, Row


@dataclass(eq=False)
class Contact:
    name: str | None = None
    title: str | None = None
    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)

    def is_known_by(self, kind: Key, row: Row) -> bool:
        if kind is Key.EMAIL:
            return row.email is not None and any(same_email(row.email, one) for one in self.emails)
        return row.phone is not None and any(same_phone(row.phone, one) for one in self.phones)


@dataclass(eq=False)
class Lead:
    name: str | None = None
    description: str | None = None
    source_platform: str = "direct"
    owner_id: object = None
    custom: dict[str, object] = field(default_factory=dict)
    external_id: str | None = None
    contacts: list[Contact] = field(default_factory=list)


@dataclass
class World:
    """Leads, the oldest first."""

    leads: list[Lead] = field(default_factory=list)

    def apply(self, row: Row, match: tuple[Key, ...], on_duplicate: OnDuplicate) -> tuple[Outcome, Key | None]:
        lead, contact, kind = self._find(row, match)
        if lead is None:
            lead = Lead()
            self.leads.append(lead)
            tell_lead(lead, row, is_new=True)
            tell_contact(contact_of(lead, row), row)
            lead.name = lead.name or row.contact.get("name") or None
            return Outcome.CREATED, None
        if on_duplicate is OnDuplicate.SKIP:
            return Outcome.SKIPPED, kind
        if on_duplicate is OnDuplicate.FAIL:
            return Outcome.FAILED, kind
        tell_lead(lead, row, is_new=False)
        tell_contact(contact or contact_of(lead, row), row)
        return Outcome.UPDATED, kind

    def _find(self, row: Row, match: tuple[Key, ...]) -> tuple[Lead | None, Contact | None, Key | None]:
        for kind in match:
            for lead in self.leads:
                if kind is Key.EXTERNAL_ID:
                    if row.lead.get("external_id") and row.lead["external_id"] == lead.external_id:
                        return lead, None, kind
                    continue
                for contact in lead.contacts:
                    if contact.is_known_by(kind, row):
                        return lead, contact, kind
        return None, None, None


def same_email(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def same_phone(one: str, other: str) -> bool:
    digits = ["".join(filter(str.isdigit, text)) for text in (one, other)]
    return min(map(len, digits)) >= 10 and digits[0][-10:] == digits[1][-10:]


def tell_lead(lead: Lead, row: Row, *, is_new: bool) -> None:
    for name in ("name", "description", "external_id"):
        setattr(lead, name, row.lead.get(name) or getattr(lead, name))
    if is_new:
        lead.source_platform = row.lead.get("source_platform") or "direct"
    lead.owner_id = lead.owner_id or row.lead.get("owner_id")
    lead.custom |= {key: value for key, value in row.lead_custom.items() if value not in (None, "")}


def contact_of(lead: Lead, row: Row) -> Contact | None:
    """The contact of the lead that the row is about, where the lead was found by something of its own."""
    if not (row.email or row.phone or any(row.contact.values())):
        return None
    for kind in (Key.EMAIL, Key.PHONE):
        for contact in lead.contacts:
            if contact.is_known_by(kind, row):
                return contact
    for contact in lead.contacts:
        if row.contact.get("name") and contact.name == row.contact["name"]:
            return contact
    if lead.contacts and not (row.contact.get("name") or row.email or row.phone):
        return lead.contacts[0]
    for contact in [] if row.contact.get("name") else lead.contacts:
        if row.email in contact.emails or row.phone in contact.phones:
            return contact
    lead.contacts.append(Contact())
    return lead.contacts[-1]


def tell_contact(contact: Contact | None, row: Row) -> None:
    if contact is None:
        return
    for name in ("name", "title"):
        setattr(contact, name, row.contact.get(name) or getattr(contact, name))
    for texts, text, same in ((contact.emails, row.email, same_email), (contact.phones, row.phone, same_phone)):
        if text and not any(text == one or same(text, one) for one in texts):
            texts[:1] = [text]
