"""`django-import-export`, the usual way to import: the same rows as leads, without their contacts.

Nothing can be taken back, and no address or number is looked for. In bulk nothing is looked for at all; as it comes,
each row is looked for by its `id`, which the file then has as a further column.
"""

import importlib.util
import time
import uuid
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench import file_rows
from bench.engine import JobFailed
from bench.findings import FilePeer
from bench.world import World
from config.demo.api import key_of

if TYPE_CHECKING:
    from import_export.resources import ModelResource

PACKAGE = "django-import-export"
_IN_BULK = {
    "use_bulk": True, "batch_size": 1_000, "skip_diff": True, "import_id_fields": [], "force_init_instance": True,
}  # fmt: skip
_COLUMNS = {"Company": "name", "Description": "description", "Email": "email", "Phone": "phone"}


def is_there() -> bool:
    return importlib.util.find_spec("import_export") is not None


def measure(world: World, file: Path, n_rows: int, repeats: int) -> FilePeer:
    """By both of its ways, into the tables of the stack. The file is read within the time, as a job reads it."""
    found = FilePeer(n_rows, version(PACKAGE), [], [])
    for _ in range(repeats):
        for seconds, in_bulk in ((found.bulk, True), (found.one_by_one, False)):
            file_rows.empty(world)
            seconds.append(_seconds(world, file, n_rows, in_bulk=in_bulk))
    return found


def _seconds(world: World, file: Path, n_rows: int, *, in_bulk: bool) -> float:
    import tablib
    from django.db import connection

    resource = _resource(world, in_bulk=in_bulk)
    began = time.monotonic()
    rows = tablib.Dataset().load(file.read_text(), format="csv")
    if not in_bulk:
        rows.append_col([str(uuid.uuid4()) for _ in range(n_rows)], header="id")
    result = resource.import_data(rows, raise_errors=True)
    seconds = time.monotonic() - began
    connection.close()
    n_leads = world.connection.execute("SELECT count(*) FROM crm_lead").fetchone()[0]
    if result.total_rows != n_rows or n_leads != n_rows:
        raise JobFailed(f"{PACKAGE} made {n_leads} leads of {n_rows} rows.")
    return seconds


def _resource(world: World, *, in_bulk: bool) -> "ModelResource":
    """`in_bulk`: as fast as it can be told to be; else as it comes."""
    from import_export.fields import Field
    from import_export.resources import ModelResource

    from crm.models import Lead

    new_lead = partial(
        Lead, organization_id=world.organization, status_id=key_of(world.new_status), created_by_id=world.user
    )
    meta = {
        "model": Lead,
        "fields": [*_COLUMNS.values(), *([] if in_bulk else ["id"])],
        "use_transactions": True,
        **(_IN_BULK if in_bulk else {}),
    }
    columns = {name: Field(attribute=name, column_name=column) for column, name in _COLUMNS.items()}
    members = {**columns, "Meta": type("Meta", (), meta), "init_instance": lambda self, row=None: new_lead()}
    return type(ModelResource)("Leads", (ModelResource,), members)()
