"""The tables that exports can write (CSV, XLSX): what each column is called, and the SQL that it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crm.import_parts import SEPARATORS
from crm.models import FieldObject


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


def _some(column: str, which: str) -> str:
    """Some of a contact's addresses, numbers or URLs in one text: a list in JSON where an import would cut one."""
    cut = rf"'^\[|{SEPARATORS[f'{column}s']}' COLLATE pg_unicode_fast"
    return (
        f"(SELECT CASE WHEN bool_or({column} ~ {cut}) THEN json_agg({column} ORDER BY position, id)::text "
        f"ELSE string_agg({column}, ', ' ORDER BY position, id) END FROM (SELECT * FROM crm_contact{column} "
        f"WHERE contact_id = row.id ORDER BY position, id {which}) AS chosen)"
    )


ADDRESS = tuple(
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
        *ADDRESS,
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
    Column("url", _some("url", "LIMIT 1")),
    Column("other_emails", _some("email", "OFFSET 1")),
    Column("other_phones", _some("phone", "OFFSET 1")),
    *ADDRESS,
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
    *ADDRESS,
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
TABLES = {
    ("leads", "lead"): _LEADS,
    ("contacts", "lead"): _CONTACTS_OF_LEADS,
    ("contacts", "contact"): _CONTACTS,
    ("lead_opps", "lead"): _OPPORTUNITIES_OF_LEADS,
    ("lead_opps", "opportunity"): _OPPORTUNITIES,
    ("opps", "opportunity"): _OPPORTUNITIES,
}
