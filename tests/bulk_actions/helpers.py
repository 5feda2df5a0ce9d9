"""What engine tests share: jobs, slices, and the invariant that each of them ends with."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from bulk_actions.actions import MAILING, SUBSCRIBING
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome
from bulk_actions.progress import progress_of
from bulk_actions.results import all_of
from bulk_actions.runner import Slice, run_slice, write_file
from bulk_actions.services import Order, create_bulk_action
from bulk_actions.states import FINAL
from bulk_actions.targets import OUTCOMES
from crm.auth import Caller
from crm.models import CustomField, Lead, LeadStatus, Membership, OutboxMail
from search.nodes import Ids
from search.resolve import Resolved


def caller_of(membership: Membership) -> Caller:
    return Caller(membership.organization, membership.user, membership, None)


def make_leads(status: LeadStatus, n: int, **fields: object) -> list[Lead]:
    """`n` new leads, in the order of their keys."""
    known = set(Lead.all_objects.values_list("pk", flat=True))
    new = (Lead(organization=status.organization, status=status, name=f"Lead {i}", **fields) for i in range(n))
    Lead.objects.bulk_create(new, batch_size=5000)
    return list(Lead.objects.exclude(pk__in=known).order_by("pk")) if known else list(Lead.objects.order_by("pk"))


def make_job(membership: Membership, kind: Kind, params: dict, leads: list[Lead], **order: object) -> BulkAction:
    """A job over exactly these leads."""
    settings = {"sort": [], "results_limit": None, "send_done_email": True, "leads_per_minute": None, **order}
    resolved = Resolved("lead", Ids(tuple(lead.pk for lead in leads))).to_json()
    return create_bulk_action(
        order=Order(kind=kind, params=params, s_query=None, resolved_query=resolved, **settings),
        caller=caller_of(membership),
    )


def status_job(membership: Membership, to: LeadStatus, leads: list[Lead], **order: object) -> BulkAction:
    return make_job(membership, Kind.EDIT, {"type": "set_lead_status", "status_id": str(to.pk)}, leads, **order)


def field_params(field: CustomField, operation: str, value: object) -> dict[str, object]:
    """The `params` of an edit of that field."""
    kind = "clear_custom_field" if operation == "clear" else "set_custom_field"
    return {
        "type": kind, "field_id": str(field.pk), "field_key": field.key, "operation": operation, "value": value,
        "shown_value": value,
    }  # fmt: skip


@contextmanager
def refusing(*leads: Lead) -> Iterator[None]:
    """Makes the database refuse to change these leads, or any."""
    these = ", ".join(f"'{lead.pk}'" for lead in leads)
    which = f"WHEN (old.id IN ({these}))" if leads else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'this lead is under seal'; END $$;"
            f"CREATE TRIGGER refuse BEFORE UPDATE ON crm_lead FOR EACH ROW {which} EXECUTE FUNCTION refuse();"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON crm_lead; DROP FUNCTION refuse();")


def run_to_end(action: BulkAction, *, deadline_seconds: float = 60) -> BulkAction:
    """Slices until the job stands still; the ceiling's pauses are waited out."""
    deadline = time.monotonic() + deadline_seconds
    while time.monotonic() < deadline:
        end = run_slice(action.pk)
        action.refresh_from_db()
        if end is Slice.NOTHING:
            break
        if end is Slice.WAIT:
            time.sleep(0.05)
    if action.kind == Kind.EXPORT:
        write_file(action.pk)
        action.refresh_from_db()
    check_invariant(action)
    return action


def run_a_little(action: BulkAction, *, deadline_seconds: float = 30) -> None:
    """Slices until the job has changed something; give it a ceiling, or it is over then."""
    deadline = time.monotonic() + deadline_seconds
    while not changed_leads(action.pk):
        assert time.monotonic() < deadline, "nothing was done"
        run_slice(action.pk)
        time.sleep(0.05)


