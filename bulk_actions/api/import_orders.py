"""From the body of a POST to an import: the file, which column is what, and what to do with what is there already."""

from dataclasses import dataclass
from typing import Literal

from django.core.files.uploadedfile import UploadedFile

from bulk_actions.api.import_answers import show_import
from bulk_actions.api.import_source import Body, Source, source_of
from bulk_actions.api.options import canary_of, failure_ratio_of, flag_of, run_at_of
from bulk_actions.api.orders import ceiling_of, priority_of, refuse_unknown_keys
from bulk_actions.api.problems import Problems
from bulk_actions.models import DEFAULT_FAILURE_RATIO, PREFIX, BulkAction, Kind, Priority, Upload
from bulk_actions.services import Order
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.files.encodings import ENCODINGS, fallbacks_of
from crm.files.opening import Options
from crm.ids import parse_close_id
from crm.import_fields import ColumnOptions, Fields, Mapped, match_field
from crm.merging import Key, OnDuplicate
from crm.text import clean_text

KEYS = [
    "file", "upload_id", "like", "records", "mapping", "match", "on_duplicate", "dry_run", "encoding", "sheet", "raw",
    "send_done_email", "leads_per_minute", "priority", "run_at", "canary", "max_failure_ratio", "_fields",
]  # fmt: skip
RECORDS = ("leads", "contacts")


@dataclass(frozen=True)
class Reading:
    """How the file is to be read."""

    source: Source
    options: Options
    records: Literal["leads", "contacts"]
    encoding: str | None
    fields: Fields
    header: tuple[str, ...]
    mapping: dict[str, Mapped]


def reading_of(body: Body, file: UploadedFile | None, caller: Caller) -> Reading:
    """Raises `FieldErrors`; the mapping may be empty."""
    refuse_unknown_keys(body, KEYS)
    source = source_of(body, file, caller)
    records: Literal["leads", "contacts"] = "leads"
    if body.get("records") not in (None, *RECORDS):
        raise FieldErrors({"records": "Not a valid choice: send leads or contacts."})
    if body.get("records") == "contacts":
        records = "contacts"
    sheet = body.get("sheet")
    if sheet is not None:
        sheet = clean_text(sheet, path="sheet", limit=255)
    encoding = _encoding(body)
    options = Options(fallbacks=fallbacks_of(encoding), sheet=sheet, raw=flag_of(body, "raw"))
    fields = Fields(caller.organization.pk, records)
    with source.opened(options) as table:
        header = table.header
    return Reading(source, options, records, encoding, fields, header, _mapping(body, fields, header))


def as_before(body: Body, caller: Caller) -> Body:
    """The body with what the import in `like` was asked, where the body itself says nothing. Raises `FieldErrors`."""
    if body.get("like") is None:
        return body
    jobs = BulkAction.objects.filter(organization=caller.organization, kind=Kind.IMPORT, undo_of__isnull=True)
    before = jobs.filter(pk=parse_close_id(PREFIX[Kind.IMPORT], body["like"])).first()
    if before is None or not before.is_of_file:
        raise FieldErrors({"like": "Object does not exist."})
    said = {key: value for key, value in body.items() if value is not None}
    shown = show_import(before.params)
    told = {key: shown[key] for key in ("records", "mapping", "match", "on_duplicate")}
    return {**told, **{key: before.params.get(key) for key in ("encoding", "sheet", "raw")}, **said}


def _encoding(body: Body) -> str | None:
    value = body.get("encoding")
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in ENCODINGS:
        raise FieldErrors({"encoding": f"Not a valid choice: {', '.join(ENCODINGS)}."})
    return value.lower()


def _mapping(body: Body, fields: Fields, header: tuple[str, ...]) -> dict[str, Mapped]:
    given = body.get("mapping")
    if given is None:
        return fields.suggest(header)
    if not isinstance(given, dict):
        raise FieldErrors({"mapping": "Value must be an object: a field, or null, for each column."})
    return fields.read(header, given)


