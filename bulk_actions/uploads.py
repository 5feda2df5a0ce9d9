"""The files that are to be imported: kept in a storage of their own, known again by their content."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID, uuid4

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from bulk_actions.models import BulkAction, Kind, Upload
from bulk_actions.states import FINAL
from crm.auth import Caller
from crm.files.opening import Options, Table, open_table
from crm.files.problems import FileProblem
from crm.ids import close_id, parse_close_id

PREFIX = "upload"
_LONGEST_NAME = 255
_MOST_TOLD = 10


def storage() -> Storage:
    return storages["uploads"]


def store(file: UploadedFile, caller: Caller) -> Upload:
    """Keep the file. Raises `FileProblem` for one that is empty or too large.

    The name in the storage is ours: what the sender calls the file is only shown.
    """
    if not file.size:
        raise FileProblem("empty_file", "The file is empty.")
    if file.size > settings.FILE_MAX_BYTES:
        raise FileProblem(
            "file_too_large", f"The file has {file.size:,} bytes; {settings.FILE_MAX_BYTES:,} are allowed."
        )
    path = storage().save(f"{caller.organization.pk}/{uuid4()}", file)
    upload = Upload.objects.create(
        organization=caller.organization,
        created_by=caller.user,
        name=_storable(file.name or "")[:_LONGEST_NAME],
        content_type=_storable(file.content_type or "")[:_LONGEST_NAME],
        path=path,
        size=file.size,
        sha256=digest_of(file),
    )
    upload.refresh_from_db()
    return upload


def digest_of(file: UploadedFile) -> str:
    """SHA-256 of the content, in hex."""
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def upload_of(text: object, organization_id: UUID) -> Upload | None:
    key = parse_close_id(PREFIX, text)
    return Upload.objects.filter(organization=organization_id, pk=key).first() if key else None


def spelled(upload: Upload) -> str:
    return close_id(PREFIX, upload.pk)


def earlier_imports(upload: Upload) -> list[BulkAction]:
    """Imports of a file with the same content, the latest first: to warn of doing it twice."""
    same = Upload.objects.filter(organization=upload.organization_id, sha256=upload.sha256).order_by("-pk")
    keys = [str(key) for key in same.values_list("pk", flat=True)[:100]]
    jobs = BulkAction.objects.filter(organization=upload.organization_id, kind=Kind.IMPORT, undo_of__isnull=True)
    return list(jobs.filter(params__upload_id__in=keys, params__dry_run=False).order_by("-pk")[:_MOST_TOLD])


@contextmanager
def opened(upload: Upload, options: Options) -> Iterator[Table]:
    """The table in the file. Raises `FileProblem`."""
    try:
        stream: BinaryIO = storage().open(upload.path, "rb")
    except FileNotFoundError:
        raise FileProblem("file_gone", "The uploaded file is no longer kept. Send it again.") from None
    with stream, open_table(stream, upload.name, content_type=upload.content_type, options=options) as table:
        yield table


def forget_old_uploads(*, limit: int) -> None:
    """Remove the files that came in so long ago that the ledger of their imports is gone, and no import may need."""
    old = Upload.objects.filter(date_created__lt=timezone.now() - timedelta(days=settings.BULK_LEDGER_DAYS))
    for upload in old.order_by("date_created")[:limit]:
        jobs = BulkAction.objects.filter(kind=Kind.IMPORT, params__upload_id=str(upload.pk))
        if jobs.exclude(status__in=FINAL).exists():
            continue
        with transaction.atomic():
            if upload.__class__.objects.select_for_update(skip_locked=True).filter(pk=upload.pk).exists():
                storage().delete(upload.path)  # the row goes last: cut off in between, it is tried again
                Upload.objects.filter(pk=upload.pk).delete()


def _storable(text: str) -> str:
    return "".join(one for one in text if one != "\0" and not "\ud800" <= one <= "\udfff")
