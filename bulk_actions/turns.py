"""Fair turns: how long a slice may go on and on how many workers, by who else has work for them."""

from dataclasses import dataclass
from math import ceil
from uuid import UUID

from django.conf import settings

from bulk_actions import slots
from bulk_actions.actions import MAILING
from bulk_actions.models import Kind, Priority
from bulk_actions.states import Status

_WEIGHT = {Priority.LOW: 1, Priority.NORMAL: 2, Priority.HIGH: 4}  # of a turn, among the jobs of one organization


@dataclass(frozen=True)
class Turn:
    """What a running job may have at this moment."""

    seconds: float  # from the slice's start until the next job has its turn
    workers: int  # at once, at least 1


def turn_of(action_id: UUID) -> Turn:
    """The job's turn now; cheap enough to be asked for at every step, so that nobody waits for a whole slice.

    Fair between organizations, whatever each of them runs: the turns of one organization's jobs make up
    `BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT` together, and its jobs share its part of the workers. What no other job
    wants, a job may have.
    """
    columns = ("pk", "organization", "kind", "status", "priority", "leads_per_minute")
    at_work = list(slots.at_work().values_list(*columns, named=True))
    # A file is written by others than bulk workers.
    running = [row for row in at_work if row.kind != Kind.EXPORT or row.status == Status.LOADING]
    mine = next((row for row in running if row.pk == action_id), None)
    if mine is None:
        return Turn(settings.BULK_SLICE_SECONDS, 1)  # it does not run: the next step will see that
    siblings = [row for row in running if row.organization == mine.organization]
    at_the_door = _organizations_at_the_door([row.organization for row in at_work])
    seconds: float = settings.BULK_SLICE_SECONDS
    if len(running) > 1 or at_the_door:
        weights = sum(_WEIGHT[row.priority] for row in siblings)
        seconds = settings.BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT * _WEIGHT[mine.priority] / weights
    if mine.kind == Kind.IMPORT:
        return Turn(seconds, 1)  # rows are merged in their order, one merge of an organization at a time
    if mine.leads_per_minute is not None:
        return Turn(seconds, 1)  # its workers would only wait for each other (`pace.allowance`)
    if mine.kind in MAILING:
        # One worker makes and reserves mails more than twice as fast as they are delivered. A second one brings them no
        # sooner, and on few processors later: it takes from delivery what that needs to keep up.
        return Turn(seconds, 1)
    # A job with a ceiling leaves its workers free most of the time.
    hungry = [row for row in running if row.leads_per_minute is None]
    n_organizations = len({row.organization for row in hungry} | at_the_door)
    n_siblings = sum(row.leads_per_minute is None for row in siblings)
    return Turn(seconds, ceil(settings.BULK_WORKERS / (n_organizations * n_siblings)))


def _organizations_at_the_door(at_work: list[UUID]) -> set[UUID]:
    """Those with a job that has a slot and waits for a worker to start it."""
    full = {key for key in at_work if at_work.count(key) >= settings.BULK_MAX_RUNNING_PER_ORGANIZATION}
    waiting = slots.queue().exclude(organization__in=full).order_by()
    return set(waiting.values_list("organization", flat=True).distinct())
