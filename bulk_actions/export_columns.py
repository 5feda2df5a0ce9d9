"""The columns of exported tables (CSV, XLSX): what each is called, and the SQL that it comes from.

Rows are read by the keys of one part of the job at a time, in the job's order.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from uuid import UUID

from django.db import connection

from bulk_actions.models import BulkAction
from crm.api.close.showing import custom_fields_of
from crm.custom_values import show_value
from crm.ids import close_id
from crm.models import CustomField, FieldObject

_CUSTOM = "custom."
_OF_FEW = ("stat", "pipe", "user")  # of which an organization has few: their ids are spelled once
_shared_id = lru_cache(maxsize=1_000)(close_id)


@dataclass(frozen=True)
class Column:
    """`sql` over the rows of the table and `join`; `prefix` makes an id of it. `on_request`: it is there only where
    `fields` names it."""

    name: str
    sql: str
    join: str | None = None
    prefix: str | None = None
    on_request: bool = False


@dataclass(frozen=True)
class Table:
    """A kind of export. `rows` follows `target(key, place)`; its own row is called `row`, and has the `custom` values
    of `custom` fields. `phones` are columns of phone numbers."""

    rows: str
    order: str
    columns: Sequence[Column]
    custom: FieldObject
    joins: Mapping[str, str]
    phones: frozenset[str] = frozenset()
    where: str = "true"


def _name_of(person: str) -> str:
    return (
        f"coalesce(nullif({person}.name, ''), "
        f"nullif(concat_ws(' ', nullif({person}.first_name, ''), nullif({person}.last_name, '')), ''))"
    )


def _user(name: str) -> str:
    return (
        f"(SELECT coalesce(nullif(trim(concat_ws(' ', first_name, last_name)), ''), email) "
        f"FROM crm_user WHERE crm_user.id = row.{name})"
    )


def _first(table: str, column: str, person: str) -> str:
    return f"(SELECT {column} FROM {table} WHERE contact_id = {person}.id ORDER BY position, id LIMIT 1)"


def _others(table: str, column: str) -> str:
    return (
        f"(SELECT string_agg({column}, ', ' ORDER BY position, id) FROM (SELECT * FROM {table} "
        f"WHERE contact_id = row.id ORDER BY position, id OFFSET 1) AS other)"
    )


_ADDRESS = tuple(
    Column(name, f"address.{name.removeprefix('address_') if name == 'address_label' else name}", "address")
    for name in ("address_label", "address_1", "address_2", "city", "state", "zipcode", "country")
)
_WHO_AND_WHEN = (
    Column("created_by", "row.created_by_id", prefix="user"),
    Column("created_by_name", _user("created_by_id")),
    Column("updated_by", "row.updated_by_id", prefix="user"),
    Column("updated_by_name", _user("updated_by_id")),
    Column("date_created", "row.date_created"),
    Column("date_updated", "row.date_updated"),
)


def _address_of(lead: str) -> str:
    return (
        f"LEFT JOIN LATERAL (SELECT * FROM crm_address WHERE lead_id = {lead} ORDER BY position, id LIMIT 1) "
        "AS address ON true"
    )


_LEADS = Table(
    rows="""
        JOIN crm_lead AS row ON row.id = target.key AND row.organization_id = %(organization)s
            AND row.deleted_at IS NULL
        JOIN crm_leadstatus AS status ON status.id = row.status_id
    """,
    order="target.place",
    columns=(
        Column("id", "row.id", prefix="lead"),
        Column(
            "display_name",
            f"coalesce(nullif(row.name, ''), {_name_of('person')}, person.email, person.phone, 'Unnamed lead')",
            "person",
        ),
        Column("name", "row.name"),
        Column("description", "row.description"),
        Column("url", "row.url"),
        Column("status_id", "row.status_id", prefix="stat"),
        Column("status_label", "status.label"),
        Column("contact_name", _name_of("person"), "person"),
        Column("contact_title", "person.title", "person"),
        Column("contact_email", "person.email", "person"),
        Column("contact_phone", "person.phone", "person"),
        *_ADDRESS,
        *_WHO_AND_WHEN,
        Column("external_id", "row.external_id", on_request=True),
    ),
    custom=FieldObject.LEAD,
    joins={
        "person": f"""
            LEFT JOIN LATERAL (
                SELECT contact.name, contact.first_name, contact.last_name, contact.title,
                       {_first("crm_contactemail", "email", "contact")} AS email,
                       {_first("crm_contactphone", "phone", "contact")} AS phone
                FROM crm_contact AS contact WHERE contact.lead_id = row.id ORDER BY contact.position, contact.id LIMIT 1
            ) AS person ON true
        """,
        "address": _address_of("row.id"),
    },
    phones=frozenset({"contact_phone"}),
)
_OF_CONTACTS = (
    Column("id", "row.id", prefix="cont"),
    Column("lead_id", "row.lead_id", prefix="lead"),
    Column("lead_name", "lead.name"),
    Column("name", _name_of("row")),
    Column("title", "row.title"),
    Column("email", _first("crm_contactemail", "email", "row")),
    Column("phone", _first("crm_contactphone", "phone", "row")),
    Column("url", _first("crm_contacturl", "url", "row")),
    Column("other_emails", _others("crm_contactemail", "email")),
    Column("other_phones", _others("crm_contactphone", "phone")),
    *_ADDRESS,
    *_WHO_AND_WHEN,
    Column("external_id", "row.external_id", on_request=True),
    Column("lead_external_id", "lead.external_id", on_request=True),
)
_CONTACTS_OF_LEADS = Table(
    rows="""
        JOIN crm_lead AS lead ON lead.id = target.key AND lead.organization_id = %(organization)s
            AND lead.deleted_at IS NULL
        JOIN crm_contact AS row ON row.lead_id = lead.id
    """,
    order="target.place, row.position, row.id",
    columns=_OF_CONTACTS,
    custom=FieldObject.CONTACT,
    joins={"address": _address_of("row.lead_id")},
    phones=frozenset({"phone"}),
)
_CONTACTS = replace(
    _CONTACTS_OF_LEADS,
    rows="""
        JOIN crm_contact AS row ON row.id = target.key AND row.organization_id = %(organization)s
        LEFT JOIN LATERAL (SELECT * FROM crm_lead WHERE id = row.lead_id LIMIT 1) AS lead ON true
    """,
    where="lead.deleted_at IS NULL",
    order="target.place",
)
_OF_OPPORTUNITIES = (
    Column("id", "row.id", prefix="oppo"),
    Column("lead_id", "row.lead_id", prefix="lead"),
    Column("lead_name", "lead.name"),
    Column("status_id", "row.status_id", prefix="stat"),
    Column("status_label", "status.label"),
    Column("status_type", "status.type"),
    Column("pipeline_id", "pipeline.id", prefix="pipe"),
    Column("pipeline_name", "pipeline.name"),
    Column("value", "row.value"),
    Column("value_period", "row.value_period"),
    Column("value_currency", "%(currency)s::text"),
    Column("confidence", "row.confidence"),
    Column("note", "row.note"),
    Column("contact_id", "row.contact_id", prefix="cont"),
    Column("contact_name", f"(SELECT {_name_of('who')} FROM crm_contact AS who WHERE who.id = row.contact_id)"),
    Column("user_id", "coalesce(row.user_id, row.created_by_id)", prefix="user"),
    Column("user_name", f"coalesce({_user('user_id')}, {_user('created_by_id')})"),
    Column("date_won", "row.date_won"),
    Column("date_lost", "row.date_lost"),
    *_ADDRESS,
    *_WHO_AND_WHEN,
)
_WITH_LEAD = """
    JOIN crm_lead AS lead ON lead.id = {lead} AND lead.organization_id = %(organization)s AND lead.deleted_at IS NULL
    JOIN crm_opportunitystatus AS status ON status.id = row.status_id
    JOIN crm_pipeline AS pipeline ON pipeline.id = status.pipeline_id
