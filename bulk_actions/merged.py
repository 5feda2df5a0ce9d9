"""What a merge did, lead by lead: as the ledger keeps it."""

from collections.abc import Mapping
from uuid import UUID

from django.db import connection

from crm.merging import Change, Merged

# The lead of each of these contacts, and of what belongs to leads and contacts.
_LEADS_OF_PARTS = """
    SELECT id, lead_id FROM crm_contact WHERE id = ANY(%(contact)s)
    UNION ALL
    SELECT detail.id, contact.lead_id FROM crm_contactemail AS detail
    JOIN crm_contact AS contact ON contact.id = detail.contact_id WHERE detail.id = ANY(%(email)s)
    UNION ALL
    SELECT detail.id, contact.lead_id FROM crm_contactphone AS detail
    JOIN crm_contact AS contact ON contact.id = detail.contact_id WHERE detail.id = ANY(%(phone)s)
    UNION ALL
    SELECT detail.id, contact.lead_id FROM crm_contacturl AS detail
    JOIN crm_contact AS contact ON contact.id = detail.contact_id WHERE detail.id = ANY(%(url)s)
    UNION ALL
    SELECT id, lead_id FROM crm_address WHERE id = ANY(%(address)s)
"""
_CONTACTS_OF_PARTS = """
    SELECT id, contact_id FROM crm_contactemail WHERE id = ANY(%(email)s)
    UNION ALL
    SELECT id, contact_id FROM crm_contactphone WHERE id = ANY(%(phone)s)
    UNION ALL
    SELECT id, contact_id FROM crm_contacturl WHERE id = ANY(%(url)s)
    UNION ALL
    SELECT id, contact_id FROM crm_sequencesubscription WHERE id = ANY(%(subscription)s)
"""


def done_to_leads(merged: Merged) -> dict[UUID, dict[str, object]]:
    """What was done to each lead that was made or changed, as the ledger keeps it (`actions/imports.py`)."""
    done: dict[UUID, dict[str, object]] = {
        key: {"created": True, "contacts": n_contacts} for key, n_contacts in merged.new_leads.items()
    }
    lead_of = _leads_of_parts(merged)

    def about(table: str, key: UUID) -> dict[str, object]:
        lead_id = key if table == "lead" else lead_of[key]
        return done.setdefault(lead_id, {"created": False, "contacts": 0, "changes": [], "made": []})

    for change in merged.changes:
        about(change.table, change.id)["changes"].append(_told(change))
    for key in merged.new_contacts:
        of_lead = about("contact", key)
        of_lead["made"].append(_told_contact(key))
        of_lead["contacts"] += 1
    for detail in merged.new_details:
        about(detail.table, detail.id)["made"].append(_told_detail(detail))
    return done


def done_to_contacts(merged: Merged) -> dict[UUID, dict[str, object]]:
    """The same where the rows were contacts: a new one is among what was `made`."""
    parts: dict[str, list[UUID]] = {"email": [], "phone": [], "url": [], "subscription": []}
    for change in (*merged.changes, *merged.new_details):
        if change.table in parts:
            parts[change.table].append(change.id)
    contact_of: dict[UUID, UUID] = {}
    if any(parts.values()):
        with connection.cursor() as cursor:
            cursor.execute(_CONTACTS_OF_PARTS, parts)
            contact_of = dict(cursor.fetchall())
    done: dict[UUID, dict[str, object]] = {}

    def about(key: UUID) -> dict[str, object]:
        return done.setdefault(contact_of.get(key, key), {"changes": [], "made": []})

    for change in merged.changes:
        about(change.id)["changes"].append(_told(change))
    for key in merged.new_contacts:
        about(key)["made"].append(_told_contact(key))
    for detail in merged.new_details:
        about(detail.id)["made"].append(_told_detail(detail))
    return done


def in_one(first: Mapping[str, list], then: Mapping[str, list]) -> dict[str, object]:
    """What two merges did to one contact, one after the other: of each value the first before and the last after."""
    changes = {(change["table"], change["id"]): change for change in first["changes"]}
    for change in then["changes"]:
        record = (change["table"], change["id"])
        earlier = changes.get(record, {"before": {}, "after": {}})
        fresh = {name: value for name, value in change["before"].items() if name not in earlier["after"]}
        changes[record] = {
            **change,
            "before": {**fresh, **earlier["before"]},
            "after": {**earlier["after"], **change["after"]},
        }
    return {"changes": list(changes.values()), "made": [*first["made"], *then["made"]]}


def _told(change: Change) -> dict[str, object]:
    return {"table": change.table, "id": str(change.id), "before": dict(change.before), "after": dict(change.after)}


def _told_contact(key: UUID) -> dict[str, object]:
    return {"table": "contact", "id": str(key)}


def _told_detail(detail: Change) -> dict[str, object]:
    return {"table": detail.table, "id": str(detail.id), "after": dict(detail.after)}


def _leads_of_parts(merged: Merged) -> dict[UUID, UUID]:
    parts: dict[str, list[UUID]] = {"email": [], "phone": [], "url": [], "address": []}
    parts["contact"] = list(merged.new_contacts)
    for change in (*merged.changes, *merged.new_details):
        if change.table != "lead":
            parts[change.table].append(change.id)
    if not any(parts.values()):
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LEADS_OF_PARTS, parts)
        return dict(cursor.fetchall())
