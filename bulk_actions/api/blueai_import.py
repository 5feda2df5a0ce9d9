"""`/crm/bulk/contacts/import` (blueai-api.md 6.3): contacts from a CSV file, merged within the request."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.urls import path
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from bulk_actions import uploads
from bulk_actions.merges import MergeAtOnce
from bulk_actions.models import Kind
from bulk_actions.services import Order, create_bulk_action
from crm.api.blueai.contacts import KEYS
from crm.api.blueai.conventions import BlueAIRequest, BlueAIView
from crm.api.blueai.inputs import LONGEST_LINE, LONGEST_NAME, UNKNOWN, email_of
from crm.api.blueai.openapi import describe
from crm.api.close.openapi import query_text
from crm.errors import FieldErrors
from crm.files.encodings import fallbacks_of
from crm.files.opening import Options, Table, open_table
from crm.files.problems import FileProblem
from crm.files.rows import RowProblem
from crm.ids import hex_id, parse_hex_id
from crm.merging import LARGEST_CALL, Key, OnDuplicate, Outcome, Row, Rules, Subject
from crm.models import Permission
from crm.phones import stored_phone

MOST_BYTES = 10 * 1024 * 1024
MOST_ROWS = 50_000
MOST_LISTED = 1_000  # errors; then one line with the number of the others
_REQUIRED = ("first_name", "last_name")
_LIMITS = {"first_name": LONGEST_NAME, "last_name": LONGEST_NAME, "phone": LONGEST_NAME, "position": LONGEST_LINE}
_SHOWN_COLUMNS = 20
_ENCODING = "cp932"  # where it is not UTF-8
_FIELDS = {
    "first_name": "contact.first_name", "last_name": "contact.last_name", "email": "contact.email",
    "phone": "contact.phone", "position": "contact.title", "company_id": "lead.id", "note": "contact.note",
}  # fmt: skip
# What the merge says of a row, in the words of an error.
_PROBLEMS = {"lead_id": "company_id: not found"}

Problems = dict[int, str]  # by the row's number, from 1 on


class _TooLarge(Exception):
    """The file has more than `MOST_BYTES` or `MOST_ROWS`: too much for a request."""


class ImportBody(serializers.Serializer):
    file = serializers.FileField(
        help_text=f"CSV with a header: {', '.join(KEYS)}, of which {' and '.join(_REQUIRED)} must be there."
    )


class ImportAnswer(serializers.Serializer):
    processed = serializers.IntegerField(help_text="Rows that made, changed or passed over a contact as asked.")
    errors = serializers.ListField(child=serializers.CharField())
    job_id = serializers.CharField(
        required=False,
        help_text="With 202, where the file is too large for a request and a job imports it; else with `detail=1`.",
    )


class ContactsImportView(BlueAIView):
    creates = True
    parser_classes = [MultiPartParser]
    permissions = {"POST": Permission.IMPORT}

    @describe(
        "bulk_contacts_import", "Makes contacts of the rows of a CSV file.",
        body={"multipart/form-data": ImportBody}, answer=ImportAnswer, also=[202],
        query=[
            query_text("on_duplicate", "`update` or `skip` the contact that has the email; else every row makes one."),
            query_text("detail", "`1`: also `job_id`, of the call as a job that can be undone."),
        ],
    )  # fmt: skip
    def post(self, request: BlueAIRequest) -> Response:
        rules = Rules(Subject.CONTACT, (Key.EMAIL,), _on_duplicate(request))
        upload = self._upload()
        try:
            with open_table(upload.file, format="csv", options=Options(fallbacks=fallbacks_of(_ENCODING))) as table:
                places = _places_of(table.header)
                try:
                    if upload.size > MOST_BYTES:
                        raise _TooLarge
                    return Response(self._import(table, places, rules))
                except _TooLarge:
                    mapping = {table.header[place]: _FIELDS[key] for key, place in places.items()}
            return self._begin(upload, mapping, rules)
        except FileProblem as problem:
            raise FieldErrors({"file": f"{problem.code.replace('_', ' ')}: {problem.message}"}) from problem

    def _begin(self, upload: UploadedFile, mapping: dict[str, str], rules: Rules) -> Response:
        """The same as a job: it goes on when the request is over."""
        kept = uploads.store(upload, self.request.caller)
        params = {
            "upload_id": str(kept.pk), "file": kept.name, "records": "contacts", "mapping": mapping,
            "required": [_FIELDS[key] for key in _REQUIRED], "encoding": _ENCODING, "match": list(rules.match),
            "match_field_id": None, "on_duplicate": rules.on_duplicate.value, "dry_run": False,
        }  # fmt: skip
        order = Order(
            kind=Kind.IMPORT, params=params, s_query=None, resolved_query={}, sort=[], results_limit=None,
            send_done_email=True, leads_per_minute=None,
        )  # fmt: skip
        action = create_bulk_action(order=order, caller=self.request.caller)
        return Response({"processed": 0, "errors": [], "job_id": hex_id("job", action.pk)}, status=202)

    @transaction.atomic
    def _import(self, table: Table, places: Mapping[str, int], rules: Rules) -> dict[str, object]:
        """All rows or, where the file turns out to be unreadable, none."""
        unknown = [name for name in table.header if name.strip().casefold() not in KEYS]
        problems: Problems = {}
        merge = MergeAtOnce(rules=rules, caller=self.request.caller, source="blueai")
        n_processed = n_merged = 0
        rows = _read(table, places, problems)
        while piece := list(islice(rows, LARGEST_CALL)):
            n_merged += len(piece)
            for (number, _), result in zip(piece, merge.merge([row for _, row in piece]).results, strict=True):
                if result.outcome is Outcome.FAILED:
                    problems[number] = _PROBLEMS.get(str(result.problem), str(result.problem))
                else:
                    n_processed += 1
        job = merge.close(n_unread=len(problems) - (n_merged - n_processed))
        answer = {"processed": n_processed, "errors": [*_of_columns(unknown), *_listed(problems)]}
        return answer | ({"job_id": hex_id("job", job.pk)} if self.request.query_params.get("detail") == "1" else {})

    def said(self) -> object:
        """For the `Idempotency-Key`: the file by its content."""
        return [uploads.digest_of(self._upload()), sorted(self.request.query_params.lists())]

    def _upload(self) -> UploadedFile:
        upload = self.request.FILES.get("file")
        if upload is None:
            raise FieldErrors({"file": "is required, as a part of multipart/form-data"})
        return upload


def _on_duplicate(request: BlueAIRequest) -> OnDuplicate:
    text = request.query_params.get("on_duplicate", "")
    if text not in ("", OnDuplicate.UPDATE, OnDuplicate.SKIP):
        raise FieldErrors({"on_duplicate": "must be update or skip"})
    return OnDuplicate(text) if text else OnDuplicate.CREATE


def _places_of(header: Sequence[str]) -> Mapping[str, int]:
    """Where each known column stands. Raises `FieldErrors` for one that is missing, or there twice."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        key = name.strip().casefold()
        if key in places:
            raise FieldErrors({"file": f"has the column {key} twice"})
        if key in KEYS:
            places[key] = place
    missing = [name for name in _REQUIRED if name not in places]
    if missing:
        raise FieldErrors({"file": f"has no column {' and no column '.join(missing)}"})
    return places


