"""The file of an import, and the parts of the form that it comes with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles, MultiPartParser

from bulk_actions import uploads
from bulk_actions.models import Upload
from crm.api.close.requests import refuse_unstorable, strict_json
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.files.opening import Options, Table, open_table
from crm.files.problems import FileProblem
from crm.text import clean_text

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
            body[name] = _value_of(name, text) if text else None
        if file is not None:
            view.upload = file  # type: ignore[attr-defined]
            body["file"] = uploads.digest_of(file)
        return body


def _value_of(name: str, text: str) -> object:
    if name == "match" and not text.startswith("["):
        return [word.strip() for word in text.split(",")]  # as people write it with curl
    if name not in _JSON_KEYS:
        return text
    try:
        value = strict_json(text)
    except (ValueError, RecursionError):
        if text[0] not in "{[":
            return text  # whoever takes it says what it must be
        raise FieldErrors({name: "Value must be written as JSON."}) from None
    refuse_unstorable(value, what=name)
    return value


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
