"""The state machine of a bulk action, all of it. The words are Close's seven and no others."""

from django.db import models


class Status(models.TextChoices):
    CREATED = "created"  # accepted; nobody has looked at it yet, or its organization has no free slot
    LOADING = "loading"  # the query is being frozen into batches
    PROCESSING = "processing"  # batches are running, or about to
    PAUSED = "paused"  # a person, or the breaker, stopped it; targets are kept
    RESUMING = "resuming"  # a person asked to go on; no worker has it yet
    DONE = "done"  # every target has an outcome, good or bad
    ERROR = "error"  # stopped for good; see error_code


ALLOWED: dict[Status, set[Status]] = {
    # -> loading: a slot of the organization is free.
    # -> paused, error: a person asked before anything began.
    Status.CREATED: {Status.LOADING, Status.PAUSED, Status.ERROR},
    # -> processing: the batches and this move commit together.
    # -> paused: a person asked; the loader is stopped, its batches roll back.
    # -> error: cancelled, or the query can never be answered.
    Status.LOADING: {Status.PROCESSING, Status.PAUSED, Status.ERROR},
    # -> done: the last target got its outcome.
    # -> paused: a person asked, or too many leads fail.
    # -> error: cancelled, or it can never be finished.
    Status.PROCESSING: {Status.DONE, Status.PAUSED, Status.ERROR},
    # -> resuming: a person asked, within 7 days.
    # -> error: cancelled, or the pause has expired.
    Status.PAUSED: {Status.RESUMING, Status.ERROR},
    # -> processing: a slot is free and the targets are known.
    # -> loading: a slot is free and the targets have never been frozen.
    # -> paused, error: a person changed their mind.
    Status.RESUMING: {Status.PROCESSING, Status.LOADING, Status.PAUSED, Status.ERROR},
    Status.DONE: set(),
    Status.ERROR: set(),
}

ACTIVE = frozenset({Status.LOADING, Status.PROCESSING})  # holds one of its organization's slots
WAITING = frozenset({Status.CREATED, Status.RESUMING})  # goes on by itself once there is a slot
IDLE = frozenset({Status.PAUSED})  # goes on only when a person says so
FINAL = frozenset({Status.DONE, Status.ERROR})
