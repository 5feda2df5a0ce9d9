"""What the writing of an export leaves in the database while its reading transaction is still open.

That one sees a single moment, and could neither tell a pause nor show how far it is: so this goes by a session of its
own, each step one statement that counts only while the job is `processing`.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection

from bulk_actions.models import BulkAction

GONE = "It was deleted after the job had begun."
# FOR SHARE waits for a pause that is about to commit, and then looks again.
_RUNS = "job AS (SELECT FROM bulk_actions_bulkaction WHERE id = %(action)s AND status = 'processing' FOR SHARE)"
_BEGIN = f"""
    WITH {_RUNS},
    again AS (
        UPDATE bulk_actions_batch SET date_done = NULL, changed_ids = NULL, n_succeeded = 0, n_skipped = 0
        WHERE action_id = %(action)s AND date_done IS NOT NULL AND EXISTS (SELECT FROM job)),
    files AS (DELETE FROM bulk_actions_exportfile WHERE action_id = %(action)s AND EXISTS (SELECT FROM job)),
    outcomes AS (
        DELETE FROM bulk_actions_leadoutcome WHERE action_id = %(action)s AND EXISTS (SELECT FROM job)),
    started AS (
        UPDATE bulk_actions_bulkaction SET unfinished_starts = unfinished_starts + 1
        WHERE id = %(action)s AND EXISTS (SELECT FROM job))
    INSERT INTO bulk_actions_exportfile (id, organization_id, action_id, name)
    SELECT %(file)s, %(organization)s, %(action)s, %(name)s WHERE EXISTS (SELECT FROM job)
"""
_PART = f"""
    WITH {_RUNS},
    rows AS (
        UPDATE bulk_actions_exportfile SET n_rows = %(n_rows)s WHERE id = %(file)s AND EXISTS (SELECT FROM job)),
    gone AS (
        INSERT INTO bulk_actions_leadoutcome (action_id, batch_id, lead_id, outcome, code, message)
        SELECT %(action)s, %(batch)s, lead_id, 'skipped', 'lead_gone', %(message)s
        FROM unnest(%(gone)s::uuid[]) AS lead_id WHERE EXISTS (SELECT FROM job))
    UPDATE bulk_actions_batch
    SET date_done = clock_timestamp(), changed_ids = nullif(%(written)s::uuid[], '{{}}'),
        n_succeeded = cardinality(%(written)s::uuid[]), n_skipped = cardinality(%(gone)s::uuid[])
    WHERE id = %(batch)s AND EXISTS (SELECT FROM job)
"""
_END = f"""
    WITH {_RUNS},
    started AS (
        UPDATE bulk_actions_bulkaction SET unfinished_starts = 0 WHERE id = %(action)s AND EXISTS (SELECT FROM job))
    UPDATE bulk_actions_exportfile SET date_finished = clock_timestamp(), n_rows = %(n_rows)s, size = %(size)s
    WHERE id = %(file)s AND EXISTS (SELECT FROM job)
"""
_STOP = """
    UPDATE bulk_actions_bulkaction SET unfinished_starts = greatest(unfinished_starts - 1, 0) WHERE id = %(action)s
"""


class Stopped(Exception):
    """The job is no longer `processing`, since somebody has paused or cancelled it; or this process is ending."""


class Steps:
    """Of one try to write the file `file_id`. Each raises `Stopped`; `close` it in the end."""

    def __init__(self, action: BulkAction, file_id: UUID) -> None:
        self._common = {"action": action.pk, "organization": action.organization_id, "file": file_id}
        self._session = connection.copy()

    def close(self) -> None:
        self._session.close()

    def has_file(self) -> bool:
        """Whether an earlier try has brought the file to its end, and only the job was not ended."""
        with self._session.cursor() as cursor:
            cursor.execute(
                "SELECT FROM bulk_actions_exportfile WHERE action_id = %(action)s AND date_finished IS NOT NULL",
                self._common,
            )
            return cursor.rowcount > 0

    def names(self) -> list[str]:
        """The files that earlier tries have left."""
        with self._session.cursor() as cursor:
            cursor.execute("SELECT name FROM bulk_actions_exportfile WHERE action_id = %(action)s", self._common)
            return [name for (name,) in cursor.fetchall()]

    def begin(self, name: str) -> None:
        """Nothing of the job is written yet, whatever an earlier try had; the file has this name."""
        self._run(_BEGIN, {"name": name})

    def part_done(self, batch_id: int, written: Sequence[UUID], gone: Sequence[UUID], n_rows: int) -> None:
        """All of this batch is in the file, which has so many rows by now."""
        self._run(
            _PART,
            {"batch": batch_id, "written": list(written), "gone": list(gone), "n_rows": n_rows, "message": GONE},
        )

    def end(self, n_rows: int, size: int) -> None:
        """The file is complete, and lies where it will be read from."""
        self._run(_END, {"n_rows": n_rows, "size": size})

    def stop(self) -> None:
        """This try has ended without harm: it did not kill its worker."""
        with self._session.cursor() as cursor:
            cursor.execute(_STOP, self._common)

    def _run(self, sql: str, parameters: Mapping[str, object]) -> None:
        with self._session.cursor() as cursor:
            cursor.execute(sql, {**self._common, **parameters})
            if not cursor.rowcount:
                raise Stopped
