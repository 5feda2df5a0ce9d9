"""A plain model of leads and jobs that follows the ledger, batch by batch, and says what each lead must hold."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from bulk_actions.models import Batch, BulkAction, LeadOutcome, Transition
from bulk_actions.states import ALLOWED, FINAL, IDLE, Status
from bulk_actions.targets import outcomes_of
from crm.models import Lead, LeadStatusChange, OutboxMail
from search.nodes import FieldCondition, Ids
from search.resolve import Resolved
from tests.bulk_actions.helpers import check_invariant

BY_HAND = "by hand"
Outcome = tuple[str, str | None]
SUCCEEDED, UNCHANGED = ("succeeded", None), ("unchanged", None)
REFUSED, CRASHED = ("failed", "refused_by_database"), ("failed", "crashed_worker")
GONE, CHANGED = ("skipped", "lead_gone"), ("skipped", "changed_since")


@dataclass
class ModelLead:
    """`deleter`: the job, or `BY_HAND`; `sealed`: the database refuses to change it."""

    status: UUID
    deleter: UUID | str | None = None
    sealed: bool = False


@dataclass
class Foreign:
    """What somebody else did to a lead, and when (by the database's clock), in the midst of a slice."""

    lead: UUID
    when: datetime
    status: UUID | None  # None: deleted it


@dataclass
class ModelJob:
    """`changed`: by lead, the status that it held and the one that was written; `given` of an undo: what the other job
    wrote and what it is to restore."""

    action: BulkAction
    what: Literal["status", "unstatus", "delete", "restore"]
    given: dict[UUID, tuple[UUID, UUID]] = field(default_factory=dict)
    outcomes: dict[UUID, Outcome] = field(default_factory=dict)
    changed: dict[UUID, tuple[UUID | None, UUID | None]] = field(default_factory=dict)
    batches: set[int] = field(default_factory=set)  # done, and accounted for
    is_loaded: bool = False
    stood_still: bool = False  # when it was looked at last
    deaths: int = 0

    @property
    def pk(self) -> UUID:
        return self.action.pk


class Model:
    """What the leads of one organization hold. `follow` reads what was done since, and checks everything."""

    def __init__(self, leads: Collection[Lead]) -> None:
        self.leads = {lead.pk: ModelLead(lead.status_id) for lead in leads}
        self.jobs: dict[UUID, ModelJob] = {}

    def follow(self, foreign: Foreign | None = None) -> None:
        """Account for each batch done since the last time, then compare leads, jobs and history with the database."""
        actions = BulkAction.objects.filter(organization=self._organization()).order_by("pk")
        for action in actions:
            job = self.jobs.setdefault(action.pk, ModelJob(action, _what(action)))
            job.action = action
            if action.n_leads is not None and not job.is_loaded:
                self._check_targets(job)
        new = Batch.objects.filter(action__in=self.jobs, date_done__isnull=False).order_by("date_done", "pk")
        for batch in new:
            job = self.jobs[batch.action_id]
            if batch.pk not in job.batches:
                assert not job.stood_still, "nothing changes while a job is paused or over"
                if foreign and foreign.when < batch.date_done:
                    foreign = self._apply_foreign(foreign)
                self._account(job, batch, foreign)
        if foreign:
            self._apply_foreign(foreign)
        self._check_leads()
        for job in self.jobs.values():
            self._check_job(job)
            job.stood_still = job.action.status in FINAL | IDLE

    def _organization(self) -> UUID:
        return Lead.all_objects.values_list("organization", flat=True).get(pk=next(iter(self.leads)))

    # --- what a job is for ----------------------------------------------------------------------------------------
    def _check_targets(self, job: ModelJob) -> None:
        found = list(Batch.objects.filter(action=job.pk).values_list("lead_ids", flat=True))
        held = [lead for lead_ids in found for lead in lead_ids]
        assert len(held) == len(set(held)) == job.action.n_leads
        assert set(held) == self._targets(job)
        job.is_loaded = True

    def _targets(self, job: ModelJob) -> set[UUID]:
        alive = {key for key, lead in self.leads.items() if lead.deleter is None}
        action = job.action
        if action.retry_of_id is not None:
            source = self.jobs[action.retry_of_id]
            tried = {key for key, (outcome, _) in source.outcomes.items() if outcome in outcomes_of(action)}
            job.given = {key: source.given[key] for key in tried if key in source.given}
            return tried if action.undo_of_id is not None else tried & alive
        if action.undo_of_id is not None:
            original = self.jobs[action.undo_of_id]
            job.given = {key: (wrote, before) for key, (before, wrote) in original.changed.items() if before}
            return set(original.changed)
        node = Resolved.from_json(action.resolved_query).node
        if isinstance(node, Ids):
            return set(node.ids) & alive
        return {key for key in alive if self.leads[key].status == _status_of(node)}

    # --- what it does to them -------------------------------------------------------------------------------------
    def _account(self, job: ModelJob, batch: Batch, foreign: Foreign | None) -> None:
        noted = {row.lead_id: (row.outcome, row.code) for row in LeadOutcome.objects.filter(batch=batch.pk)}
        changed = dict(zip(batch.changed_ids or [], batch.before or [None] * batch.n_succeeded, strict=True))
        for key in batch.lead_ids:
            told = SUCCEEDED if key in changed else noted.get(key, UNCHANGED)
            assert key not in job.outcomes, "each target has one outcome"
            if told == CRASHED and job.deaths >= 2:
                job.outcomes[key] = told
                continue
            expected = self._outcome(job, key)
            # Deleted by somebody between the change, which left it alone, and the look at what is gone.
            seen_later = foreign is not None and foreign.lead == key and foreign.status is None
            assert told == expected or (seen_later and (expected, told) == (UNCHANGED, GONE))
            job.outcomes[key] = told
            if told == SUCCEEDED:
                self._change(job, key)
                assert changed[key] == (str(job.changed[key][0]) if job.changed[key][0] else None)
        job.batches.add(batch.pk)

    def _outcome(self, job: ModelJob, key: UUID) -> Outcome:
        lead = self.leads[key]
        if lead.deleter is not None and (job.what != "restore" or lead.deleter != self._deleter(job)):
            return GONE if job.what != "restore" else CHANGED
        if not self._matches(job, lead):
            return "skipped", "no_longer_matches"
        if job.what == "restore" and lead.deleter is None:
            return UNCHANGED
        if job.what == "status" and lead.status == self._written(job, key):
            return UNCHANGED
        if job.what == "unstatus":
            wrote, before = job.given[key]
            if lead.status == before:
                return UNCHANGED
            if lead.status != wrote and not job.action.params["force"]:
                return CHANGED
        return REFUSED if lead.sealed else SUCCEEDED

    def _matches(self, job: ModelJob, lead: ModelLead) -> bool:
        node = Resolved.from_json(job.action.resolved_query).node
        if job.action.on_changed == "apply" or not isinstance(node, FieldCondition):
            return True
        return lead.status == _status_of(node)

    def _deleter(self, job: ModelJob) -> UUID:
        return UUID(job.action.params["restore"])

    def _written(self, job: ModelJob, key: UUID) -> UUID:
        return job.given[key][1] if job.what == "unstatus" else UUID(job.action.params["status_id"])

    def _change(self, job: ModelJob, key: UUID) -> None:
        lead = self.leads[key]
        if job.what in ("delete", "restore"):
            job.changed[key] = (None, None)
            lead.deleter = job.pk if job.what == "delete" else None
        else:
            job.changed[key] = (lead.status, self._written(job, key))
            lead.status = self._written(job, key)

    def _apply_foreign(self, foreign: Foreign) -> None:
        lead = self.leads[foreign.lead]
        if foreign.status is None:
            lead.deleter = lead.deleter or BY_HAND
        else:
            lead.status = foreign.status

    # --- the database says the same -------------------------------------------------------------------------------
    def _check_leads(self) -> None:
        for row in Lead.all_objects.filter(pk__in=self.leads):
            lead = self.leads[row.pk]
            assert row.status_id == lead.status
            assert (row.deleted_at is not None) == (lead.deleter is not None)
            assert row.deleted_by_action == (None if lead.deleter == BY_HAND else lead.deleter)

    def _check_job(self, job: ModelJob) -> None:
        action = job.action
        if not (job.stood_still and action.status in FINAL):
            check_invariant(action)
        if action.max_leads is not None and (action.n_leads or 0) > action.max_leads:
            raise AssertionError("more leads than it may have")
        changes = LeadStatusChange.objects.filter(bulk_action_id=action.pk)
        told = sorted(changes.values_list("lead", "old_status", "new_status"))
        assert told == sorted((key, old, new) for key, (old, new) in job.changed.items() if old is not None)
        if action.status_reason == "canary" and action.status == Status.PAUSED:
            assert len(job.outcomes) == action.canary_leads
        mails = OutboxMail.objects.filter(source_id=action.pk).count()
        assert mails == (1 if action.n_succeeded is not None and action.error_code != "cancelled" else mails)
        assert mails <= 1
        _check_moves(action)


def _what(action: BulkAction) -> Any:
    if action.kind == "edit":
        return "status" if action.undo_of_id is None else "unstatus"
    return "restore" if "restore" in action.params else "delete"


def _status_of(node: Any) -> UUID:
    [status] = node.condition.ids
    return status


def _check_moves(action: BulkAction) -> None:
    """The job came from `created` to where it is, by moves that are allowed."""
    at: str | None = None
    for old, new in Transition.objects.filter(action=action.pk).order_by("pk").values_list("old_status", "new_status"):
        assert old == at
        assert at is None or Status(new) in ALLOWED[Status(at)]
        at = new
    assert at == action.status
