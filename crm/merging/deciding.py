"""Going through the rows in order: which record each one is about, and what it says of it. Touches no database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crm.merging.known import LAST, NEVER, Company, Detail, Index, Person, Record, RowKeys
from crm.merging.lookup import custom_key
from crm.merging.rows import FIRST_STAYS, NEW_LEAD, Key, OnDuplicate, Outcome, Row, Rules, Subject


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
    return {name: value for name, value in columns.items() if value is not None and value not in ("", [])}


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
        return Decision(Outcome.UPDATED, company, person, matched_by)

    def _find(self, keys: RowKeys) -> tuple[Record | None, Key | None]:
        if self.rules.on_duplicate is not OnDuplicate.CREATE:
            for kind in self.rules.match:
                if found := self.index.oldest(kind, keys[kind]):
                    return found, kind
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
        return company, person

    def _person_in(self, company: Company, row: Row, keys: RowKeys) -> Person | None:
        """The contact of the company that the row is about: that of its address, of its number, of its name; else a
        new one, unless the row says nothing by which to tell people apart."""
        if not (said(row.contact) or row.email or row.phone or said(row.contact_custom)):
            return None
        for kind in (Key.EMAIL, Key.PHONE):
            for person in company.people:
                if person.has(kind, keys[kind]):
                    return person
        name = row.contact.get("name")
        if name:
            for person in company.people:
                if person.name == name:
                    return person
        elif company.people and not (row.email or row.phone):
            return company.people[0]
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
        person.name = person.given.get("name", person.name)
        person.lead_id = columns.get("lead_id", person.lead_id)
        for kind, text in ((Key.EMAIL, row.email), (Key.PHONE, row.phone)):
            if text:
                self._reach(person, kind, text, keys[kind])
        if self.rules.subject is Subject.CONTACT:
            self._know_again(person, row.contact, row.contact_custom)

    def _reach(self, person: Person, kind: Key, text: str, key: str | None) -> None:
        """`text` becomes the first address (number) of the person, unless they have it already, however spelled."""
        details = person.details[kind]
        if person.has(kind, key) or any(text == (detail.text or detail.stored) for detail in details):
            return
        if details:
            first = details[0]
            self._forget_detail(person, kind, first)
            first.key, first.text = key, text
        else:
            details.append(Detail(key, text=text))
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


def _parts(found: Record | None) -> tuple[Company | None, Person | None]:
    if isinstance(found, Person):
        return found.company, found
    return (found, None) if isinstance(found, Company) else (None, None)
