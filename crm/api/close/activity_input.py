"""Bodies of activities, read into columns. Unknown keys are passed over; what cannot be done yet is refused."""

import html
from collections.abc import Callable
from datetime import UTC, datetime

from django.utils.html import strip_tags

from crm.api.close.inputs import GONE, REQUIRED
from crm.api.close.part_input import LONGEST_BODY, PartReader
from crm.ids import parse_close_id
from crm.mail.parts import clean_attachments
from crm.models import Activity
from crm.phones import stored_phone

CALL_STATUSES = ("created", "in-progress", "completed", "cancel", "no-answer", "busy", "failed", "timeout")
MESSAGE_STATUSES = ("inbox", "draft", "sent")  # those that only write a message down
EMAIL_STATUSES = ("inbox", "draft", "scheduled", "outbox", "sent", "error")
_NOT_SENT = ("draft", "scheduled", "outbox", "error")
LONGEST_SEND_IN = 60  # seconds
SENDING = ("scheduled", "outbox", "error")
MEETING_STATUSES = ("upcoming", "in-progress", "completed", "canceled", "declined-by-lead", "declined-by-org")
DIRECTIONS = ("inbound", "outbound")

Columns = dict[str, object]
# What a body says of an activity that is there already, or (None) of one to be made.
Read = Callable[[PartReader, Activity | None], None]


def read_activity(reader: PartReader, current: Activity | None, read: Read) -> Columns:
    """The columns that the body names, by `read` and those that every type has. All that is wrong is told at once."""
    if current is None:
        reader.lead_into()
        created = reader.moment_into("date_created", "date_created")  # of what is brought over from elsewhere
        if created is None:
            reader.columns.pop("date_created", None)
    reader.reference_into("contact_id", "contact_id", "cont")
    reader.reference_into("user_id", "user_id", "user")
    if reader.moment_into("activity_at", "activity_at") is None:
        reader.columns.pop("activity_at", None)
    read(reader, current)
    columns = reader.finished()
    if current is None and "date_created" in columns:
        columns.setdefault("activity_at", columns["date_created"])
    return columns


def read_note(reader: PartReader, current: Activity | None) -> None:
    reader.text_into("title", "title")
    _rich_text(reader, "note", "note_html")
    if current is None and not reader.given("note") and not reader.given("note_html"):
        reader.problems.setdefault("note", REQUIRED)


def read_call(reader: PartReader, current: Activity | None) -> None:
    _rich_text(reader, "note", "note_html")
    reader.choice_into("status", "status", CALL_STATUSES)
    reader.choice_into("direction", "direction", DIRECTIONS)
    reader.number_into("duration", "duration")
    reader.text_into("disposition", "disposition", limit=100)
    _phones(reader, "phone", "remote_phone")
    if current is None:
        reader.columns.setdefault("status", "completed")
        reader.columns.setdefault("direction", "outbound")


def read_sms(reader: PartReader, current: Activity | None) -> None:
    reader.refuse("template_id", "date_scheduled", "send_in", "attachments")
    reader.text_into("text", "text", limit=LONGEST_BODY)
    _phones(reader, "remote_phone")
    reader.choice_into("direction", "direction", DIRECTIONS)
    _status(reader, current)
    if "status" in reader.columns and "direction" not in reader.columns:
        reader.columns["direction"] = "inbound" if reader.columns["status"] == "inbox" else "outbound"
    _sent(reader, current)


def read_email(reader: PartReader, current: Activity | None) -> None:
    reader.refuse("followup_date")
    reader.text_into("title", "subject")
    reader.text_into("text", "body_text", limit=LONGEST_BODY)
    reader.text_into("html", "body_html", limit=LONGEST_BODY)
    reader.text_into("local_address", "sender", limit=500)
    if "to" in reader.body:
        reader.columns["recipients"] = reader.words("to")
    details = _email_details(reader)
    if details:
        reader.columns["details"] = {**(current.details if current else {}), **details}
    reader.choice_into("status", "status", EMAIL_STATUSES)
    if current is None and not reader.given("status"):
        reader.problems.setdefault("status", REQUIRED)
    if "status" in reader.columns:
        incoming = reader.columns["status"] == "inbox"
        reader.columns["direction"] = "incoming" if incoming else "outgoing"
        sender = reader.columns.get("local_address", current.local_address if current else None)
        if reader.columns["status"] in ("inbox", "error") and not sender:
            reader.problems.setdefault("sender", REQUIRED)
    _orders(reader)
    _sent(reader, current)


