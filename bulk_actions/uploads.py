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
from django.db import connection, transaction

from bulk_actions.models import BulkAction, Kind, Upload
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
    # The row first: a file that nobody knows of would be kept for ever.
    upload = Upload.objects.create(
        organization=caller.organization,
        created_by=caller.user,
        name=_storable(file.name or "")[:_LONGEST_NAME],
        content_type=_storable(file.content_type or "")[:_LONGEST_NAME],
        path=f"{caller.organization.pk}/{uuid4()}",
        size=file.size,
        sha256=digest_of(file),
    )
    upload.refresh_from_db()
    if storage().save(upload.path, file) != upload.path:
        raise FileExistsError(upload.path)
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


# A file serves the retries of its imports as long as their ledgers are there.
_OLD = """
    SELECT upload.id, upload.path FROM bulk_actions_upload AS upload
    WHERE upload.date_created < now() - %(age)s::interval AND NOT EXISTS (
        SELECT FROM bulk_actions_bulkaction AS action
        WHERE action.organization_id = upload.organization_id AND action.kind = 'import'
          AND action.params->>'upload_id' = upload.id::text
          AND coalesce(action.date_finished, now()) > now() - %(age)s::interval)
    ORDER BY upload.date_created LIMIT %(limit)s FOR UPDATE OF upload SKIP LOCKED
"""


@transaction.atomic
def forget_old_uploads(*, limit: int) -> int:
    """Remove files that came in, and were imported, more than `BULK_LEDGER_DAYS` ago; says how many."""
    with connection.cursor() as cursor:
        cursor.execute(_OLD, {"age": timedelta(days=settings.BULK_LEDGER_DAYS), "limit": limit})
        found = cursor.fetchall()
    for _, path in found:
        storage().delete(path)  # the rows go last: cut off in between, it is tried again
    Upload.objects.filter(pk__in=[key for key, _ in found]).delete()
    return len(found)


def _storable(text: str) -> str:
    return "".join(one for one in text if one != "\0" and not "\ud800" <= one <= "\udfff")
