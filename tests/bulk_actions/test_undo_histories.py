"""Random histories of edits, deletes, foreign changes and undos against a plain model of what each lead must hold."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from django.utils import timezone
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_actions.models import BulkAction, Kind
from bulk_actions.results import all_of
from bulk_actions.targets import OUTCOMES
from bulk_actions.undoing import undo
from crm.errors import Conflict
from crm.models import Lead, Membership
from tests import factories
from tests.bulk_actions.helpers import (
    caller_of,
    check_invariant,
    field_params,
    make_job,
    make_leads,
    run_to_end,
    status_job,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

N_LEADS = 5
BY_HAND = "by hand"
CHOICES = ["a", "b", "c"]

some_leads = st.just(list(range(N_LEADS))) | st.lists(st.integers(0, N_LEADS - 1), min_size=1, unique=True)
values = st.lists(st.sampled_from(CHOICES), min_size=1, unique=True)
jobs = st.one_of(
    st.tuples(st.just("status"), some_leads, st.integers(1, 2)),
    st.tuples(st.just("field"), some_leads, st.sampled_from(["replace", "add", "remove"]), values),
    st.tuples(st.just("field"), some_leads, st.just("clear"), st.none()),
    st.tuples(st.just("delete"), some_leads),
)
by_hand = st.one_of(
    st.tuples(st.just("status by hand"), some_leads, st.integers(0, 2)),
    st.tuples(st.just("field by hand"), some_leads, st.none() | values),
    st.tuples(st.just("delete by hand"), some_leads),
    st.tuples(st.just("restore by hand"), some_leads),
)
# Of the last job, or of any.
undos = st.tuples(st.just("undo"), st.just(-1) | st.integers(0, 20), st.booleans())


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """A few rounds of a job, what other people do, and undos."""
    return [
        step
        for _ in range(draw(st.integers(1, 3)))
        for steps, least, most in ((jobs, 1, 2), (by_hand, 0, 2), (undos, 1, 3))
        for step in draw(st.lists(steps, min_size=least, max_size=most))
    ]


Outcome = tuple[str, str | None]
SUCCEEDED, UNCHANGED = ("succeeded", None), ("unchanged", None)


@dataclass
class ModelLead:
    status: int = 0
    field: list[str] | None = None
    deleter: object = None  # the job, or BY_HAND


@dataclass
class ModelJob:
    """`changed`: by lead, what it held before and what it was given."""

    what: Literal["status", "field", "delete", "restore"]
    action: BulkAction
    changed: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    deleter: object = None  # of a restore: whose deletes it takes back
    is_undone: bool = False


class World:
    """The database and the model, side by side."""

    def __init__(self) -> None:
        self.membership: Membership = factories.MembershipFactory.create()
        organization = self.membership.organization
        self.statuses = factories.LeadStatusFactory.create_batch(3, organization=organization)
        self.field = factories.CustomFieldFactory.create(
            organization=organization, type="choices", accepts_multiple_values=True, choices=CHOICES
        )
        self.leads = make_leads(self.statuses[0], N_LEADS, custom={"other": 1})
        self.model = [ModelLead() for _ in self.leads]
        self.jobs: list[ModelJob] = []

    def step(self, what: str, *arguments: Any) -> None:
        getattr(self, f"_{what.replace(' ', '_')}")(*arguments)
        self._check_leads()

    def _check_leads(self) -> None:
        rows = {row["pk"]: row for row in Lead.all_objects.values("pk", "status", "custom", "deleted_at")}
        for lead, expected in zip(self.leads, self.model, strict=True):
            row = rows[lead.pk]
            assert row["status"] == self.statuses[expected.status].pk
            custom = {"other": 1} | ({} if expected.field is None else {self.field.key: expected.field})
            assert row["custom"] == custom
            assert (row["deleted_at"] is not None) == (expected.deleter is not None)

    def _check_job(self, job: ModelJob, expected: dict[int, Outcome]) -> None:
        job.action = run_to_end(job.action)
        check_invariant(job.action)
        place = {lead.pk: index for index, lead in enumerate(self.leads)}
        told = {place[row.lead_id]: (row.outcome, row.code) for row in all_of(job.action, OUTCOMES)}
        assert told == expected
        self.jobs.append(job)

    # --- jobs -------------------------------------------------------------------------------------------------------
    def _status(self, indexes: list[int], to: int) -> None:
        action = status_job(self.membership, self.statuses[to], [self.leads[index] for index in indexes])
        job, expected = ModelJob("status", action), dict[int, Outcome]()
        for index in self._alive(indexes):
            lead = self.model[index]
            expected[index] = UNCHANGED if lead.status == to else SUCCEEDED
            if lead.status != to:
                job.changed[index], lead.status = (lead.status, to), to
        self._check_job(job, expected)

    def _field(self, indexes: list[int], operation: str, value: list[str] | None) -> None:
        params = field_params(self.field, operation, value)
        action = make_job(self.membership, Kind.EDIT, params, [self.leads[index] for index in indexes])
        job, expected = ModelJob("field", action), dict[int, Outcome]()
        for index in self._alive(indexes):
            lead = self.model[index]
            held, given = lead.field or [], value or []
            becomes = {
                "replace": given,
                "clear": [],
                "add": held + [one for one in given if one not in held],
                "remove": [one for one in held if one not in given],
            }[operation] or None
            expected[index] = UNCHANGED if lead.field == becomes else SUCCEEDED
            if lead.field != becomes:
                job.changed[index], lead.field = (lead.field, becomes), becomes
        self._check_job(job, expected)

    def _delete(self, indexes: list[int]) -> None:
        action = make_job(self.membership, Kind.DELETE, {}, [self.leads[index] for index in indexes])
        job = ModelJob("delete", action)
        expected = dict.fromkeys(self._alive(indexes), SUCCEEDED)
        for index in expected:
            job.changed[index], self.model[index].deleter = (None, job), job
        self._check_job(job, expected)

    def _undo(self, which: int, force: bool) -> None:
        if not self.jobs:
            return
        original = self.jobs[which % len(self.jobs) if which >= 0 else -1]
        if original.is_undone:
            with pytest.raises(Conflict):
                undo(action=original.action, caller=caller_of(self.membership), force=force)
            return
        original.is_undone = True
        action = undo(action=original.action, caller=caller_of(self.membership), force=force)
        if original.what in ("delete", "restore"):
            self._undo_of_delete(original, action)
        else:
            self._undo_of_edit(original, action, force)

    def _undo_of_edit(self, original: ModelJob, action: BulkAction, force: bool) -> None:
        job, expected = ModelJob(original.what, action), dict[int, Outcome]()
        for index, (before, wrote) in original.changed.items():
            lead = self.model[index]
            held = getattr(lead, original.what)
            if lead.deleter is not None:
                expected[index] = ("skipped", "lead_gone")
            elif held == before:
                expected[index] = UNCHANGED
            elif held != wrote and not force:
                expected[index] = ("skipped", "changed_since")
            else:
                expected[index], job.changed[index] = SUCCEEDED, (held, before)
                setattr(lead, original.what, before)
        self._check_job(job, expected)

    def _undo_of_delete(self, original: ModelJob, action: BulkAction) -> None:
        job = ModelJob("restore" if original.what == "delete" else "delete", action, deleter=original)
        expected = dict[int, Outcome]()
        for index in original.changed:
            lead = self.model[index]
            if job.what == "delete":
                expected[index] = SUCCEEDED if lead.deleter is None else ("skipped", "lead_gone")
            elif lead.deleter is None:
                expected[index] = UNCHANGED
            else:
                expected[index] = SUCCEEDED if lead.deleter is original else ("skipped", "changed_since")
            if expected[index] == SUCCEEDED:
                job.changed[index] = (None, None)
                lead.deleter = job if job.what == "delete" else None
        self._check_job(job, expected)

    # --- other people -----------------------------------------------------------------------------------------------
    def _status_by_hand(self, indexes: list[int], to: int) -> None:
        self._rows(indexes).update(status=self.statuses[to])
        for index in indexes:
            self.model[index].status = to

    def _field_by_hand(self, indexes: list[int], value: list[str] | None) -> None:
        self._rows(indexes).update(custom={"other": 1} | ({} if value is None else {self.field.key: value}))
        for index in indexes:
            self.model[index].field = value

    def _delete_by_hand(self, indexes: list[int]) -> None:
        alive = self._alive(indexes)
        self._rows(alive).update(deleted_at=timezone.now())
        for index in alive:
            self.model[index].deleter = BY_HAND

    def _restore_by_hand(self, indexes: list[int]) -> None:
        self._rows(indexes).update(deleted_at=None, deleted_by_action=None)
        for index in indexes:
            self.model[index].deleter = None

    def _rows(self, indexes: list[int]) -> Any:
        return Lead.all_objects.filter(pk__in=[self.leads[index].pk for index in indexes])

    def _alive(self, indexes: list[int]) -> list[int]:
        return [index for index in indexes if self.model[index].deleter is None]


EVERYONE = list(range(N_LEADS))


@given(histories())
@example([("status", EVERYONE, 1), ("status by hand", [0], 0), ("status by hand", [1], 2), ("undo", -1, False)])
@example([("status", EVERYONE, 1), ("status", EVERYONE, 2), ("status", EVERYONE, 1), ("undo", 0, False)])
@example([("delete", EVERYONE), ("restore by hand", [0, 1]), ("delete by hand", [0]), *[("undo", -1, True)] * 4])
@example([
    ("field", EVERYONE, "add", ["a", "b"]), ("field", [0, 1], "remove", ["b"]), ("undo", 0, True), ("undo", 1, False),
    ("undo", 2, False), ("undo", -1, True), ("undo", 2, True),
])  # fmt: skip
@settings(max_examples=25)
def test_every_lead_holds_what_the_model_says_with_the_outcome_it_says(history: list[tuple[Any, ...]]) -> None:
    world = World()
    for step in history:
        world.step(*step)