def check_invariant(action: BulkAction) -> None:
    """succeeded + unchanged + skipped + failed + pending == n_objects, on the row, in the ledger, and lead by lead."""
    action.refresh_from_db()
    ledger = Batch.objects.filter(action=action.pk)
    if action.n_objects is None:
        assert not ledger.exists()
        return
    total = ledger.aggregate(n=Sum("n_leads", default=0))["n"]
    pending = ledger.filter(date_done__isnull=True).aggregate(n=Sum("n_leads", default=0))["n"]
    progress = progress_of([action])[action.pk]
    if action.kind in MAILING:
        check_mails(action)
        return
    if action.kind in SUBSCRIBING:
        check_subscriptions(action)
        return
    assert progress.n_processed + pending == action.n_objects == total
    next_rank = 1
    for rank, n_leads in ledger.order_by("rank").values_list("rank", "n_leads"):
        assert rank == next_rank, "each lead has one place in the job's order"
        next_rank += n_leads
    done = ledger.filter(date_done__isnull=False)
    for batch in done:
        assert batch.n_succeeded + batch.n_unchanged + batch.n_skipped + batch.n_failed == batch.n_leads
        assert len(batch.lead_ids) == batch.n_leads
        assert len(batch.changed_ids or []) == batch.n_succeeded
        if batch.before is not None:
            assert len(batch.before) == batch.n_succeeded
    exceptions = LeadOutcome.objects.filter(action=action.pk)
    assert exceptions.filter(outcome="skipped").count() == progress.n_skipped
    assert exceptions.filter(outcome="failed").count() == progress.n_failed
    assert exceptions.values("lead").distinct().count() == exceptions.count()
    if action.status in FINAL:
        assert action.n_succeeded == progress.n_succeeded


def check_mails(action: BulkAction) -> None:
    """The same of a job that sends mail: on the row, in ledger and outbox, and in its results."""
    action.refresh_from_db()
    ledger, progress = Batch.objects.filter(action=action.pk), progress_of([action])[action.pk]
    waiting = OutboxMail.objects.filter(source_id=action.pk, state__in=["reserved", "sending"]).count()
    pending = ledger.filter(date_done__isnull=True).aggregate(n=Sum("n_leads", default=0))["n"]
    assert progress.n_processed + progress.n_pending == progress.n_objects
    if action.status not in FINAL:
        assert progress.n_pending == pending + waiting
    for batch in ledger.filter(date_done__isnull=False):
        assert batch.n_objects == len(batch.mail_ids or []) + batch.n_skipped + batch.n_failed >= batch.n_leads
        assert len(batch.mail_places or []) == len(batch.mail_ids or [])
    told = Counter(row.outcome for row in all_of(action, OUTCOMES))
    names = ("succeeded", "unchanged", "skipped", "failed", "unknown")
    assert {name: told[name] for name in names} == {name: getattr(progress, f"n_{name}") for name in names}
    assert told["pending"] == progress.n_pending


def check_subscriptions(action: BulkAction) -> None:
    """The same of a job over subscriptions: on the row, in the ledger, and in its results."""
    ledger, progress = Batch.objects.filter(action=action.pk), progress_of([action])[action.pk]
    pending = ledger.filter(date_done__isnull=True).aggregate(n=Sum("n_leads", default=0))["n"]
    assert progress.n_processed + pending == progress.n_objects
    assert progress.n_leads_processed + pending == action.n_leads
    for batch in ledger.filter(date_done__isnull=False):
        objects = batch.n_leads if batch.n_objects is None else batch.n_objects
        assert objects == batch.n_succeeded + batch.n_unchanged + batch.n_skipped + batch.n_failed >= batch.n_leads
        held = len(batch.subscription_ids or [])
        assert held == len(batch.subscription_places or []) == batch.n_succeeded + batch.n_unchanged
        assert batch.before is None or len(batch.before) == batch.n_succeeded
    rows = list(all_of(action, OUTCOMES))
    told = Counter(row.outcome for row in rows)
    names = ("succeeded", "unchanged", "skipped", "failed")
    assert {name: told[name] for name in names} == {name: getattr(progress, f"n_{name}") for name in names}
    assert told["pending"] == pending
    assert {row.lead_id for row in rows} == {key for ids in ledger.values_list("lead_ids", flat=True) for key in ids}
    if action.status in FINAL:
        assert (action.n_succeeded, action.n_objects) == (progress.n_succeeded, progress.n_objects)


class Elsewhere:
    """Runs a function in another thread, so with another database connection."""

    def __init__(self, work: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.result: object = None
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, args, kwargs), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[..., object], args: tuple, kwargs: dict) -> None:
        try:
            self.result = work(*args, **kwargs)
        except BaseException as problem:
            self.problem = problem
        finally:
            connection.close()

    def join(self, seconds: float = 60) -> object:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "still running"
        if self.problem:
            raise self.problem
        return self.result

    @property
    def running(self) -> bool:
        return self._thread.is_alive()


def changed_leads(action_id: UUID) -> int:
    return Batch.objects.filter(action=action_id).aggregate(n=Sum("n_succeeded", default=0))["n"]