def _read(table: Table, places: Mapping[str, int], problems: Problems) -> Iterator[tuple[int, Row]]:
    """The rows that can be read, with their numbers; what is wrong with the others goes into `problems`."""
    for found in table.rows():
        if found.number > MOST_ROWS:
            raise _TooLarge
        if isinstance(found, RowProblem):
            problems[found.number] = found.message
            continue
        texts = {key: str(found.cells[place]).strip() or None for key, place in places.items()}
        try:
            yield found.number, _row(texts)
        except FieldErrors as problem:
            problems[found.number] = "; ".join(f"{key}: {said}" for key, said in problem.field_errors.items())


def _row(texts: Mapping[str, str | None]) -> Row:
    """Raises `FieldErrors`."""
    problems: dict[str, object] = {}
    for key, limit in _LIMITS.items():
        if len(texts.get(key) or "") > limit:
            problems[key] = f"must have at most {limit} characters"
    for key in _REQUIRED:
        if not texts[key]:
            problems[key] = "is required"
    email, phone = texts.get("email"), texts.get("phone")
    if email:
        try:
            email_of(email)
        except ValueError as problem:
            problems["email"] = str(problem)
    company: UUID | None = None
    if texts.get("company_id"):
        company = parse_hex_id("comp", texts["company_id"]) or UNKNOWN
    if problems:
        raise FieldErrors(problems)
    return Row(
        contact={
            "first_name": texts["first_name"],
            "last_name": texts["last_name"],
            "name": f"{texts['first_name']} {texts['last_name']}",
            "title": texts.get("position"),
            "note": texts.get("note"),
            "lead_id": company,
        },
        email=email,
        phone=stored_phone(phone) if phone else None,
    )


def _of_columns(unknown: Sequence[str]) -> list[str]:
    if not unknown:
        return []
    more = f" and {len(unknown) - _SHOWN_COLUMNS} more" if len(unknown) > _SHOWN_COLUMNS else ""
    return [f"unknown columns were ignored: {', '.join(name[:100] for name in unknown[:_SHOWN_COLUMNS])}{more}"]


def _listed(problems: Problems) -> list[str]:
    lines = [f"row {number}: {problems[number]}" for number in sorted(problems)[:MOST_LISTED]]
    n_others = len(problems) - len(lines)
    return [*lines, f"and {n_others:,} more rows with errors"] if n_others else lines


urlpatterns = [path("bulk/contacts/import/", ContactsImportView.as_view())]
