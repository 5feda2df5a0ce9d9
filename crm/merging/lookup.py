"""Looking up the records that rows may match: a few statements, however many rows."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import TypeVar
from uuid import UUID

from django.db import connection

from crm.custom_values import Stored
from crm.merging.known import Company, Detail, Index, Person, RowKeys
from crm.merging.rows import Key, Row, Rules, Subject

# Records that share one key, the oldest of them: one number may stand in a hundred thousand contacts. Only so many can
# lose the key to rows of one call before a younger one would be the oldest.
_PER_KEY = 10

_ROW_KEYS = """
    SELECT drover_email_key(email), drover_phone_key(phone)
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS said (email, phone, place) ORDER BY place
"""
_DETAILS = {
    Key.EMAIL: ("crm_contactemail", "email", "drover_email_key"),
    Key.PHONE: ("crm_contactphone", "phone", "drover_phone_key"),
}
# A contact of a lead is as old as the lead.
_ORDER = {
    Subject.LEAD: "lead.date_created, lead.id, contact.position, contact.id",
    Subject.CONTACT: "contact.date_created, contact.id",
}
_JOIN = {
    Subject.LEAD: "JOIN crm_lead AS lead ON lead.id = contact.lead_id",
    Subject.CONTACT: "LEFT JOIN crm_lead AS lead ON lead.id = contact.lead_id",
}

_LIVE = {
    Subject.LEAD: "record.deleted_at IS NULL",
    Subject.CONTACT: """NOT EXISTS (
        SELECT FROM crm_lead AS lead WHERE lead.id = record.lead_id AND lead.deleted_at IS NOT NULL)""",
}
R = TypeVar("R", Company, Person)


def _oldest(subject: Subject, is_wanted: str) -> str:
    """A SELECT of the oldest records that one key leads to.

    OFFSET 0, or the planner may walk through all records in the order of their age, which it takes for quick as long as
    it has no statistics: 51 in place of 0.1 s for the first 20,000 rows of an organization.
    """
    return f"""
        SELECT id FROM (
            SELECT record.id, record.date_created FROM crm_{subject.value} AS record
            WHERE record.organization_id = %(organization)s AND {is_wanted} AND {_LIVE[subject]} OFFSET 0) AS known
        ORDER BY date_created, id LIMIT {_PER_KEY}"""


def keys_of(rows: Sequence[Row], rules: Rules) -> list[RowKeys]:
    """What each row may be matched by."""
    said = [pair for row in rows for pair in _pairs(row)]
    with connection.cursor() as cursor:
        cursor.execute(_ROW_KEYS, [[email for email, _ in said], [phone for _, phone in said]])
        found = iter(cursor.fetchall())
    return [_row_keys(row, rules, found) for row in rows]


def _pairs(row: Row) -> Iterator[tuple[str | None, str | None]]:
    """The address and the number of the row, its further ones, and those of its further contacts."""
    yield row.email, row.phone
    if row.emails or row.phones:
        emails, phones = (reach.text for reach in row.emails), (reach.text for reach in row.phones)
        yield from zip_longest(emails, phones)
    for contact in row.contacts:
        yield from _pairs(contact)


def _row_keys(row: Row, rules: Rules, found: Iterator[tuple[str | None, str | None]]) -> RowKeys:
    """`found` are the keys of `_pairs`."""
    email, phone = next(found)
    own = {Key.EMAIL: email, Key.PHONE: phone, **_own_keys(row, rules)}
    if not (row.emails or row.phones or row.contacts):
        return RowKeys(own)
    more = list(islice(found, max(len(row.emails), len(row.phones))))
    further = {
        Key.EMAIL: tuple(key for key, _ in more[: len(row.emails)]),
        Key.PHONE: tuple(key for _, key in more[: len(row.phones)]),
    }
    return RowKeys(own, further, tuple(_row_keys(contact, rules, found) for contact in row.contacts))


def _own_keys(row: Row, rules: Rules) -> dict[Key, str | None]:
    is_lead = rules.subject is Subject.LEAD
    columns, custom = (row.lead, row.lead_custom) if is_lead else (row.contact, row.contact_custom)
    external_id = columns.get("external_id")
    own: dict[Key, str | None] = {Key.EXTERNAL_ID: str(external_id) if external_id else None}
    if rules.custom_field is not None:
        own[Key.CUSTOM] = custom_key(custom.get(rules.custom_field.key))
    return own


def custom_key(value: Stored | None) -> str | None:
    """A custom value as text, equal for what PostgreSQL takes for equal."""
    if value is None or value in ("", []):
        return None
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def look_up(organization_id: UUID, keys: Sequence[RowKeys], rules: Rules) -> Index:
    """The records that any of these keys leads to, by all their keys."""
    search = _Search(organization_id, rules)
    every = [one for row in keys for one in (row, *row.contacts)]
    wanted = {kind: sorted({key for one in every for key in one.all_of(kind)}) for kind in rules.match}
    people: set[UUID] = set()
    companies: set[UUID] = set()
    for kind, values in wanted.items():
        if not values:
            continue
        if kind in _DETAILS:
            people.update(search.with_detail(kind, values))
            if rules.by_own_reach:
                companies.update(search.with_reach(kind, values))
        elif rules.subject is Subject.LEAD:
            companies.update(search.with_key(kind, values))
        else:
            people.update(search.with_key(kind, values))
    search.load_companies(companies)
    search.load_people(people, companies, with_others=any(row.contacts for row in keys))
    return search.index


class _Search:
    def __init__(self, organization_id: UUID, rules: Rules) -> None:
        self.organization_id = organization_id
        self.subject = rules.subject
        self.custom_key = rules.custom_field.key if rules.custom_field else ""
        self.by_own_reach = rules.by_own_reach
        self.index = Index()
        self._companies: dict[UUID, Company] = {}

    def _rows(self, sql: str, **parameters: object) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(sql, {"organization": self.organization_id, "custom": self.custom_key, **parameters})
            return cursor.fetchall()

    def with_detail(self, kind: Key, keys: list[str]) -> list[UUID]:
        """Contacts that have one of these addresses or numbers."""
        table, column, key_of = _DETAILS[kind]
        sql = f"""
            SELECT found.id FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
                SELECT contact.id FROM {table} AS detail
                JOIN crm_contact AS contact ON contact.id = detail.contact_id {_JOIN[self.subject]}
                WHERE detail.organization_id = %(organization)s AND {key_of}(detail.{column}) = wanted.key
                  AND lead.deleted_at IS NULL
                ORDER BY {_ORDER[self.subject]} LIMIT {_PER_KEY}) AS found
        """
        return [key for (key,) in self._rows(sql, keys=keys)]

    def with_reach(self, kind: Key, keys: list[str]) -> list[UUID]:
        """Leads that have one of these addresses or numbers themselves."""
        _, column, key_of = _DETAILS[kind]
        sql = f"""
            SELECT found.id FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
                {_oldest(Subject.LEAD, f"{key_of}({column}) = wanted.key AND {column} IS NOT NULL")}) AS found
        """
        return [key for (key,) in self._rows(sql, keys=keys)]

    def with_key(self, kind: Key, keys: list[str]) -> list[UUID]:
        """Subjects that have one of these external ids or custom values. No index knows custom values: those of the
        organization's records are all looked at, once."""
        subject, live = self.subject.value, _LIVE[self.subject]
        if kind is Key.EXTERNAL_ID:
            sql = f"""
                SELECT found.id FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
                    {_oldest(self.subject, "external_id = wanted.key")}) AS found
            """
        else:
            sql = f"""
                SELECT id FROM (
                    SELECT record.id, row_number() OVER (
                        PARTITION BY record.custom -> %(custom)s ORDER BY record.date_created, record.id) AS place
                    FROM crm_{subject} AS record
                    JOIN unnest(%(keys)s::text[]) AS wanted (key) ON record.custom -> %(custom)s = wanted.key::jsonb
                    WHERE record.organization_id = %(organization)s AND {live}) AS found
                WHERE place <= {_PER_KEY}
            """
        return [key for (key,) in self._rows(sql, keys=keys)]

    def load_companies(self, ids: Iterable[UUID]) -> None:
        wanted = list(ids)
        if not wanted:
            return
        reaches = [f"{key_of}({column})" if self.by_own_reach else "NULL" for _, column, key_of in _DETAILS.values()]
        sql = f"""
            SELECT id, date_created AT TIME ZONE 'UTC', date_updated AT TIME ZONE 'UTC', external_id,
                   custom -> %(custom)s, {", ".join(reaches)}
            FROM crm_lead WHERE id = ANY(%(ids)s) AND deleted_at IS NULL
        """
        for key, created, seen, external_id, custom, *reached_by in self._rows(sql, ids=wanted):
            company = self._known(Company((created, key.int, 0, 0), key, seen), external_id, custom)
            for kind, reach in zip(_DETAILS, reached_by, strict=True):
                self.index.add(kind, reach, company)
            self._companies[key] = company

    def load_people(self, ids: Iterable[UUID], of_leads: Iterable[UUID], *, with_others: bool) -> None:
        """These contacts (with all others of their leads), and all contacts of these leads, with their leads."""
        wanted, leads = list(ids), list(of_leads)
        if not wanted and not leads:
            return
        subject = self.subject.value
        ways = ["id = ANY(%(ids)s)", "lead_id = ANY(%(leads)s)"]
        if with_others:
            ways.append("lead_id IN (SELECT lead_id FROM crm_contact WHERE id = ANY(%(ids)s))")
        chosen = " UNION ".join(f"SELECT id FROM crm_contact WHERE {way}" for way in ways)
        sql = f"""
            SELECT contact.id, contact.lead_id, {subject}.date_created AT TIME ZONE 'UTC', contact.position,
                   contact.name, contact.date_updated AT TIME ZONE 'UTC', lead.date_updated AT TIME ZONE 'UTC',
                   {subject}.external_id, {subject}.custom -> %(custom)s
            FROM crm_contact AS contact {_JOIN[self.subject]}
            WHERE contact.id IN ({chosen}) AND lead.deleted_at IS NULL
            ORDER BY contact.position, contact.id
        """
        people: dict[UUID, Person] = {}
        for key, lead_id, created, position, name, seen, lead_seen, external_id, custom in self._rows(
            sql, ids=wanted, leads=leads
        ):
            if self.subject is Subject.CONTACT:
                person = Person((created, key.int, 0, 0), key, lead_id=lead_id, seen=seen, name=name)
                people[key] = self._known(person, external_id, custom)
                continue
            company = self._companies.get(lead_id)
            if company is None:
                company = self._known(Company((created, lead_id.int, 0, 0), lead_id, lead_seen), external_id, custom)
                self._companies[lead_id] = company
            age = (created, lead_id.int, position, key.int)
            people[key] = Person(age, key, company=company, lead_id=lead_id, seen=seen, name=name)
            company.people.append(people[key])
        self._load_details(people)

    def _load_details(self, people: dict[UUID, Person]) -> None:
        parts = " UNION ALL ".join(
            f"SELECT '{kind}', id, contact_id, position, {column}, {key_of}({column}) FROM {table}"
            " WHERE contact_id = ANY(%(people)s)"
            for kind, (table, column, key_of) in _DETAILS.items()
        )
        sql = f"SELECT * FROM ({parts}) AS detail (kind, id, contact_id, position, text, key) ORDER BY position, id"
        for word, detail_id, contact_id, position, stored, key in self._rows(sql, people=list(people)):
            kind, person = Key(word), people[contact_id]
            person.details[kind].append(Detail(key, detail_id, stored, position=position))
            self.index.add(kind, key, person)

    def _known(self, record: R, external_id: str | None, custom: str | None) -> R:
        record.known_by = {
            Key.EXTERNAL_ID: external_id or None,
            Key.CUSTOM: custom_key(json.loads(custom)) if custom is not None else None,
        }
        for kind, key in record.known_by.items():
            self.index.add(kind, key, record)
        return record
