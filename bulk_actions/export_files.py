"""Where the files of exports lie, who may fetch them, and for how long."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db.models.functions import Now

from bulk_actions.models import BulkAction, ExportFile
from bulk_actions.states import Status
from crm.errors import NotFound

_SALT = "bulk_actions.export_files"


def storage() -> Storage:
    return storages["exports"]


def new_name(action: BulkAction, key: UUID) -> str:
    """`<job>-<try>.csv.gz`: no two tries have the same, so that none can spoil the file of another."""
    ending = str(action.params["format"])
    return f"{action.pk.hex}-{key.hex}.{ending}{'' if ending == 'xlsx' else '.gz'}"


def make(name: str) -> None:
    """An empty file, to be opened for writing."""
    if storage().save(name, ContentFile(b"")) != name:
        raise FileExistsError(name)


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
    """Remove files that were begun more than `EXPORT_FILE_DAYS` ago, whatever became of them; says how many."""
    age = timedelta(days=settings.EXPORT_FILE_DAYS)
    return remove(list(ExportFile.objects.filter(date_created__lt=Now() - age).order_by("date_created")[:limit]))


def remove(files: list[ExportFile]) -> int:
    """Remove the files, then what is known of them: cut off in between, it is done again."""
    for file in files:
        storage().delete(file.name)
        file.delete()
    return len(files)
