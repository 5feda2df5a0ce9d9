"""What goes into a merge, and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from crm.custom_values import Stored
from crm.models import CustomField, Lifecycle, SourcePlatform, SourceType

# Columns that a row may name, with their SQL types.
LEAD_COLUMNS: Mapping[str, str] = {
    "name": "text",
    "description": "text",
    "url": "text",
    "status_id": "uuid",
    "owner_id": "uuid",
    "lifecycle": "text",
    "source_platform": "text",
    "source_type": "text",
    "lead_line": "text",
    "score": "integer",
    "qualified": "boolean",
    "phone": "text",
    "email": "text",
    "industry": "text",
    "name_kana": "text",
    "department": "text",
    "employee_count": "integer",
    "external_id": "text",
}
CONTACT_COLUMNS: Mapping[str, str] = {
    "name": "text",
    "first_name": "text",
    "last_name": "text",
    "title": "text",
    "note": "text",
    "external_id": "text",
    "lead_id": "uuid",
}
ADDRESS_COLUMNS = ("label", "address_1", "address_2", "city", "state", "zipcode", "country")
# What a new lead has where its row says nothing.
NEW_LEAD: Mapping[str, object] = {
    "lifecycle": Lifecycle.ACTIVE.value,
    "source_platform": SourcePlatform.DIRECT.value,
    "source_type": SourceType.MANUAL.value,
}
# These tell where a lead came from and whose it is: the first value stays (gomega-api.md 6).
FIRST_STAYS = frozenset({"source_platform", "source_type", "owner_id"})


class Subject(StrEnum):
    """What a row stands for."""

    LEAD = "lead"  # a lead, with one contact of it
    CONTACT = "contact"  # a contact, of the lead in `lead_id` or of none


class Key(StrEnum):
    """What a record is known again by."""

    EMAIL = "email"  # any address of a contact: trimmed, case folded
    PHONE = "phone"  # any number of a contact: the last ten digits
    EXTERNAL_ID = "external_id"  # of the subject
    CUSTOM = "custom"  # the value of `Rules.custom_field` of the subject


class OnDuplicate(StrEnum):
    """What a row does that matches."""

    CREATE = "create"  # nothing is looked for: every row makes a record
    UPDATE = "update"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True)
class Rules:
    """`match` names the keys in the order in which they count: an earlier one that finds something wins.

    `by_own_reach`: a lead is also found by the address and the number of its own, which gomega shows of a lead without
    a contact. Rows that give a lead such ones are not looked up by them.
    """

    subject: Subject = Subject.LEAD
    match: tuple[Key, ...] = (Key.EMAIL, Key.PHONE)
    on_duplicate: OnDuplicate = OnDuplicate.UPDATE
    custom_field: CustomField | None = None
    by_own_reach: bool = False


@dataclass(frozen=True)
class Reach:
    """One more way to reach a contact. `type` is what it is called, such as `mobile`."""

    text: str
    type: str


@dataclass(frozen=True)
class Row:
    """One row of data, every value cleaned and in stored form. None, or an empty text, says nothing.

    `lead` and `contact` hold columns of `LEAD_COLUMNS` and `CONTACT_COLUMNS`; custom values go by `CustomField.key`.
    `email` and `phone` are those of the contact, the phone as `crm.phones.stored_phone` has it; `emails` and `phones`
    are further ones. `address` holds columns of `ADDRESS_COLUMNS`, of the lead's first address; `addresses` are further
    ones. `contacts` are further contacts of the lead: rows of which only the contact's parts count. The lead's parts
    count only where the subject is a lead.

    `cleared` is what a record that is there loses: `lead.url`, `contact.custom.<key>`, `address.city`.
    """

    lead: Mapping[str, object] = field(default_factory=dict)
    contact: Mapping[str, object] = field(default_factory=dict)
    email: str | None = None
    phone: str | None = None
    lead_custom: Mapping[str, Stored] = field(default_factory=dict)
    contact_custom: Mapping[str, Stored] = field(default_factory=dict)
    emails: Sequence[Reach] = ()
    phones: Sequence[Reach] = ()
    urls: Sequence[Reach] = ()
    address: Mapping[str, str] = field(default_factory=dict)
    addresses: Sequence[Mapping[str, str]] = ()
    contacts: "Sequence[Row]" = ()
    cleared: Sequence[str] = ()


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class RowResult:
    """What became of a row. In a dry run a record that would be made has no id.

    `lead_id` is None for a contact without a lead. Of a failed row, `problem` says (what is wrong: `duplicate`, or a
    column or custom field that refers to what is not there; the key of that); the ids are those of the duplicate.
    """

    outcome: Outcome
    lead_id: UUID | None = None
    contact_id: UUID | None = None
    matched_by: Key | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Change:
    """What a merge did to a row. `table` is lead, address, contact, email, phone, url or subscription.

    `before` and `after` hold the columns that were given, custom values as `custom.<key>` (absent before,
    null after: no value), all as JSON has them. A contact's `position` and `detached_from` come with its `lead_id`, and
    so do the leads of its subscriptions.
    """

    table: str
    id: UUID
    before: Mapping[str, object]
    after: Mapping[str, object]


@dataclass(frozen=True)
class Merged:
    """The results in the order of the rows, and what is needed to take it all back.

    `new_leads` come with how many contacts each has. `new_contacts` and `new_details` (of address, email, phone or url,
    with nothing before) are those made on records that were there before; what belongs to a new lead or a new contact
    goes with it.
    """

    results: list[RowResult]
    new_leads: dict[UUID, int] = field(default_factory=dict)
    new_contacts: list[UUID] = field(default_factory=list)
    new_details: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