def order_of(body: Body, file: UploadedFile | None, caller: Caller) -> tuple[Order, Upload]:
    """The import that `body` asks for; its file is kept once nothing is wrong. Raises `Invalid`."""
    body = as_before(body, caller)
    problems = Problems()
    reading = problems.gather(lambda: reading_of(body, file, caller))
    match = problems.gather(lambda: _match(body, reading))
    on_duplicate = problems.gather(lambda: _on_duplicate(body))
    dry_run = problems.gather(lambda: flag_of(body, "dry_run"))
    send = problems.gather(lambda: flag_of(body, "send_done_email", default=True))
    ceiling = problems.gather(lambda: ceiling_of(body))
    priority = problems.gather(lambda: priority_of(body))
    run_at = problems.gather(lambda: run_at_of(body))
    canary = problems.gather(lambda: canary_of(body))
    ratio = problems.gather(lambda: failure_ratio_of(body))
    if reading is not None and not reading.mapping:
        problems.field_errors["mapping"] = "No column is understood by its name: say which field each of them is."
    problems.raise_any()
    assert reading is not None
    assert match is not None
    upload = reading.source.kept(caller)
    keys, field_id = match
    params = {
        "upload_id": str(upload.pk),
        "file": upload.name,
        "records": reading.records,
        "mapping": reading.mapping,
        "match": keys,
        "match_field_id": field_id,
        "on_duplicate": on_duplicate,
        "dry_run": dry_run,
        "encoding": reading.encoding,
        "sheet": reading.options.sheet,
        "raw": reading.options.raw,
    }
    order = Order(
        kind=Kind.IMPORT,
        params=params,
        s_query=None,
        resolved_query={},
        sort=[],
        results_limit=None,
        send_done_email=bool(send),
        leads_per_minute=ceiling,
        priority=priority or Priority.NORMAL,
        run_at=run_at,
        canary_leads=canary,
        max_failure_ratio=DEFAULT_FAILURE_RATIO if ratio is None else ratio,
    )
    return order, upload


def _match(body: Body, reading: Reading | None) -> tuple[list[str], str | None] | None:
    """The keys by which records are known again, and the custom field where one of them is."""
    given = body.get("match")
    if given is None or reading is None:
        return [Key.EMAIL.value, Key.PHONE.value], None
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list) or not words or len(words) > len(Key):
        raise FieldErrors({"match": "Value must be a list of email, phone, external_id or custom.cf_…"})
    subject = "lead" if reading.records == "leads" else "contact"
    keys: list[str] = []
    field_id = None
    holding: set[str] = set()  # fields by which a record may be found
    for word in words:
        if word in (Key.EMAIL, Key.PHONE, Key.EXTERNAL_ID):
            keys.append(str(word))
            holding |= {f"{subject}.external_id"} if word == Key.EXTERNAL_ID else _reaching(str(word))
            continue
        field = match_field(reading.fields, word) if isinstance(word, str) and "custom." in word else None
        if field is None or field.object_type != subject or field_id is not None or field.accepts_multiple_values:
            problem = f"Not a valid choice: email, phone, external_id, or one custom field of a {subject} (one value)."
            raise FieldErrors({"match": problem})
        keys.append(Key.CUSTOM.value)
        field_id = str(field.pk)
        holding.add(f"{subject}.custom.{field.key}")
    _refuse_blindness(body, reading, holding)
    return list(dict.fromkeys(keys)), field_id


def _reaching(key: str) -> set[str]:
    return {f"contact.{key}", f"contact.{key}s", "lead.contacts"}


def _refuse_blindness(body: Body, reading: Reading, holding: set[str]) -> None:
    """A file that says nothing of what it is to be matched by would make every record a second time; and so would the
    next one, if this one took that from the records."""
    columns = [ColumnOptions.of(one) for one in reading.mapping.values()]
    mapped = {column.field for column in columns}
    if any(column.clears for column in columns if column.field in holding):
        raise FieldErrors({"match": "Records are known again by a field that the mapping lets empty cells empty."})
    if mapped and not mapped & holding and body.get("on_duplicate") != OnDuplicate.CREATE:
        raise FieldErrors({"match": "No column holds any of these, so no record would be known again."})


def _on_duplicate(body: Body) -> str:
    value = body.get("on_duplicate")
    if value is None:
        return OnDuplicate.UPDATE.value
    if value not in list(OnDuplicate):
        raise FieldErrors({"on_duplicate": f"Not a valid choice: {', '.join(OnDuplicate)}."})
    return str(value)
