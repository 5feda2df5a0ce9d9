"""Writes the file of an export: all of it from one moment, piece by piece, while its rows are read.

One worker writes it in one go: a moment lasts as long as the transaction that sees it. Whoever comes after a crash or a
pause begins anew; what there was of the file is removed, and is never given away. Such a worker does nothing else
(queue `files`), so that nobody's turn waits for a file.
"""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connection, transaction

from bulk_actions import export_columns, export_objects, locks
from bulk_actions.errors import JobImpossible
from bulk_actions.export_files import delete, discard, new_file, new_name, size_of
from bulk_actions.export_steps import Steps, Stopped
from bulk_actions.export_targets import targets_left
from bulk_actions.models import Batch, BulkAction
from bulk_actions.services import finish
from bulk_actions.states import Status
from crm.files.problems import FileProblem
from crm.files.values import DateFormat
from crm.files.writing import write_table
from crm.garbage import uncollected

log = structlog.get_logger(__name__)
_MOST_TRIES = 10  # that ended with their worker's death
_OBJECTS = ("json", "jsonl")
_ending = threading.Event()  # this process is asked to end

Reader = export_columns.Reader | export_objects.Reader


def write(action_id: UUID) -> None:
    """Write the file of a job that is `processing`, and end the job; nothing while somebody else is at it.

    A pause, a cancel and the end of this process stop it between two parts. Raises `JobImpossible`.
    """
    action = BulkAction.objects.select_related("organization", "created_by").get(pk=action_id)
    if action.status != Status.PROCESSING:
        return
    if action.unfinished_starts >= _MOST_TRIES:
        raise JobImpossible("crashed_worker", f"Writing the file ended the worker process {_MOST_TRIES} times.")
    file_id = uuid4()
    steps = Steps(action, file_id)
    try:
        with transaction.atomic():
            _see_one_moment()
            if not locks.take_slot(action_id, 0):
                return
            if not steps.has_file():
                _write(action, file_id, steps)
    except Stopped:
        steps.stop()
        log.info("export.stopped", job_id=str(action_id))
        return
    except FileProblem as problem:
        raise JobImpossible(problem.code, problem.message) from problem
    except OSError as problem:
        log.exception("export.storage_failed", job_id=str(action_id))
        message = f"The file could not be written to its storage: {problem.strerror or 'it did not answer'}."
        raise JobImpossible("storage_failed", message) from problem
    finally:
        steps.close()
    finish(action_id)


def stop_all() -> None:
    """Stop the writing of all files in this process, for good: it is about to end, and others will do it."""
    _ending.set()


def _see_one_moment() -> None:
    """Everything that the transaction at hand reads is of one moment. It takes as long as the file does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL transaction_timeout = 0; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{settings.EXPORT_STALL_SECONDS}s'"
        )


def _write(action: BulkAction, file_id: UUID, steps: Steps) -> None:
    params = action.params
    is_objects = params["format"] in _OBJECTS
    reader: Reader = (export_objects if is_objects else export_columns).Reader(action)
    name = new_name(action, file_id)
    for left in steps.names():  # of earlier tries; first the file, or nobody would know of it any more
        delete(left)
    steps.begin(name)
    try:
        with new_file(name) as out:
            n_rows = write_table(
                out,
                str(params["format"]),
                reader.header,
                _rows(action, reader, steps),
                # In JSON dates are as the API shows them (close-api.md 4.13).
                dates=DateFormat.ORIGINAL if is_objects else DateFormat(params["date_format"]),
                mark=bool(params["bom"]),
                phones=reader.phones,
                raw=bool(params["raw"]),
                compressed=params["format"] != "xlsx",
            )
        size = size_of(name)
    except BaseException:
        discard(name)
        raise
    # An answer that is lost leaves open whether the step has committed. So the file stays: the next try gives it away,
    # or removes it.
    try:
        steps.end(n_rows, size)
    except Stopped:
        discard(name)
        raise


def _rows(action: BulkAction, reader: Reader, steps: Steps) -> Iterator:
    """Every row, in the job's order. A part is noted as done once the next one is asked for."""
    after, n_rows = 0, 0
    is_row_each = action.target != "lead" or action.params["type"] == "leads"
    # A batch is read in parts where a lead may have thousands of activities: each part goes before the next one comes.
    pause_collections = nullcontext if action.params["include_activities"] else uncollected
    batches = Batch.objects.filter(action=action.pk)
    while batch := batches.filter(rank__gt=after).order_by("rank").first():
        n_before = n_rows
        with pause_collections():
            for row in reader.rows(batch.lead_ids):
                n_rows += 1
                yield row
        is_whole = is_row_each and n_rows - n_before == batch.n_leads
        there = set(batch.lead_ids) if is_whole else targets_left(action, batch.lead_ids)
        written = [key for key in batch.lead_ids if key in there]
        steps.part_done(batch.pk, written, [key for key in batch.lead_ids if key not in there], n_rows)
        if _ending.is_set():
            raise Stopped
        after = batch.rank
