"""Where the files of exports lie, who may fetch them, and for how long."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.db.models.functions import Now

from bulk_actions.models import BulkAction, ExportFile
from bulk_actions.states import Status
from crm.errors import NotFound

log = structlog.get_logger(__name__)
_SALT = "bulk_actions.export_files"


def storage() -> Storage:
    return storages["exports"]


@contextmanager
def _os_errors() -> Iterator[None]:
    """A storage may have errors of its own, that nobody else knows: here all of them are `OSError`s."""
    try:
        yield
    except OSError:
        raise
    except Exception as problem:
        raise OSError(errno.EIO, "it refused, or did not answer") from problem


def new_name(action: BulkAction, key: UUID) -> str:
    """`<job>-<try>.csv.gz`: no two tries have the same, so that none can spoil the file of another."""
    ending = str(action.params["format"])
    return f"{action.pk.hex}-{key.hex}.{ending}{'' if ending == 'xlsx' else '.gz'}"


class NewFile(io.RawIOBase):
    """Written from its first byte to its last: no storage but a folder can go back in a file.

    The file is there once this is closed, even if that is because of an error: then `discard` it. Raises `OSError`.
    """

    def __init__(self, file: File) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        with _os_errors():
            return self._file.write(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with _os_errors():
                self._file.close()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError) if kind else nullcontext():  # or it would hide what has happened
            self.close()


def new_file(name: str) -> NewFile:
    """Raises `OSError`."""
    with _os_errors():
        if storage().save(name, ContentFile(b"")) != name:
            raise FileExistsError(name)
        return NewFile(storage().open(name, "wb"))


def size_of(name: str) -> int:
    """In bytes. Raises `OSError`."""
    with _os_errors():
        return storage().size(name)


def opened(name: str) -> File:
    """Raises `FileNotFoundError`; `OSError` while the storage does not answer."""
    with _os_errors():
        return storage().open(name, "rb")


def delete(name: str) -> None:
    """Whether it is there or not. Raises `OSError`."""
    with _os_errors():
        storage().delete(name)


def discard(name: str) -> bool:
    """As `delete`; says whether the storage did so. Else the next try does it, or who removes old files."""
    try:
        delete(name)
    except OSError as problem:
        log.warning("export.file_left", name=name, problem=str(problem))
        return False
    return True


def finished_file(action: BulkAction) -> ExportFile | None:
    """The file of an export that is done, while it is kept."""
    if action.status != Status.DONE:
        return None
    return ExportFile.objects.filter(action=action.pk, date_finished__isnull=False).first()


def link_to(action: BulkAction, file: ExportFile) -> str:
    """An address from which anybody can fetch the file for `EXPORT_LINK_SECONDS`; each call gives a new one."""
    token = signing.dumps(file.pk.hex, salt=_SALT)
    return f"{settings.PUBLIC_URL}/api/v1/export/{action.api_id}/file/?token={token}"


def file_of_link(action_id: UUID | None, token: str) -> tuple[BulkAction, ExportFile]:
    """What a link leads to. Raises `NotFound` for a link that has expired, is of another export, or not ours."""
    try:
        key = UUID(hex=signing.loads(token, salt=_SALT, max_age=settings.EXPORT_LINK_SECONDS))
    except signing.BadSignature as problem:
        raise NotFound from problem
    file = ExportFile.objects.filter(pk=key, action=action_id, date_finished__isnull=False).first()
    action = BulkAction.objects.filter(pk=action_id, status=Status.DONE).first()
    if file is None or action is None or action.organization_id != file.organization_id:
        raise NotFound
    return action, file


def forget_old_files(*, limit: int) -> int:
    """Remove files that were begun more than `EXPORT_FILE_DAYS` ago, whatever became of them; says how many.

    It stops where the storage refuses.
    """
    age = timedelta(days=settings.EXPORT_FILE_DAYS)
    n_removed = 0
    for file in ExportFile.objects.filter(date_created__lt=Now() - age).order_by("date_created")[:limit]:
        # The file first: cut off in between, it is done again.
        if not discard(file.name):
            break
        file.delete()
        n_removed += 1
    return n_removed
