"""Writing what was decided: one statement for each kind of row, however many there are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import connection

from crm.copying import copy_rows
from crm.merging.known import Company, Detail, Person, Record
from crm.merging.parts import write_addresses, write_urls
from crm.merging.rows import CONTACT_COLUMNS, FIRST_STAYS, LEAD_COLUMNS, Change, Key

_PLACE = ("position", "detached_from")  # what changes with the lead of a contact
_TABLES = {Key.EMAIL: ("crm_contactemail", "email"), Key.PHONE: ("crm_contactphone", "phone")}


def _typed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {sql_type}" for name, sql_type in columns.items())


def _held(row: str, columns: Iterable[str]) -> str:
    """What the row holds, custom values as `custom.<key>`."""
    pairs = ", ".join(f"'{name}', {row}.{name}" for name in columns)
    return f"jsonb_build_object({pairs}, 'custom', {row}.custom)"


def _given(column: str, sql_type: str, row: str) -> str:
    value = f"(given.given ->> '{column}')::{sql_type}"
    if column in FIRST_STAYS:
        return f"{column} = coalesce({row}.{column}, {value})"
    return f"{column} = CASE WHEN given.given ? '{column}' THEN {value} ELSE {row}.{column} END"


# Contacts of one lead come one behind the other, behind those that it has.
_INSERT_CONTACTS = f"""
    INSERT INTO crm_contact (
        id, organization_id, {", ".join(CONTACT_COLUMNS)}, custom, position, created_by_id, updated_by_id)
    SELECT id, %(organization)s, {", ".join(CONTACT_COLUMNS)}, custom,
           CASE WHEN lead_id IS NULL THEN 0 ELSE
                coalesce((SELECT max(position) + 1 FROM crm_contact AS other WHERE other.lead_id = record.lead_id), 0)
                + row_number() OVER (PARTITION BY lead_id ORDER BY id) - 1 END,
           %(user)s, %(user)s
    FROM jsonb_to_recordset(%(records)s::jsonb) AS record (id uuid, {_typed(CONTACT_COLUMNS)}, custom jsonb)
"""
_UPDATE_LEADS = f"""
    WITH changed AS (
        UPDATE crm_lead AS lead
        SET {", ".join(_given(name, sql_type, "lead") for name, sql_type in LEAD_COLUMNS.items())},
            custom = jsonb_strip_nulls(lead.custom || given.custom),
            updated_by_id = %(user)s, date_updated = statement_timestamp()
        FROM jsonb_to_recordset(%(records)s::jsonb) AS given (id uuid, given jsonb, custom jsonb)
        WHERE lead.id = given.id
        RETURNING lead.id, old.status_id AS old_status, new.status_id AS new_status,
                  {_held("old", LEAD_COLUMNS)} AS before, {_held("new", LEAD_COLUMNS)} AS after),
    noted AS (
        INSERT INTO crm_leadstatuschange
            (organization_id, lead_id, old_status_id, new_status_id, user_id, bulk_action_id)
        SELECT %(organization)s, id, old_status, new_status, %(user)s, %(action)s
        FROM changed WHERE old_status <> new_status)
    SELECT id, before, after FROM changed WHERE before <> after
"""
_UPDATE_CONTACTS = f"""
    WITH given AS MATERIALIZED (
        SELECT record.id, record.given, record.custom,
               (record.given ->> 'lead_id')::uuid IS DISTINCT FROM contact.lead_id AND record.given ? 'lead_id' AS moves
        FROM jsonb_to_recordset(%(records)s::jsonb) AS record (id uuid, given jsonb, custom jsonb)
        JOIN crm_contact AS contact ON contact.id = record.id),
    placed AS MATERIALIZED (
        SELECT given.*, coalesce((
                   SELECT max(position) + 1 FROM crm_contact AS other
                   WHERE other.lead_id = (given.given ->> 'lead_id')::uuid), 0)
               + row_number() OVER (PARTITION BY moves, given.given ->> 'lead_id' ORDER BY given.id) - 1 AS place
        FROM given),
    changed AS (
        UPDATE crm_contact AS contact
        SET {", ".join(_given(name, sql_type, "contact") for name, sql_type in CONTACT_COLUMNS.items())},
            custom = jsonb_strip_nulls(contact.custom || given.custom),
            position = CASE WHEN given.moves THEN given.place ELSE contact.position END,
            detached_from = CASE WHEN given.moves THEN NULL ELSE contact.detached_from END,
            updated_by_id = %(user)s, date_updated = statement_timestamp()
        FROM placed AS given
        WHERE contact.id = given.id
        RETURNING contact.id, {_held("old", [*CONTACT_COLUMNS, *_PLACE])} AS before,
                  {_held("new", [*CONTACT_COLUMNS, *_PLACE])} AS after)
    SELECT id, before, after FROM changed WHERE before <> after
