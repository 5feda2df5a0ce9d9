"""Jobs, people and crashes in any order: after each step every lead holds what a plain model says, and all adds up."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Sum
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bulk_actions.models import Batch, BulkAction, Kind, OnChanged, Priority
from bulk_actions.retrying import retry
from bulk_actions.runner import run_slice
from bulk_actions.services import Order, cancel, create_bulk_action, pause, resume
from bulk_actions.states import ALLOWED, FINAL, Status
from bulk_actions.sweeper import sweep
from bulk_actions.undoing import undo
from crm.errors import Conflict, FieldErrors
from crm.models import Lead, Membership
from search.nodes import AnyId, FieldCondition, Ids, RegularField
from search.resolve import Resolved
from tests import factories
from tests.bulk_actions.helpers import Elsewhere, caller_of, make_leads
from tests.bulk_actions.machine import Foreign, Model, ModelJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

N_LEADS, MOST_JOBS = 8, 6
EXAMPLES, STEPS = 50, 40
# A lead with this description cannot be changed, but for its description.
SEALED = """
    CREATE FUNCTION refuse_sealed() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'this lead is under seal'; END $$;
    CREATE TRIGGER sealed BEFORE UPDATE ON crm_lead FOR EACH ROW
        WHEN (old.description = 'sealed' AND new.description = 'sealed') EXECUTE FUNCTION refuse_sealed();
