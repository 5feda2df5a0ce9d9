"""What the names of a one-line query mean: which field of which related object."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A regular field of the object itself, or of one related to it."""

    field: str
    related: str | None = None


def _own(**names: str) -> dict[str, tuple[Place, ...]]:
    return {name: (Place(field),) for field, written in names.items() for name in written.split()}


def _of(related: str, **names: str) -> dict[str, tuple[Place, ...]]:
    return {name: (Place(field, related),) for field, written in names.items() for name in written.split()}


_RECORD = _own(date_created="created", date_updated="updated")
_ADDRESS = {
    "location": "address", "city": "city", "state": "state", "zipcode": "zipcode zip postal_code",
    "country": "country", "address_1": "address_1", "address_2": "address_2",
}  # fmt: skip

# By object type; every field of the type also has its own name. Several places: any of them.
NAMES: Mapping[str, Mapping[str, tuple[Place, ...]]] = {
    "lead": {
        **_RECORD,
        **_own(
            name="company lead_name",
            status_id="status lead_status lead_status_id",
            num_contacts="contacts",
            addresses_count="addresses",
            num_opportunities="opportunities",
            num_activities="activities",
            num_calls="calls",
            num_emails="emails",
            num_sms="sms",
            num_notes="notes",
            num_meetings="meetings",
            num_tasks="tasks",
            num_email_addresses="email_addresses",
            num_phone_numbers="phone_numbers phones",
            all_urls_count="urls",
        ),
        **_of("contact", name="contact_name contact", title="contact_title title"),
        **_of("contact_email", email="email_address email"),
        **_of("contact_phone", phone="phone phone_number"),
        "url": (Place("url"), Place("url", "contact_url")),
        **_of("opportunity", status_id="opportunity_status"),
        **_of("address", **_ADDRESS),
    },
    "contact": {
        **_RECORD,
        **_own(name="contact_name", emails_count="emails", phones_count="phones", urls_count="urls"),
        **_of("lead", name="lead_name company", status_id="lead_status"),
        **_of("contact_email", email="email_address email"),
        **_of("contact_phone", phone="phone phone_number"),
        **_of("contact_url", url="url"),
    },
    "opportunity": {
        **_RECORD,
        **_own(status_id="status opportunity_status", user_id="user"),
        **_of("lead", name="lead_name company name", status_id="lead_status"),
    },
    "address": _own(**_ADDRESS),
    "contact_email": _own(email="email_address"),
    "contact_phone": _own(phone="phone_number"),
}

# Groups: `contact(…)`
GROUPS: Mapping[str, str] = {
    "lead": "lead",
    "contact": "contact",
    "contacts": "contact",
    "opportunity": "opportunity",
    "opportunities": "opportunity",
    "address": "address",
    "addresses": "address",
    "email_address": "contact_email",
    "phone": "contact_phone",
    "phone_number": "contact_phone",
    "url": "contact_url",
    "call": "activity.call",
    "email": "activity.email",
    "meeting": "activity.meeting",
    "note": "activity.note",
    "sms": "activity.sms",
    "task": "task",
}
