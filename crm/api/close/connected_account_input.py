"""Bodies of connected accounts, read into columns. The password is kept apart from them."""

import math
from dataclasses import dataclass, field
from datetime import tzinfo

from crm.api.close.inputs import NOT_AN_OBJECT, REQUIRED, Body
from crm.api.close.part_input import PartReader
from crm.errors import FieldErrors, Invalid
from crm.mail.addresses import has_controls, normalise
from crm.mail.hosts import clean_host
from crm.mail.message import as_sender
from crm.models import EmailAccount

LONGEST_NAME = 200  # characters
LONGEST_LOGIN = 255
MAX_IDENTITIES = 50
LONGEST_GAP_SECONDS = 86_400
_MAX_LIMIT = 10_000_000
_SSL_PORT = 465  # RFC 8314: TLS from the first byte; any other port with TLS means STARTTLS
_SECURITIES = tuple(EmailAccount.Security.values)

Identity = dict[str, str]


@dataclass
class AccountDraft:
    columns: dict[str, object] = field(default_factory=dict)
    password: str | None = None


def read_account(body: Body, zone: tzinfo, current: EmailAccount | None) -> AccountDraft:
    """What the body says of the account (`current`: of one that is there). All that is wrong is told at once."""
    reader = PartReader(body, zone)
    draft = AccountDraft(reader.columns)
    reader.reference_into("user_id", "user_id", "user")
    _identities(reader, current)
    _server(reader, draft, current)
    for key in ("daily_limit", "hourly_limit"):
        _limit(reader, key)
    _gap(reader)
    reader.close()
    return draft


def _identities(reader: PartReader, current: EmailAccount | None) -> None:
    found = reader.items("identities", _identity)
    default = reader.body.get("default_identity")
    if found is None and default is None:
        if current is None:
            reader.problems["identities"] = REQUIRED
        return
    if "identities" in reader.problems:
        return
    if found is None:
        found = shown_identities(current) if current else []
    if default is not None:
        chosen = reader.attempt(lambda: _under("default_identity", default), None)
        found = [one for one in found if chosen and one["email"] != chosen["email"]]
        found = [chosen, *found] if chosen else found
    if not found:
        reader.problems.setdefault("identities", REQUIRED)
    elif len(found) > MAX_IDENTITIES:
        reader.problems["identities"] = f"List is too long: at most {MAX_IDENTITIES}."
    else:
        reader.columns |= {
            "sender_email": found[0]["email"],
            "sender_name": found[0]["name"],
            "identities": found[1:],
        }


def shown_identities(account: EmailAccount) -> list[Identity]:
    """The default one first."""
    return [{"email": account.sender_email, "name": account.sender_name}, *account.identities]


def _under(key: str, value: object) -> Identity:
    if not isinstance(value, dict):
        raise FieldErrors({key: NOT_AN_OBJECT})
    try:
        return _identity(value)
    except FieldErrors as problem:
        raise FieldErrors({key: problem.field_errors}) from None


def _identity(item: Body) -> Identity:
    reader = PartReader(item, None)
    email = (reader.text("email") or "").strip()
    name = (reader.text("name", limit=LONGEST_NAME) or "").strip()
    if not email:
        reader.problems.setdefault("email", REQUIRED)
    reader.close()
    try:
        address = normalise(email)
    except Invalid as problem:
        raise FieldErrors({"email": problem.errors[0]}) from None
    try:
        as_sender(name, address)
    except Invalid as problem:
        raise FieldErrors({"name": problem.errors[0]}) from None
    return {"email": address, "name": name}


def _server(reader: PartReader, draft: AccountDraft, current: EmailAccount | None) -> None:
    if "smtp" not in reader.body:
        return
    smtp = reader.body["smtp"]
    if smtp is None:
        reader.columns |= {"smtp_host": "", "smtp_port": None, "smtp_username": ""}
        draft.password = ""
        return
    if not isinstance(smtp, dict):
        reader.problems["smtp"] = NOT_AN_OBJECT
        return
    part = PartReader(smtp, reader.zone)
    _host(part, current)
    if "port" in smtp:
        _port(part)
    part.choice_into("smtp_security", "security", _SECURITIES)
    if "security" not in smtp and ("use_ssl" in smtp or current is None):
        part.columns["smtp_security"] = _security(part, current)
    if "username" in smtp:
        part.columns["smtp_username"] = _login(part, "username") or ""
    if "password" in smtp:
        draft.password = _login(part, "password") or ""
    if part.problems:
        reader.problems["smtp"] = part.problems
    reader.columns |= part.columns


def _host(part: PartReader, current: EmailAccount | None) -> None:
    if "host" not in part.body and current is not None and current.smtp_host:
        return
    text = (part.text("host") or "").strip()
    if not text:
        part.problems.setdefault("host", REQUIRED)
        return
    try:
        part.columns["smtp_host"] = clean_host(text)
    except Invalid as problem:
        part.problems["host"] = problem.errors[0]


def _port(part: PartReader) -> None:
    value = part.body["port"]
    if value is None:
        part.columns["smtp_port"] = None
    elif isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        part.problems["port"] = "Input should be a whole number from 1 to 65535"
    else:
        part.columns["smtp_port"] = value


def _security(part: PartReader, current: EmailAccount | None) -> str:
    """Close's `use_ssl` says only that the way is encrypted; the port says how. It is, unless the body says false."""
    if part.body.get("use_ssl") is not None and not part.flag("use_ssl"):
        return EmailAccount.Security.NONE
    port = part.columns.get("smtp_port", current and current.smtp_port)
    return EmailAccount.Security.SSL if port == _SSL_PORT else EmailAccount.Security.STARTTLS


def _login(part: PartReader, key: str) -> str | None:
    """RFC 4954 leaves room for more than ASCII, and `smtplib` does not."""
    text = part.text(key, limit=LONGEST_LOGIN)
    if text and (has_controls(text) or not text.isascii()):
        part.problems[key] = "Value must consist of printable ASCII characters."
        return None
    return text


def _limit(reader: PartReader, key: str) -> None:
    if key not in reader.body:
        return
    value = reader.body[key]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_LIMIT):
        reader.problems[key] = f"Input should be a whole number from 1 to {_MAX_LIMIT}, or null for no limit"
    else:
        reader.columns[key] = value


def _gap(reader: PartReader) -> None:
    key = "minimum_gap_seconds"
    if key not in reader.body:
        return
    value = reader.body[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and math.isfinite(value) and 0 <= value <= LONGEST_GAP_SECONDS):
        reader.problems[key] = f"Input should be a number from 0 to {LONGEST_GAP_SECONDS}, or null for none"
    else:
        reader.columns[key] = float(value) if value else None