"""


class Killed(BaseException):
    """The process ends here. No `except Exception` of the engine may run, and none does."""


places = st.integers(0, N_LEADS - 1)
some_leads = st.just(tuple(range(N_LEADS))) | st.lists(places, min_size=1, unique=True).map(tuple)
statuses = st.integers(0, 2)
chosen = some_leads | statuses  # these leads, or all that have that status
jobs = st.integers(0, 20)
# At the n-th statement: the process is killed, or only its connection is lost.
some_crashes = st.tuples(st.integers(1, 15) | st.integers(1, 30), st.sampled_from(["killed", "cut off"]))
crashes = st.none() | some_crashes
interferences = st.tuples(
    st.integers(1, 30),
    st.one_of(
        st.tuples(st.just("status"), places, statuses),
        st.tuples(st.just("delete"), places),
        st.tuples(st.sampled_from([pause, pause, pause, cancel])),
    ),
)
options = st.fixed_dictionaries({
    "canary_leads": st.none() | st.integers(1, 5),
    "max_leads": st.sampled_from([None, None, 6]),
    "on_changed": st.sampled_from(OnChanged),
    "priority": st.sampled_from(Priority),
})  # fmt: skip


@contextlib.contextmanager
def at_statement(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Acts before the statement of that number is sent."""
    sent = 0

    def count(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == number:
            act()
        return execute(*arguments)

    with connection.execute_wrapper(count):
        yield


_ASKED = {pause: Status.PAUSED, resume: Status.RESUMING, cancel: Status.ERROR}


class Machine(RuleBasedStateMachine):
    """One organization. Each rule is one thing that somebody does; `Model.follow` checks after it."""

    @initialize(sealed=st.sets(places, max_size=2), to=st.none() | statuses, options=options)
    def begin(self, sealed: set[int], to: int | None, options: dict[str, Any]) -> None:
        self.membership: Membership = factories.MembershipFactory.create()
        organization = self.membership.organization
        self.statuses = factories.LeadStatusFactory.create_batch(3, organization=organization)
        self.leads = make_leads(self.statuses[0], N_LEADS)
        self.model = Model(self.leads)
        parameters = connection.get_connection_params()
        address = {
            name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters
        }
        self.other = psycopg.connect(**address, autocommit=True, options="-c lock_timeout=30ms")
        for place in sealed:
            self.seal(place, True)
        self.order(tuple(range(N_LEADS)), to, options, None)

    # --- orders -----------------------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
    @rule(chosen=chosen, to=st.none() | statuses, options=options, crash=crashes)
    def order(self, chosen: Any, to: int | None, options: dict[str, Any], crash: Any) -> None:
        """An edit to that status, or a delete."""
        if isinstance(chosen, int):
            node: Any = FieldCondition(RegularField("lead", "status_id"), AnyId((self.statuses[chosen].pk,)))
        else:
            node = Ids(tuple(self.leads[place].pk for place in chosen))
        order = Order(
            kind=Kind.DELETE if to is None else Kind.EDIT,
            params={} if to is None else {"type": "set_lead_status", "status_id": str(self.statuses[to].pk)},
            s_query=None, resolved_query=Resolved("lead", node).to_json(), sort=[], results_limit=None,
            send_done_email=True, leads_per_minute=None, **options,
        )  # fmt: skip
        with self._crashing(crash):
            create_bulk_action(order=order, caller=caller_of(self.membership))
        self.model.follow()

    @precondition(lambda self: 0 < len(self.model.jobs) < MOST_JOBS)
    @rule(which=jobs, force=st.sampled_from([False, False, True]), crash=crashes)
    def undo(self, which: int, force: bool, crash: Any) -> None:
        job = self._job(which, _is_over)
        undos = [other.action for other in self.model.jobs.values() if other.action.undo_of_id == job.pk]
        problem: Any = None
        if not _is_over(job):
            problem = FieldErrors
        elif any(action.retry_of_id is None and action.status != Status.ERROR for action in undos):
            problem = Conflict
        with self._crashing(crash), _refused(problem):
            undo(action=job.action, caller=caller_of(self.membership), force=force)
        self.model.follow()

    @precondition(lambda self: 0 < len(self.model.jobs) < MOST_JOBS)
    @rule(which=jobs, outcomes=st.sampled_from([("failed",), ("skipped",), ("failed", "skipped")]), crash=crashes)
    def retry(self, which: int, outcomes: tuple[str, ...], crash: Any) -> None:
        job = self._job(which, _is_over)
        has_some = any(outcome in outcomes for outcome, _ in job.outcomes.values())
        with self._crashing(crash), _refused(None if _is_over(job) and has_some else FieldErrors):
            retry(action=job.action, outcomes=outcomes, caller=caller_of(self.membership))
        self.model.follow()

    # --- work -------------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.model.jobs)
    @rule(which=jobs)
    def work(self, which: int) -> None:
        run_slice(self._job(which, _lives).pk)
        self.model.follow()

    @precondition(lambda self: self.model.jobs)
    @rule(which=jobs, crash=some_crashes, times=st.sampled_from([1, 2, 9]))
    def work_until_a_crash(self, which: int, crash: Any, times: int) -> None:
        """Over and over at the same place, until the engine suspects the batch in hand."""
        job = self._job(which, _lives)
        for _ in range(times):
            job.deaths += 1
            with self._crashing(crash):
                run_slice(job.pk)
            self.model.follow()

    @precondition(lambda self: self.model.jobs)
    @rule(which=jobs, interference=interferences)
    def work_while_others_interfere(self, which: int, interference: Any) -> None:
        job = self._job(which, lambda job: job.is_loaded and _lives(job))
        if not job.is_loaded:  # what it finds would depend on when it looks
            return
        number, (what, *arguments) = interference
        seen: list[Foreign] = []
        threads: list[Elsewhere] = []

        def interfere() -> None:
            if what in ("status", "delete"):
                seen.extend(self._from_elsewhere(*arguments))
            else:
                threads.append(Elsewhere(self._steer, what, job.pk))
                self._wait_until_moved(job.pk)

        with at_statement(number, interfere):
            run_slice(job.pk)
        for thread in threads:
            n_done = thread.join(30)
            assert n_done is None or n_done == _n_done(job.pk), "nothing changes once that has returned"
        self.model.follow(*seen)

    @rule()
    def sweep(self) -> None:
        sweep()
        self.model.follow()

    # --- people -----------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.model.jobs)
    @rule(which=jobs, ask=st.sampled_from([*[pause, resume] * 4, cancel]), crash=crashes)
    def ask(self, which: int, ask: Any, crash: Any) -> None:
        job = self._job(which, _lives)
        to = _ASKED[ask]
        may = to in ALLOWED[Status(job.action.status)] or (ask is pause and job.action.status == Status.PAUSED)
        with self._crashing(crash) as crashed, _refused(None if may else FieldErrors):
            ask(action=BulkAction.objects.get(pk=job.pk), by=self.membership.user)
        self.model.follow()
        if may and not crashed:
            assert job.action.status == to
            assert to not in FINAL or _is_over(job)

    @rule(place=places, to=st.none() | statuses)
    def change_by_hand(self, place: int, to: int | None) -> None:
        self.model.follow(*self._from_elsewhere(place, to))

    @rule(place=places, is_sealed=st.booleans())
    def seal(self, place: int, is_sealed: bool) -> None:
        """The database will refuse to change this lead, or no longer."""
        lead = self.leads[place].pk
        if self.model.leads[lead].sealed != is_sealed:
            Lead.all_objects.filter(pk=lead).update(description="sealed" if is_sealed else "")
            self.model.leads[lead].sealed = is_sealed
        self.model.follow()

    def teardown(self) -> None:
        """Whatever has happened: each job can be brought to its end."""
        if not hasattr(self, "model"):
            return
        try:
            deadline = time.monotonic() + 30
            while live := [job for job in self.model.jobs.values() if not _is_over(job)]:
                assert time.monotonic() < deadline, f"still {[job.action.status for job in live]}"
                for job in live:
                    if job.action.status == Status.PAUSED:
                        resume(action=job.action, by=self.membership.user)
                        job.stood_still = False
                    run_slice(job.pk)
                    self.model.follow()
                sweep()
                self.model.follow()
        finally:
            self.other.close()

    # --- how ----------------------------------------------------------------------------------------------------------
    def _job(self, which: int, first: Callable[[ModelJob], bool]) -> ModelJob:
        """The job of that number among those that `first` is true of, or if there is none among all."""
        found = list(self.model.jobs.values())
        found = [job for job in found if first(job)] or found
        return found[which % len(found)]

    def _steer(self, what: Any, action_id: Any) -> int | None:
        """How many leads had an outcome when the call returned; None when it was refused: the job ended meanwhile."""
        with contextlib.suppress(FieldErrors):
            what(action=BulkAction.objects.get(pk=action_id), by=self.membership.user)
            return _n_done(action_id)
        return None

    def _wait_until_moved(self, action_id: Any) -> None:
        """The other's move has committed, or waits for a lock of ours."""
        deadline = time.monotonic() + 0.3
        moved = "SELECT FROM bulk_actions_bulkaction WHERE id = %s AND status IN ('paused', 'done', 'error')"
        while not self.other.execute(moved, [action_id]).fetchall() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _from_elsewhere(self, place: int, to: int | None = None) -> list[Foreign]:
        """Another session changes a lead, or deletes it; nothing where the lead is locked or under seal."""
        lead, status = self.leads[place].pk, None if to is None else self.statuses[to].pk
        change = "deleted_at = coalesce(deleted_at, now())" if to is None else "status_id = %(status)s"
        unsealed = {"lead": lead, "status": status}
        statement = f"""
            UPDATE crm_lead SET {change} WHERE id = %(lead)s AND description IS DISTINCT FROM 'sealed'
            RETURNING clock_timestamp()"""
        try:
            rows = self.other.execute(statement, unsealed).fetchall()
        except psycopg.errors.LockNotAvailable:
            return []
        return [Foreign(lead, when, status) for (when,) in rows]

    @contextlib.contextmanager
    def _crashing(self, crash: Any) -> Iterator[list[str]]:
        """Crashes at a statement; yields a list that is not empty once that has happened."""
        happened: list[str] = []
        if crash is None:
            yield happened
            return
        number, how = crash

        def act() -> None:
            happened.append(how)
            self._lose_connection()
            if how == "killed":
                raise Killed

        try:
            with at_statement(number, act):
                yield happened
        except (Killed, OperationalError, InterfaceError):
            assert happened
        finally:
            if happened:
                connection.close()

    def _lose_connection(self) -> None:
        """As a process that dies or a network that is cut would; what the server had in hand has rolled back then."""
        raw = connection.connection
        pid = raw.info.backend_pid
        raw.close()
        while self.other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall():
            time.sleep(0.002)


def _is_over(job: ModelJob) -> bool:
    return job.action.status in FINAL and job.action.n_succeeded is not None


def _lives(job: ModelJob) -> bool:
    return not _is_over(job)


def _n_done(action_id: Any) -> int:
    return Batch.objects.filter(action=action_id, date_done__isnull=False).aggregate(n=Sum("n_leads", default=0))["n"]


@contextlib.contextmanager
def _refused(problem: Any) -> Iterator[None]:
    if problem is None:
        yield
        return
    try:
        yield
    except problem:
        return
    raise AssertionError(f"not refused as {problem}")


def test_any_history_leaves_each_lead_as_the_model_says(settings: Any) -> None:
    settings.BULK_STORED_BATCH = 3
    settings.BULK_CRASH_GRACE_SECONDS = 0
    with connection.cursor() as cursor:
        cursor.execute(SEALED)
    try:
        run_state_machine_as_test(Machine, settings=BUDGET)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER sealed ON crm_lead; DROP FUNCTION refuse_sealed()")


BUDGET = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
