"""The rows of the files that are measured, and what PostgreSQL itself takes to copy them in and out.

A row is a lead in a status, with a description and a custom field, and a contact with title, address and number.
"""

import csv
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from bench.world import TEXT_FIELD, World
from config.demo.api import key_of

HEADER = ("Company", "Description", "Status", TEXT_FIELD, "Contact", "Title", "Email", "Phone")
STATUS = "Interested"  # the second of those that an organization begins with
_PIECE = 10_000  # rows of a raw transaction
TABLES = ("crm_lead", "crm_contact", "crm_contactemail", "crm_contactphone")
_EMPTIED = (
    *("crm_lead CASCADE", "crm_contact CASCADE", "crm_leadstatuschange", "search_leadwords", "crm_activity CASCADE"),
    *("bulk_actions_batch", "bulk_actions_leadoutcome", "bulk_actions_importrow", "bulk_actions_exportfile"),
)
_OUT = """
    COPY (
        SELECT lead.id, lead.name, lead.description, status.label, lead.custom ->> '{field}', contact.name,
               contact.title, email.email, phone.phone, lead.created_by_id, lead.date_created, lead.date_updated
        FROM crm_lead AS lead JOIN crm_leadstatus AS status ON status.id = lead.status_id
        LEFT JOIN LATERAL (
            SELECT * FROM crm_contact WHERE lead_id = lead.id ORDER BY position, id LIMIT 1) AS contact ON true
        LEFT JOIN LATERAL (
            SELECT * FROM crm_contactemail WHERE contact_id = contact.id ORDER BY position, id LIMIT 1) AS email ON true
        LEFT JOIN LATERAL (
            SELECT * FROM crm_contactphone WHERE contact_id = contact.id ORDER BY position, id LIMIT 1) AS phone ON true
        WHERE lead.organization_id = '{organization}' AND lead.deleted_at IS NULL ORDER BY lead.date_created, lead.id
    ) TO STDOUT (FORMAT csv)
"""

Row = tuple[str, ...]


def rows(n: int) -> Iterator[Row]:
    for i in range(n):
        yield (
            f"Oakvale Mills {i}", f'Met at stand {i % 97}, liked the "quiet" saw', STATUS, f"Referral {i % 50}",
            f"Ida Moss {i}", "Buyer", f"ida{i}@oakvale{i % 977}.example", f"+1555{i:07d}",
        )  # fmt: skip


def write_csv(file: Path, n: int) -> None:
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        writer.writerows(rows(n))


def empty(world: World) -> None:
    """No lead, no contact, nothing that jobs know of them; the write-ahead log behind us."""
    for table in _EMPTIED:
        world.connection.execute(f"TRUNCATE {table}")
    settle(world)


def settle(world: World) -> None:
    """The tables as they are after a while of quiet."""
    world.connection.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}, search_leadwords")
    world.connection.execute("CHECKPOINT")


def raw_in(world: World, n: int) -> float:
    """Seconds that COPY takes for the same records in the same tables, with their indexes, constraints and triggers, in
    transactions of 10,000 leads. Nothing is looked for, and nothing is remembered. What is made before does not count.
    """
    seconds, source = 0.0, rows(n)
    while True:
        pieces = _raw_piece(world, source)
        if not pieces[0][1]:
            return seconds
        began = time.monotonic()
        with world.connection.transaction():
            for command, data in pieces:
                with world.connection.cursor() as cursor, cursor.copy(command) as copy:
                    copy.write(data)
        seconds += time.monotonic() - began


def raw_out(world: World) -> float:
    """Seconds that COPY takes to say the same of all leads, as CSV that is thrown away."""
    statement = _OUT.format(field=world.text_field.removeprefix("cf_"), organization=world.organization)
    began = time.monotonic()
    with world.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for _ in copy:
            pass
    return time.monotonic() - began


def _raw_piece(world: World, source: Iterator[Row]) -> list[tuple[str, str]]:
    lines: dict[str, list[str]] = {table: [] for table in TABLES}
    organization, user, status_id = str(world.organization), str(world.user), str(key_of(world.new_status))
    for _, row in zip(range(_PIECE), source, strict=False):
        name, description, _, origin, person, title, email, phone = row
        lead, contact, *details = (str(_new_key()) for _ in range(4))
        custom = json.dumps({world.text_field.removeprefix("cf_"): origin})
        lines["crm_lead"].append("\t".join((lead, organization, name, description, status_id, custom, user, user)))
        lines["crm_contact"].append("\t".join((contact, organization, lead, person, title, "0", "{}", user, user)))
        lines["crm_contactemail"].append("\t".join((details[0], organization, contact, email, "0", "office")))
        lines["crm_contactphone"].append("\t".join((details[1], organization, contact, phone, "0", "office")))
    return [(f"COPY {table} ({_COLUMNS[table]}) FROM STDIN", "".join(f"{one}\n" for one in lines[table]))
            for table in TABLES]  # fmt: skip


_COLUMNS = {
    "crm_lead": "id, organization_id, name, description, status_id, custom, created_by_id, updated_by_id",
    "crm_contact": "id, organization_id, lead_id, name, title, position, custom, created_by_id, updated_by_id",
    "crm_contactemail": "id, organization_id, contact_id, email, position, type",
    "crm_contactphone": "id, organization_id, contact_id, phone, position, type",
}


def _new_key() -> UUID:
    """A UUIDv7: as the database makes them, so that indexes grow at their end."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
