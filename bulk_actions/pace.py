"""How much one transaction of a slice takes on: by measured time, or by the job's ceiling."""

from django.conf import settings
from django.db import connection

from bulk_actions import locks
from bulk_actions.models import BulkAction

_STEP_SECONDS = 0.25  # a job with a ceiling goes in steps of this length
_CATCH_UP_SECONDS = 2.0  # what it may make up for when its turn comes late
_LOOK_AGAIN_SECONDS = 1.0  # at the latest: the ceiling may have been changed


class Pace:
    """Leads per transaction, steered so that one takes about so many seconds."""

    def __init__(self, leads: int | None = None, seconds: float | None = None, fewest: int = 1) -> None:
        """`leads`: how many the first transaction takes on; a stored batch where it is not said. `seconds`:
        `BULK_BATCH_TARGET_SECONDS` where it is not said. `fewest`: that each takes on, however long it takes."""
        self.leads = leads or settings.BULK_STORED_BATCH
        self._seconds = seconds or settings.BULK_BATCH_TARGET_SECONDS
        self._fewest = fewest

    @property
    def batches(self) -> int:
        """How many stored batches to claim."""
        return max(1, min(self.leads // settings.BULK_STORED_BATCH, settings.BULK_MAX_BATCHES_PER_TRANSACTION))

    def learn(self, n_leads: int, seconds: float) -> None:
        """Note what a transaction took; at most doubles or halves the next one."""
        if n_leads:
            aim = n_leads * self._seconds / max(seconds, 0.001)
            self.leads = max(self._fewest, int(min(max(aim, self.leads / 2), self.leads * 2)))


def allowance(action: BulkAction) -> tuple[int | None, float]:
    """How many leads the job's ceiling allows now (None: any number), and the seconds to look again when that is 0.

    Takes the pace lock, so that the workers of one job count one after the other. What has been done is read from the
    ledger: no other clock or counter can disagree with it.
    """
    if action.leads_per_minute is None:
        return None, 0
    locks.wait_for_pace(action.pk)
    elapsed = _seconds_since_last_batch(action)
    per_second = action.leads_per_minute / 60
    step = max(_STEP_SECONDS, 1 / per_second)
    if elapsed < step:
        return 0, min(step - elapsed, _LOOK_AGAIN_SECONDS)
    return max(1, int(per_second * min(elapsed, max(_CATCH_UP_SECONDS, step)))), 0


def _seconds_since_last_batch(action: BulkAction) -> float:
    """By the database's clock, which all workers share; since the job's last move where no batch was done after it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(epoch FROM clock_timestamp() - greatest(max(date_done), %s))::float8
            FROM bulk_actions_batch WHERE action_id = %s AND date_done IS NOT NULL
            """,
            [action.date_updated, action.pk],
        )
        return cursor.fetchone()[0]
