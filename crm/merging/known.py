"""The records that rows may match, as far as matching needs to know them.

They are looked up before any row is applied, in a few statements (`lookup.py`); `deciding.py` then keeps them up to
date while it goes through the rows, so that a later row meets what an earlier one has made of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID

from crm.merging.rows import Key

# Moments here are those of UTC, without a zone: of a record that is there the driver reads them in a tenth of the time.
# Later than all of them: what a call makes is the youngest.
NEVER = datetime.max
LAST = 1 << 31  # a position behind all others

# When the record was made and its key; of a contact of a lead: those of the lead, then its place there and its key.
Age = tuple[datetime, int, int, int]


@dataclass(eq=False)
class Detail:
    """An address or a number of a contact. `text` is what is to be written, None where nothing is."""

    key: str | None
    id: UUID | None = None
    stored: str | None = None
    text: str | None = None
    type: str = "office"
    position: int = 0

    @property
    def shown(self) -> str | None:
        return self.stored if self.text is None else self.text


@dataclass(eq=False)
class Record:
    """A lead or a contact. `given` and `custom` are what the rows say of it; `known_by` its own keys, by kind."""

    age: Age
    id: UUID | None = None
    seen: datetime | None = None  # its `date_updated`
    is_new: bool = False
    is_touched: bool = False
    known_by: dict[Key, str | None] = field(default_factory=dict)
    given: dict[str, object] = field(default_factory=dict)
    custom: dict[str, object] = field(default_factory=dict)


@dataclass(eq=False)
class Company(Record):
    """A lead, with as many of its contacts as matter. `address` and `addresses` are what rows say (`rows.Row`)."""

    people: "list[Person]" = field(default_factory=list)
    address: dict[str, str | None] = field(default_factory=dict)
    addresses: dict[tuple, Mapping[str, str]] = field(default_factory=dict)


@dataclass(eq=False)
class Person(Record):
    """A contact. `company` is its lead where the subject is a lead; else `lead_id` is all that matters."""

    company: Company | None = None
    lead_id: UUID | None = None
    name: str | None = None
    details: dict[Key, list[Detail]] = field(default_factory=lambda: {Key.EMAIL: [], Key.PHONE: []})
    urls: dict[str, str] = field(default_factory=dict)  # that rows say, with their types

    def has(self, kind: Key, key: str | None) -> bool:
        return key is not None and any(detail.key == key for detail in self.details[kind])

    def writes(self, kind: Key, text: str) -> bool:
        return any(detail.shown == text for detail in self.details[kind])


class Others:
    """The contacts of a lead that are none of the contacts of the row at hand yet."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._left = {id(person): person for person in people}
        self._by_key: dict[tuple[Key, str | None], list[Person]] = defaultdict(list)
        self._by_text: dict[tuple[Key, str | None], list[Person]] = defaultdict(list)
        self._by_name: dict[str | None, list[Person]] = defaultdict(list)
        for person in people:
            self._by_name[person.name].append(person)
            for kind, details in person.details.items():
                for detail in details:
                    self._by_key[kind, detail.key].append(person)
                    self._by_text[kind, detail.shown].append(person)

    def take(self, keys: "RowKeys", name: object, texts: Sequence[tuple[Key, str]]) -> Person | None:
        """The one with an address, a number, the name; without a name that with one of `texts`, all of the addresses
        and numbers as they are written; the first where none of these is said."""
        alike = [self._by_key.get((kind, key), []) for kind in (Key.EMAIL, Key.PHONE) for key in keys.all_of(kind)]
        if name:
            alike.append(self._by_name.get(str(name), []))
        elif texts:
            alike += [self._by_text.get(written, []) for written in texts]
        else:
            alike.append(list(islice(self._left.values(), 1)))
        found = next((person for people in alike for person in people if id(person) in self._left), None)
        if found is not None:
            del self._left[id(found)]
        return found


class Index:
    """Records by what they are known by."""

    def __init__(self) -> None:
        self._found: dict[tuple[Key, str], dict[int, Record]] = defaultdict(dict)

    def add(self, kind: Key, key: str | None, record: Record) -> None:
        if key is not None:
            self._found[kind, key][id(record)] = record

    def remove(self, kind: Key, key: str | None, record: Record) -> None:
        if key is not None:
            self._found[kind, key].pop(id(record), None)

    def oldest(self, kind: Key, key: str | None) -> Record | None:
        if key is None or not (found := self._found.get((kind, key))):
            return None
        return min(found.values(), key=lambda record: record.age)


@dataclass(frozen=True)
class RowKeys:
    """What a row may be matched by. A kind without a value matches nothing.

    `more` are the keys of its further addresses and numbers, in their order; `contacts` those of its further contacts.
    """

    of: dict[Key, str | None]
    more: dict[Key, tuple[str | None, ...]] = field(default_factory=dict)
    contacts: "tuple[RowKeys, ...]" = ()

    def __getitem__(self, kind: Key) -> str | None:
        return self.of.get(kind)

    def all_of(self, kind: Key) -> Iterator[str]:
        """Those of the row itself."""
        for key in (self.of.get(kind), *self.more.get(kind, ())):
            if key is not None:
                yield key