"""
_OPPORTUNITIES_OF_LEADS = Table(
    rows="JOIN crm_opportunity AS row ON row.lead_id = target.key AND row.deleted_at IS NULL"
    + _WITH_LEAD.format(lead="target.key"),
    order="target.place, row.id",
    columns=_OF_OPPORTUNITIES,
    custom=FieldObject.OPPORTUNITY,
    joins={"address": _address_of("row.lead_id")},
)
_OPPORTUNITIES = replace(
    _OPPORTUNITIES_OF_LEADS,
    rows="JOIN crm_opportunity AS row ON row.id = target.key AND row.deleted_at IS NULL"
    + _WITH_LEAD.format(lead="row.lead_id"),
    order="target.place",
)
# By what a row is, and what the keys of the job are those of (`BulkAction.target`).
_TABLES = {
    ("leads", "lead"): _LEADS,
    ("contacts", "lead"): _CONTACTS_OF_LEADS,
    ("contacts", "contact"): _CONTACTS,
    ("lead_opps", "lead"): _OPPORTUNITIES_OF_LEADS,
    ("lead_opps", "opportunity"): _OPPORTUNITIES,
    ("opps", "opportunity"): _OPPORTUNITIES,
}


def _custom_header(fields: Mapping[str, CustomField]) -> dict[str, str]:
    """What the column of each field is called, by its key: `custom.<name>`; by its id where two have the same name."""
    names = [field.name for field in fields.values()]
    return {
        key: _CUSTOM + (field.name if names.count(field.name) == 1 else f"cf_{key}") for key, field in fields.items()
    }


class Reader:
    """Reads the chosen columns of an export. What its fields are is fixed when it is made."""

    def __init__(self, action: BulkAction) -> None:
        self._action, self._table = action, _TABLES[str(action.params["type"]), action.target]
        self._fields = custom_fields_of(action.organization_id, self._table.custom)
        self.header = _header(
            action.params["fields"],
            self._table,
            self._fields,
            with_addresses=bool(action.params["include_addresses"]),
        )
        by_header = {header: key for key, header in _custom_header(self._fields).items()}
        by_name = {**_custom_ids(self._fields), **by_header}
        self._custom_keys = {name: by_name[name] for name in self.header if name.startswith(_CUSTOM)}
        columns = {column.name: column for column in self._table.columns}
        # None: the place of a custom field.
        self._columns = [columns[name] if name not in self._custom_keys else None for name in self.header]
        selected = ["NULL" if column is None else column.sql for column in self._columns]
        joins = {column.join for column in self._columns if column is not None}
        self._sql = f"""
            SELECT {", ".join([*selected, "row.custom" if self._custom_keys else "NULL"])}
            FROM unnest(%(keys)s::uuid[]) WITH ORDINALITY AS target(key, place)
            {self._table.rows}
            {" ".join(sql for name, sql in self._table.joins.items() if name in joins)}
            WHERE {self._table.where} ORDER BY {self._table.order}
        """

    @property
    def phones(self) -> list[int]:
        return [place for place, name in enumerate(self.header) if name in self._table.phones]

    def rows(self, keys: Sequence[UUID]) -> Iterator[list[object]]:
        asked = {
            "keys": list(keys),
            "organization": self._action.organization_id,
            "currency": self._action.organization.currency,
        }
        with connection.cursor() as cursor:
            cursor.execute(self._sql, asked)
            found = cursor.fetchall()
        ids = [
            (place, _shared_id if column.prefix in _OF_FEW else close_id, column.prefix)
            for place, column in enumerate(self._columns)
            if column is not None and column.prefix is not None
        ]
        custom_fields = [
            (place, key, self._fields[key])
            for place, name in enumerate(self.header)
            if (key := self._custom_keys.get(name)) is not None
        ]
        for *cells, custom in found:
            for place, spell, prefix in ids:
                if cells[place] is not None:
                    cells[place] = spell(prefix, cells[place])
            if custom_fields:
                stored = json.loads(custom)
                for place, key, field in custom_fields:
                    if key in stored:
                        cells[place] = show_value(field, stored[key])
            yield cells


def known_columns(type: str, organization_id: UUID) -> set[str]:
    """What `fields` of an export of that type may name."""
    table = next(table for (rows, _), table in _TABLES.items() if rows == type)
    custom = custom_fields_of(organization_id, table.custom)
    return {*(column.name for column in table.columns), *_custom_header(custom).values(), *_custom_ids(custom)}


def _custom_ids(custom: Mapping[str, CustomField]) -> dict[str, str]:
    return {f"{_CUSTOM}cf_{key}": key for key in custom}


def _header(
    fields: Sequence[str] | None, table: Table, custom: Mapping[str, CustomField], *, with_addresses: bool
) -> list[str]:
    """The `fields` that were asked for and are there still, or all."""
    known = [column.name for column in table.columns]
    headers = list(_custom_header(custom).values())
    if fields is not None:
        return [name for name in fields if name in {*known, *headers, *_custom_ids(custom)}]
    left_out = {column.name for column in table.columns if column.on_request}
    left_out |= set() if with_addresses else {column.name for column in _ADDRESS}
    return [name for name in known if name not in left_out] + headers
