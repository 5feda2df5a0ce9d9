"""Going through the rows in order: which record each one is about, and what it says of it. Touches no database."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crm.merging.known import LAST, NEVER, Company, Detail, Index, Others, Person, Record, RowKeys
from crm.merging.lookup import custom_key
from crm.merging.rows import FIRST_STAYS, NEW_LEAD, Key, OnDuplicate, Outcome, Reach, Row, Rules, Subject


@dataclass(frozen=True)
class Decision:
    """What becomes of a row. The company is None where the subject is a contact, the person where there is none."""

    outcome: Outcome
    company: Company | None = None
    person: Person | None = None
    matched_by: Key | None = None
    problem: str | None = None


def said(columns: Mapping[str, object]) -> dict[str, object]:
    """What is neither None nor empty: the rest says nothing."""
    if not columns:  # as most parts of most rows
        return {}
    return {name: value for name, value in columns.items() if value is not None and value != "" and value != []}


class Deciding:
    """One walk through the rows. `companies` and `people` are then all that was made or touched, in order."""

    def __init__(self, rules: Rules, index: Index) -> None:
        self.rules = rules
        self.index = index
        self.companies: list[Company] = []
        self.people: list[Person] = []
        self._n_new = 0

    def all_of(self, rows: Iterable[tuple[Row, RowKeys, str | None]]) -> list[Decision]:
        """A decision for each row; one with a problem fails by that."""
        return [
            Decision(Outcome.FAILED, problem=problem) if problem else self.one(row, keys) for row, keys, problem in rows
        ]

    def one(self, row: Row, keys: RowKeys) -> Decision:
        found, matched_by = self._find(keys)
        company, person = _parts(found)
        if found is None:
            company, person = self._make(row, keys)
            return Decision(Outcome.CREATED, company, person)
        if self.rules.on_duplicate is OnDuplicate.SKIP:
            return Decision(Outcome.SKIPPED, company, person, matched_by)
        if self.rules.on_duplicate is OnDuplicate.FAIL:
            return Decision(Outcome.FAILED, company, person, matched_by, problem="duplicate")
        if company is not None:
            self._tell_company(company, row)
            person = person or self._person_in(company, row, keys)
        if person is not None:
            self._tell_person(person, row, keys)
        first = self._tell_contacts(company, row, keys)
        return Decision(Outcome.UPDATED, company, person or first, matched_by)

    def _find(self, keys: RowKeys) -> tuple[Record | None, Key | None]:
        """Through a further contact only its lead is found."""
        if self.rules.on_duplicate is not OnDuplicate.CREATE:
            for kind in self.rules.match:
                for key in keys.all_of(kind):
                    if found := self.index.oldest(kind, key):
                        return found, kind
                for contact in keys.contacts:
                    for key in contact.all_of(kind):
                        if found := self.index.oldest(kind, key):
                            return _parts(found)[0], kind
        return None, None

    def _make(self, row: Row, keys: RowKeys) -> tuple[Company | None, Person | None]:
        self._n_new += 1
        age = (NEVER, self._n_new, 0, 0)
        if self.rules.subject is Subject.CONTACT:
            person = Person(age, is_new=True)
            self._tell_person(person, row, keys)
            return None, person
        company = Company(age, is_new=True)
        self._tell_company(company, row)
        # A person's lead is called after them, as Close has it.
        if "name" not in company.given and (name := row.contact.get("name")):
            company.given["name"] = name
        company.given = {**NEW_LEAD, **company.given}
        person = self._person_in(company, row, keys)
        if person is not None:
            self._tell_person(person, row, keys)
        first = self._tell_contacts(company, row, keys)
        return company, person or first

    def _tell_contacts(self, company: Company | None, row: Row, keys: RowKeys) -> Person | None:
        """The further contacts of the row, each a person of its own; the first of them."""
        if company is None or not row.contacts:
            return None
        others, first = Others(company.people), None
        for contact, contact_keys in zip(row.contacts, keys.contacts, strict=True):
            if _says_nothing(contact):
                continue
            person = others.take(contact_keys, contact.contact.get("name"), list(_written(contact)))
            person = person or self._new_person(company)
            self._tell_person(person, contact, contact_keys)
            first = first or person
        return first

    def _person_in(self, company: Company, row: Row, keys: RowKeys) -> Person | None:
        """The contact of the company that the row is about: that of an address, of a number, of its name (without a
        name that which has an address or number as the row writes it); else a new one, unless the row says nothing by
        which to tell people apart."""
        if _says_nothing(row):
            return None
        for kind in (Key.EMAIL, Key.PHONE):
            for key in keys.all_of(kind):
                for person in company.people:
                    if person.has(kind, key):
                        return person
        name = row.contact.get("name")
        if name:
            for person in company.people:
                if person.name == name:
                    return person
        elif company.people:
            texts = list(_written(row))
            if not texts:
                return company.people[0]
            for person in company.people:
                if any(person.writes(kind, text) for kind, text in texts):
                    return person
        return self._new_person(company)

    def _new_person(self, company: Company) -> Person:
        self._n_new += 1
        made, key, *_ = company.age
        person = Person((made, key, LAST, self._n_new), is_new=True, company=company)
        company.people.append(person)
        return person

    def _tell_company(self, company: Company, row: Row) -> None:
        self._touch(company, self.companies)
        for name, value in said(row.lead).items():
            if name in FIRST_STAYS:
                company.given.setdefault(name, value)
            else:
                company.given[name] = value
        company.custom |= said(row.lead_custom)
        company.address |= said(row.address)
        if row.cleared:
            parts = {"lead": company.given, "lead.custom": company.custom, "address": company.address}
            _clear(company, row.cleared, parts)
        for address in row.addresses:
            company.addresses.setdefault(tuple(sorted(address.items())), address)
        self._know_again(company, row.lead, row.lead_custom)

    def _tell_person(self, person: Person, row: Row, keys: RowKeys) -> None:
        self._touch(person, self.people)
        columns = said(row.contact)
        if self.rules.subject is Subject.LEAD:
            columns.pop("lead_id", None)
        if "name" in columns and "first_name" not in columns:
            columns |= {"first_name": None, "last_name": None}  # as everywhere: a name clears its parts
        person.given |= columns
        person.custom |= said(row.contact_custom)
        if row.cleared:
            _clear(person, row.cleared, {"contact": person.given, "contact.custom": person.custom})
        person.name = person.given.get("name", person.name)
        person.lead_id = columns.get("lead_id", person.lead_id)
        for kind, text, more in ((Key.EMAIL, row.email, row.emails), (Key.PHONE, row.phone, row.phones)):
            had = {detail.key for detail in person.details[kind]} if more else set()
            if text:
                self._reach(person, kind, text, keys[kind])
            if more:
                self._reach_too(person, kind, more, keys.more[kind], had)
        for reach in row.urls:
            person.urls.setdefault(reach.text, reach.type)
        if self.rules.subject is Subject.CONTACT:
            self._know_again(person, row.contact, row.contact_custom)

    def _reach(self, person: Person, kind: Key, text: str, key: str | None) -> None:
        """`text` becomes the first address (number) of the person, unless they have it already, however spelled."""
        details = person.details[kind]
        if person.has(kind, key) or any(text == detail.shown for detail in details):
            return
        if details:
            first = details[0]
            self._forget_detail(person, kind, first)
            first.key, first.text = key, text
        else:
            details.append(Detail(key, text=text))
        self.index.add(kind, key, person)

    def _reach_too(
        self, person: Person, kind: Key, more: Sequence[Reach], keys: Sequence[str | None], had: set[str | None]
    ) -> None:
        """Further addresses (numbers), behind those that are there. `had` are the keys of those that the person had:
        what the row itself brings may be alike, as long as it is not written alike."""
        details = person.details[kind]
        texts = {detail.shown for detail in details}
        for reach, key in zip(more, keys, strict=True):
            if reach.text not in texts and (key is None or key not in had):
                texts.add(reach.text)
                details.append(Detail(key, text=reach.text, type=reach.type))
                self.index.add(kind, key, person)

    def _forget_detail(self, person: Person, kind: Key, gone: Detail) -> None:
        if not any(detail.key == gone.key for detail in person.details[kind] if detail is not gone):
            self.index.remove(kind, gone.key, person)

    def _know_again(self, record: Record, columns: Mapping[str, object], custom: Mapping[str, object]) -> None:
        """A row may give the record another external id, or another value of the field that it is matched by."""
        field = self.rules.custom_field
        news = {
            Key.EXTERNAL_ID: str(columns.get("external_id") or "") or None,
            Key.CUSTOM: custom_key(custom.get(field.key)) if field else None,
        }
        for kind, key in news.items():
            if key is not None:
                self.index.remove(kind, record.known_by.get(kind), record)
                self.index.add(kind, key, record)
                record.known_by[kind] = key

    def _touch(self, record: Record, among: list) -> None:
        if not record.is_touched:
            record.is_touched = True
            among.append(record)


def _clear(record: Record, fields: Iterable[str], parts: Mapping[str, dict]) -> None:
    """What a new record was to hold it does not; of one that was there None is to be written."""
    for field in fields:
        start, _, name = field.rpartition(".")
        if start in parts and record.is_new:
            parts[start].pop(name, None)
        elif start in parts:
            parts[start][name] = None


def _parts(found: Record | None) -> tuple[Company | None, Person | None]:
    if isinstance(found, Person):
        return found.company, found
    return (found, None) if isinstance(found, Company) else (None, None)


def _written(row: Row) -> Iterator[tuple[Key, str]]:
    """All addresses and numbers of the row's contact."""
    for kind, text, more in ((Key.EMAIL, row.email, row.emails), (Key.PHONE, row.phone, row.phones)):
        if text:
            yield kind, text
        for reach in more:
            yield kind, reach.text


def _says_nothing(row: Row) -> bool:
    is_reachable = row.email or row.phone or row.emails or row.phones
    return not (is_reachable or said(row.contact) or row.urls or said(row.contact_custom))