def _email_details(reader: PartReader) -> Columns:
    """What only mails have; null empties it."""
    details: Columns = {key: reader.words(key) for key in ("cc", "bcc") if key in reader.body}
    if "attachments" in reader.body:
        details["attachments"] = reader.attempt(lambda: clean_attachments(reader.body["attachments"]), [])
    for key, prefix in (("template_id", "tmpl"), ("email_account_id", "emailacct")):
        if key in reader.body:
            found = parse_close_id(prefix, reader.body[key])
            if reader.body[key] is not None and found is None:
                reader.problems[key] = GONE
            details[key] = None if found is None else str(found)
    if "date_scheduled" in reader.body:
        moment = reader.moment_into("date_scheduled", "date_scheduled")
        reader.columns.pop("date_scheduled", None)
        details["date_scheduled"] = None if moment is None else moment.isoformat()
    return details


def _orders(reader: PartReader) -> None:
    """What is asked of one request only."""
    reader.number_into("send_in", "send_in")
    send_in = reader.columns.get("send_in")
    if isinstance(send_in, int) and send_in >= LONGEST_SEND_IN:
        reader.problems["send_in"] = f"Input should be less than {LONGEST_SEND_IN}"
    elif send_in is not None and reader.columns.get("status") != "outbox":
        reader.problems["send_in"] = "Only a mail that is sent now (status outbox) can wait some seconds."
    if "confirm_possible_duplicates" in reader.body:
        reader.columns["confirm_possible_duplicates"] = reader.flag("confirm_possible_duplicates")


def read_meeting(reader: PartReader, current: Activity | None) -> None:
    reader.text_into("title", "title")
    _rich_text(reader, "note", "user_note_html")
    reader.choice_into("status", "status", MEETING_STATUSES)
    reader.moment_into("starts_at", "starts_at")
    reader.moment_into("ends_at", "ends_at")
    if "location" in reader.body:
        reader.columns["details"] = {**(current.details if current else {}), "location": reader.text("location")}
    starts = reader.columns.get("starts_at", current.starts_at if current else None)
    ends = reader.columns.get("ends_at", current.ends_at if current else None)
    if isinstance(starts, datetime) and isinstance(ends, datetime):
        if ends < starts:
            reader.problems.setdefault("ends_at", "A meeting cannot end before it starts.")
        elif "starts_at" in reader.columns or "ends_at" in reader.columns:
            reader.columns["duration"] = min(int((ends - starts).total_seconds()), 2**31 - 1)
    if isinstance(reader.columns.get("starts_at"), datetime):
        reader.columns.setdefault("activity_at", reader.columns["starts_at"])
    if current is None:
        over = ends or starts
        is_over = isinstance(over, datetime) and over <= datetime.now(UTC)
        reader.columns.setdefault("status", "completed" if is_over else "upcoming")


def _rich_text(reader: PartReader, plain: str, rich: str) -> None:
    """A text in two forms: the one given makes the other; of both given, each is kept as it is."""
    reader.text_into("text", plain, limit=LONGEST_BODY)
    reader.text_into("html", rich, limit=LONGEST_BODY)
    if plain in reader.body and rich not in reader.body:
        reader.columns["html"] = None
    if rich in reader.body and plain not in reader.body:
        marked_up = reader.columns.get("html")
        reader.columns["text"] = html.unescape(strip_tags(marked_up)) if isinstance(marked_up, str) else None


def _phones(reader: PartReader, *remote: str) -> None:
    reader.text_into("local_address", "local_phone", limit=100)
    reader.text_into("remote_address", *remote, limit=100)
    for column in ("local_address", "remote_address"):
        number = reader.columns.get(column)
        if isinstance(number, str):
            reader.columns[column] = stored_phone(number)


def _status(reader: PartReader, current: Activity | None) -> None:
    reader.choice_into("status", "status", MESSAGE_STATUSES, not_yet=SENDING)
    if current is None and not reader.given("status"):
        reader.problems.setdefault("status", REQUIRED)


def _sent(reader: PartReader, current: Activity | None) -> None:
    """When a message went out or came in: as given, else at `activity_at`, else now. Not of one that is yet to go."""
    sent = reader.moment_into("date_sent", "date_sent")
    status = reader.columns.get("status", current.status if current else None)
    if status in _NOT_SENT:
        # Not where the body leaves the status alone: the mail may be leaving while we read.
        if "status" in reader.columns or "date_sent" in reader.columns:
            reader.columns["date_sent"] = None
    elif sent is None and (current is None or current.date_sent is None or "date_sent" in reader.columns):
        known = reader.columns.get("activity_at") or reader.columns.get("date_created")
        reader.columns["date_sent"] = known or datetime.now(UTC)
    if isinstance(reader.columns.get("date_sent"), datetime):
        reader.columns.setdefault("activity_at", reader.columns["date_sent"])
