"""From the body of a POST to an import: the file, which column is what, and what to do with what is there already."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles, MultiPartParser

from bulk_actions import uploads
from bulk_actions.api.options import canary_of, failure_ratio_of, run_at_of
from bulk_actions.api.orders import Problems, ceiling_of, priority_of, refuse_unknown_keys
from bulk_actions.models import DEFAULT_FAILURE_RATIO, Kind, Priority, Upload
from bulk_actions.services import Order
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.files.opening import Options, Table, open_table
from crm.files.problems import FileProblem
from crm.import_rows import Fields, match_field
from crm.merging import Key, OnDuplicate
from crm.text import clean_text

KEYS = [
    "file", "upload_id", "records", "mapping", "match", "on_duplicate", "dry_run", "sheet", "raw", "send_done_email",
    "leads_per_minute", "priority", "run_at", "canary", "max_failure_ratio", "_fields",
]  # fmt: skip
_JSON_KEYS = (
    "mapping",
    "match",
    "dry_run",
    "raw",
    "send_done_email",
    "leads_per_minute",
    "canary",
    "max_failure_ratio",
)
_SPARE_BYTES = 1024 * 1024  # of a multipart body beside its file
RECORDS = ("leads", "contacts")

Body = Mapping[str, object]


class ImportParser(MultiPartParser):
    """A form with a `file`. Its other parts are what a JSON body would hold, lists and objects written as JSON.

    The view gets the file as `upload`; the body has its SHA-256 in its place.
    """

    def parse(self, stream: object, media_type: str | None = None, parser_context: dict | None = None) -> dict:
        context = parser_context or {}
        length = context["request"].META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > settings.FILE_MAX_BYTES + _SPARE_BYTES:
            raise ParseError(f"The file has more than {settings.FILE_MAX_BYTES:,} bytes.")
        parsed: DataAndFiles = super().parse(stream, media_type, parser_context)
        return self._body(parsed.data, parsed.files.get("file"), context["view"])

    def _body(self, data: QueryDict, file: UploadedFile | None, view: object) -> dict[str, object]:
        body: dict[str, object] = {}
        for name, text in data.items():
            clean_text(name, path="body")
            clean_text(text, path=name[:100])
            try:
                body[name] = json.loads(text) if name in _JSON_KEYS and text else text or None
            except (ValueError, RecursionError):
                raise FieldErrors({name: "Value must be written as JSON."}) from None
        if file is not None:
            view.upload = file  # type: ignore[attr-defined]
            body["file"] = uploads.digest_of(file)
        return body


@dataclass(frozen=True)
class Source:
    """The file of an import: one that has just come, or one that is kept."""

    file: UploadedFile | None
    upload: Upload | None

    @contextmanager
    def opened(self, options: Options) -> Iterator[Table]:
        """Raises `FieldErrors("file")`."""
        try:
            if self.upload is not None:
                with uploads.opened(self.upload, options) as table:
                    yield table
            elif self.file is not None:
                name, kind = self.file.name or "", self.file.content_type
                with open_table(self.file.file, name, content_type=kind, options=options) as table:
                    yield table
        except FileProblem as problem:
            raise told(problem) from problem

    def kept(self, caller: Caller) -> Upload:
        """Raises `FieldErrors("file")`."""
        if self.upload is not None:
            return self.upload
        assert self.file is not None
        try:
            return uploads.store(self.file, caller)
        except FileProblem as problem:
            raise told(problem) from problem


@dataclass(frozen=True)
class Reading:
    """How the file is to be read."""

    source: Source
    options: Options
    records: Literal["leads", "contacts"]
    fields: Fields
    header: tuple[str, ...]
    mapping: dict[str, str]


def told(problem: FileProblem) -> FieldErrors:
    return FieldErrors({"file": f"{problem.code}: {problem.message}"})


def source_of(body: Body, file: UploadedFile | None, caller: Caller) -> Source:
    """Raises `FieldErrors`."""
    if file is not None:
        if body.get("upload_id") is not None:
            raise FieldErrors({"upload_id": "Give either file or upload_id, not both."})
        return Source(file, None)
    if body.get("upload_id") is None:
        raise FieldErrors({"file": "This field is required: a part of multipart/form-data, or the upload_id of one."})
    upload = uploads.upload_of(body["upload_id"], caller.organization.pk)
    if upload is None:
        raise FieldErrors({"upload_id": "Object does not exist."})
    return Source(None, upload)


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
    options = Options(sheet=sheet, raw=flag_of(body, "raw"))
    fields = Fields(caller.organization.pk, records)
    with source.opened(options) as table:
        header = table.header
    given = body.get("mapping")
    if given is None:
        mapping = fields.suggest(header)
    elif isinstance(given, dict):
        mapping = fields.read(header, given)
    else:
        raise FieldErrors({"mapping": "Value must be an object: a field, or null, for each column."})
    return Reading(source, options, records, fields, header, mapping)


def order_of(body: Body, file: UploadedFile | None, caller: Caller) -> tuple[Order, Upload]:
    """The import that `body` asks for; its file is kept once nothing is wrong. Raises `Invalid`."""
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
    if given is None:
        return [Key.EMAIL.value, Key.PHONE.value], None
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list) or not words or len(words) > len(Key) or reading is None:
        raise FieldErrors({"match": "Value must be a list of email, phone, external_id or custom.cf_…"})
    keys: list[str] = []
    field_id = None
    for word in words:
        if word in (Key.EMAIL, Key.PHONE, Key.EXTERNAL_ID):
            keys.append(str(word))
            continue
        field = match_field(reading.fields, word) if isinstance(word, str) and "custom." in word else None
        subject = "lead" if reading.records == "leads" else "contact"
        if field is None or field.object_type != subject or field_id is not None or field.accepts_multiple_values:
            problem = f"Not a valid choice: email, phone, external_id, or one custom field of a {subject} (one value)."
            raise FieldErrors({"match": problem})
        keys.append(Key.CUSTOM.value)
        field_id = str(field.pk)
    return list(dict.fromkeys(keys)), field_id


def _on_duplicate(body: Body) -> str:
    value = body.get("on_duplicate")
    if value is None:
        return OnDuplicate.UPDATE.value
    if value not in list(OnDuplicate):
        raise FieldErrors({"on_duplicate": f"Not a valid choice: {', '.join(OnDuplicate)}."})
    return str(value)


def flag_of(body: Body, key: str, *, default: bool = False) -> bool:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise FieldErrors({key: "Value must be true or false."})
    return value
