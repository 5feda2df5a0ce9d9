"""Writing the addresses of leads and the URLs of contacts that rows bring: they tell no record apart, so what is there
already is seen only here. Its lead (contact) is held meanwhile."""

import json
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from crm.merging.known import Company, Person
from crm.merging.rows import ADDRESS_COLUMNS, Change

Execute = Callable[..., list[tuple]]  # SQL with parameters by name

_NAMES = ", ".join(ADDRESS_COLUMNS)
_TYPED = ", ".join(f"{name} text" for name in ADDRESS_COLUMNS)
_SET = ", ".join(
    f"{name} = CASE WHEN given ? '{name}' THEN given->>'{name}' ELSE address.{name} END" for name in ADDRESS_COLUMNS
)


def _behind(table: str, owner: str) -> str:
    """A place behind those that the owner has, in the order of the records."""
    return (
        f"coalesce((SELECT max(position) + 1 FROM {table} AS other WHERE other.{owner} = record.{owner}), 0)"
        f" + row_number() OVER (PARTITION BY {owner} ORDER BY record.place) - 1"
    )


def _held(row: str) -> str:
    pairs = ", ".join(f"'{name}', {row}.{name}" for name in ADDRESS_COLUMNS)
    return f"jsonb_build_object({pairs})"


_CHANGE_FIRST = f"""
    WITH first AS MATERIALIZED (
        SELECT DISTINCT ON (address.lead_id) address.id, record.given
        FROM jsonb_to_recordset(%(records)s::jsonb) AS record (lead_id uuid, given jsonb)
        JOIN crm_address AS address ON address.lead_id = record.lead_id
        ORDER BY address.lead_id, address.position, address.id)
    UPDATE crm_address AS address
    SET {_SET}
    FROM first WHERE address.id = first.id
    RETURNING address.id, address.lead_id, {_held("old")} AS before, {_held("new")} AS after
"""
_ADD_ADDRESSES = f"""
    INSERT INTO crm_address AS address (organization_id, lead_id, position, {_NAMES})
    SELECT %(organization)s, record.lead_id, {_behind("crm_address", "lead_id")}, {_NAMES}
    FROM jsonb_to_recordset(%(records)s::jsonb) AS record (lead_id uuid, place integer, {_TYPED})
    WHERE NOT EXISTS (
        SELECT FROM crm_address AS other WHERE other.lead_id = record.lead_id
        AND ({", ".join(f"other.{name}" for name in ADDRESS_COLUMNS)})
            IS NOT DISTINCT FROM ({", ".join(f"record.{name}" for name in ADDRESS_COLUMNS)}))
    RETURNING id, lead_id, {_held("address")}
"""
_ADD_URLS = f"""
    INSERT INTO crm_contacturl (organization_id, contact_id, position, type, url)
    SELECT %(organization)s, record.contact_id, {_behind("crm_contacturl", "contact_id")}, type, url
    FROM jsonb_to_recordset(%(records)s::jsonb) AS record (contact_id uuid, place integer, type text, url text)
    WHERE NOT EXISTS (
        SELECT FROM crm_contacturl AS other WHERE other.contact_id = record.contact_id AND other.url = record.url)
    RETURNING id, contact_id, url
"""


def write_addresses(execute: Execute, companies: Iterable[Company]) -> tuple[list[Change], list[Change]]:
    """Change the first address of each lead, and add those that it does not have. Of leads that were there before: the
    new addresses, and what was done to old ones."""
    told = [company for company in companies if company.address or company.addresses]
    if not told:
        return [], []
    with_first, changes = _change_first(execute, [one for one in told if one.address and not one.is_new])
    records: list[dict[str, object]] = []
    for company in told:
        told_first = {name: text for name, text in company.address.items() if text is not None}
        first = [told_first] if told_first and company.id not in with_first else []
        for address in [*first, *(one for one in company.addresses.values() if one != told_first or not first)]:
            records.append({"lead_id": str(company.id), "place": len(records), **address})
    made = execute(_ADD_ADDRESSES, records=json.dumps(records)) if records else []
    old = {company.id for company in told if not company.is_new}
    new = [Change("address", key, {}, json.loads(after)) for key, lead_id, after in made if lead_id in old]
    return new, changes


def _change_first(execute: Execute, companies: Sequence[Company]) -> tuple[set[UUID], list[Change]]:
    """The leads that had an address, and what was changed of the first."""
    if not companies:
        return set(), []
    given = json.dumps([{"lead_id": str(company.id), "given": company.address} for company in companies])
    leads: set[UUID] = set()
    changes: list[Change] = []
    for key, lead_id, before, after in execute(_CHANGE_FIRST, records=given):
        leads.add(lead_id)
        was, holds = json.loads(before), json.loads(after)
        differing = [name for name in ADDRESS_COLUMNS if was[name] != holds[name]]
        if differing:
            changes.append(
                Change("address", key, {name: was[name] for name in differing}, {n: holds[n] for n in differing})
            )
    return leads, changes


def write_urls(execute: Execute, people: Iterable[Person]) -> list[Change]:
    """Add the URLs that each contact does not have; those of contacts that were there before."""
    records: list[dict[str, object]] = []
    old: set[UUID | None] = set()
    for person in people:
        if person.urls and not person.is_new:
            old.add(person.id)
        for url, type_ in person.urls.items():
            records.append({"contact_id": str(person.id), "place": len(records), "type": type_, "url": url})
    made = execute(_ADD_URLS, records=json.dumps(records)) if records else []
    return [Change("url", key, {}, {"url": url}) for key, contact_id, url in made if contact_id in old]