"""
_FOLLOW = """
    UPDATE crm_sequencesubscription AS subscription
    SET lead_id = contact.lead_id, date_updated = statement_timestamp()
    FROM crm_contact AS contact
    WHERE subscription.contact_id = contact.id AND contact.id = ANY(%(moved)s)
    RETURNING subscription.id, old.lead_id, new.lead_id
"""


class Writing:
    """One write of all that a walk through rows has decided. The records get their ids."""

    def __init__(
        self, organization_id: UUID, user_id: UUID, action_id: UUID | None, default_status_id: UUID | None
    ) -> None:
        self._common = {"organization": organization_id, "user": user_id, "action": action_id}
        self._default_status_id = default_status_id
        self.new_leads: dict[UUID, int] = {}
        self.new_contacts: list[UUID] = []
        self.new_details: list[Change] = []
        self.changes: list[Change] = []

    def write(self, companies: Sequence[Company], people: Sequence[Person]) -> None:
        """`companies` and `people` are those made or touched; the old ones are held."""
        new_companies, old_companies = _parted(companies)
        new_people, old_people = _parted(people)
        self._name([*new_companies, *new_people])
        self.new_leads = {company.id: len(company.people) for company in new_companies}
        self._copy_leads(new_companies)
        self._update("lead", _UPDATE_LEADS, old_companies)
        self._add_contacts(new_companies, new_people)
        self._update("contact", _UPDATE_CONTACTS, old_people)
        self._take_subscriptions_along()
        for kind in _TABLES:
            self._add_details(kind, people)
            self._update_details(kind, old_people)
        new_addresses, changed_addresses = write_addresses(self._execute, companies)
        self.changes += changed_addresses
        self.new_details += [*new_addresses, *write_urls(self._execute, people)]

    def _copy_leads(self, companies: Sequence[Company]) -> None:
        for company in companies:
            company.given.setdefault("status_id", self._default_status_id)
        self._copy("crm_lead", LEAD_COLUMNS, companies, [company.given for company in companies])

    def _add_contacts(self, new_companies: Sequence[Company], people: Sequence[Person]) -> None:
        """Those of new leads, and of none, by COPY; of leads that were there behind the contacts they have."""
        places = {id(person): place for company in new_companies for place, person in enumerate(company.people)}
        alone, behind_others = [], []
        for person in people:
            if person.company is not None:
                person.lead_id = person.company.id
            if id(person) not in places:
                self.new_contacts.append(person.id)
            (alone if person.lead_id is None or id(person) in places else behind_others).append(person)
        given = [{**person.given, "lead_id": person.lead_id, "position": places.get(id(person), 0)} for person in alone]
        self._copy("crm_contact", [*CONTACT_COLUMNS, "position"], alone, given)
        if behind_others:
            records = [
                {**person.given, "lead_id": person.lead_id, "id": person.id, "custom": person.custom}
                for person in behind_others
            ]
            self._execute(_INSERT_CONTACTS, records=_json(records))

    def _copy(
        self, table: str, columns: Iterable[str], records: Sequence[Record], given: Sequence[Mapping[str, object]]
    ) -> None:
        """New leads or contacts, with what is given of each: in half the time that an INSERT from JSON takes."""
        if not records:
            return
        said = set().union(*given)
        names = [name for name in columns if name in said]
        # As text: the driver would spell each key anew for each row.
        organization, user = str(self._common["organization"]), str(self._common["user"])
        copy_rows(
            table,
            ["id", "organization_id", "created_by_id", "updated_by_id", "custom", *names],
            (
                (one.id, organization, user, user, json.dumps(one.custom) if one.custom else "{}", *map(of.get, names))
                for one, of in zip(records, given, strict=True)
            ),
        )

    def _execute(self, sql: str, **parameters: object) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(sql, {**self._common, **parameters})
            return cursor.fetchall() if cursor.description else []

    def _name(self, records: "Sequence[Record | Detail]") -> None:
        """Give each new record a key that the database has made: in the order of the rows."""
        if records:
            keys = self._execute("SELECT uuidv7() FROM generate_series(1, %(n)s)", n=len(records))
            for record, (key,) in zip(records, keys, strict=True):
                record.id = key

    def _update(self, table: str, sql: str, records: Sequence[Record]) -> None:
        if not records:
            return
        given = _json([{"id": one.id, "given": one.given, "custom": one.custom} for one in records])
        of = {one.id: one for one in records}
        for key, before, after in self._execute(sql, records=given):
            names = {*of[key].given, *(f"custom.{name}" for name in of[key].custom)}
            self._note(table, key, _flat(json.loads(before)), _flat(json.loads(after)), names)

    def _note(
        self, table: str, key: UUID, before: Mapping[str, object], after: Mapping[str, object], names: set[str]
    ) -> None:
        if "lead_id" in names:
            names.update(_PLACE)
        differing = [name for name in sorted(names) if before.get(name) != after.get(name)]
        if differing:
            was = {name: before[name] for name in differing if name in before}
            self.changes.append(Change(table, key, was, {name: after.get(name) for name in differing}))

    def _take_subscriptions_along(self) -> None:
        """Those of contacts that have another lead now."""
        moved = [change.id for change in self.changes if change.table == "contact" and "lead_id" in change.after]
        if moved:
            self.changes += [
                Change("subscription", key, {"lead_id": str(before)}, {"lead_id": str(after)})
                for key, before, after in self._execute(_FOLLOW, moved=moved)
            ]

    def _add_details(self, kind: Key, people: Sequence[Person]) -> None:
        """The addresses (numbers) that people did not have. Only of those that were there the keys are asked for."""
        table, column = _TABLES[kind]
        added: list[tuple[Person, Detail]] = []
        with_new: list[tuple[Person, Detail]] = []
        for person in people:
            behind = 0
            for detail in person.details[kind]:
                if detail.text is not None and detail.id is None:
                    detail.position = behind
                    (with_new if person.is_new else added).append((person, detail))
                behind = max(behind, detail.position) + 1
        self._name([detail for _, detail in added])
        self.new_details += [Change(kind.value, detail.id, {}, {column: detail.text}) for _, detail in added]
        columns = ("organization_id", "contact_id", "position", "type", column)
        mine = str(self._common["organization"])
        rows = [(mine, person.id, detail.position, detail.type, detail.text) for person, detail in with_new]
        copy_rows(table, columns, rows)
        old = [(mine, one.id, detail.position, detail.type, detail.text, detail.id) for one, detail in added]
        copy_rows(table, (*columns, "id"), old)

    def _update_details(self, kind: Key, people: Sequence[Person]) -> None:
        table, column = _TABLES[kind]
        changed = [
            detail
            for person in people
            for detail in person.details[kind]
            if detail.stored is not None and detail.text is not None and detail.text != detail.stored
        ]
        if not changed:
            return
        self._execute(
            f"""
            UPDATE {table} AS detail SET {column} = record.text
            FROM jsonb_to_recordset(%(records)s::jsonb) AS record (id uuid, text text)
            WHERE detail.id = record.id
            """,
            records=_json([{"id": detail.id, "text": detail.text} for detail in changed]),
        )
        self.changes += [
            Change(kind.value, detail.id, {column: detail.stored}, {column: detail.text}) for detail in changed
        ]


def _parted(records: Sequence) -> tuple[list, list]:
    return [one for one in records if one.is_new], [one for one in records if not one.is_new]


def _flat(held: dict[str, object]) -> dict[str, object]:
    custom = held.pop("custom")
    return {**held, **{f"custom.{name}": value for name, value in custom.items()}}


def _json(records: Sequence[Mapping[str, object]]) -> str:
    return json.dumps(records, default=str)
