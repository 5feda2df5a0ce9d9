"""The rows of a file as they are staged, in JSON, made into what a merge takes."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from crm.merging import Reach, Row


def row_of(data: Mapping[str, Any]) -> Row:
    """What `crm.import_rows.ImportReader.read` gave, as it goes into a merge."""
    lead = dict(data.get("lead", {}))
    for name in ("status_id", "owner_id"):
        if name in lead:
            lead[name] = UUID(lead[name])
    contact = dict(data.get("contact", {}))
    if contact.get("lead_id"):
        contact["lead_id"] = UUID(contact["lead_id"])
    return Row(
        lead=lead,
        contact=contact,
        email=data.get("email"),
        phone=data.get("phone"),
        lead_custom=data.get("lead_custom", {}),
        contact_custom=data.get("contact_custom", {}),
        emails=[Reach(**one) for one in data.get("emails", ())],
        phones=[Reach(**one) for one in data.get("phones", ())],
        urls=[Reach(**one) for one in data.get("urls", ())],
        address=data.get("address", {}),
        addresses=data.get("addresses", ()),
        contacts=[row_of(one) for one in data.get("contacts", ())],
        cleared=data.get("cleared", ()),
    )
