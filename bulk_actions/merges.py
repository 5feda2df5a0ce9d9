"""Rows merged into leads or contacts within the call that brings them, and written down as a finished bulk action.

So what came in by a call of another dialect is seen in the list of jobs, and is undone, like all else.
"""

from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError

from bulk_actions.at_once import begin, go_on
from bulk_actions.merged import done_to_contacts, done_to_leads, in_one
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome, Outcome
from bulk_actions.services import finish
from crm.auth import Caller
from crm.merging import Merged, Row, RowResult, Rules, Subject, merge_rows
from crm.merging import Outcome as RowOutcome
from crm.models import Contact

_SKIPPED = {
    Subject.LEAD: "The row is about this lead, and the call leaves what is there as it is.",
    Subject.CONTACT: "The row is about this contact, and the call leaves what is there as it is.",
}


class MergeAtOnce:
    """A merge within the transaction at hand: rows of contacts in as many pieces as the caller likes, leads in one.

    `close` records it: the job, which is done, and what became of each target. Its targets are the leads, or the
    contacts: a failed row has none, and several rows may be about one. `source` is who brought the rows.
    """

    def __init__(self, *, rules: Rules, caller: Caller, source: str) -> None:
        if not connection.in_atomic_block:
            raise TransactionManagementError("What is merged and its record commit together: begin a transaction.")
        self._rules = rules
        self._caller = caller
        self._is_over_contacts = rules.subject is Subject.CONTACT
        records = {"records": "contacts"} if self._is_over_contacts else {}
        self._action = begin(Kind.IMPORT, {"source": source, "rows": 0, "failed": 0, **records}, caller)
        self._touched: dict[UUID, None] = {}  # in order
        self._done: dict[UUID, dict[str, object]] = {}  # what was done to each, as the ledger keeps it
        self._skipped: set[UUID] = set()

    def merge(self, rows: Sequence[Row]) -> Merged:
        """Raises `Conflict` as `merge_rows` does."""
        merged = merge_rows(
            organization=self._caller.organization,
            by=self._caller.user,
            rows=rows,
            rules=self._rules,
            action_id=self._action.pk,
        )
        self._action.params["rows"] += len(rows)
        self._action.params["failed"] += sum(result.outcome is RowOutcome.FAILED for result in merged.results)
        for result in merged.results:
            if (key := self._target(result)) is not None:
                self._touched[key] = None
                if result.outcome is RowOutcome.SKIPPED:
                    self._skipped.add(key)
        for key, what in (done_to_contacts if self._is_over_contacts else done_to_leads)(merged).items():
            self._done[key] = in_one(self._done[key], what) if key in self._done else what
        return merged

    def close(self, *, n_unread: int) -> BulkAction:
        """The job, with all that was merged; there were so many more rows that could not be read."""
        action = self._action
        action.params["rows"] += n_unread
        action.params["failed"] += n_unread
        action.save(update_fields=["params"])
        go_on(action, len(self._touched))
        self._note_moments()
        keys, rank = iter(self._touched), 1
        while piece := list(islice(keys, int(settings.BULK_STORED_BATCH))):
            self._write_batch(piece, rank)
            rank += len(piece)
        finish(action.pk)
        action.refresh_from_db()
        return action

    def _target(self, result: RowResult) -> UUID | None:
        if result.outcome is RowOutcome.FAILED:
            return None
        return result.contact_id if self._is_over_contacts else result.lead_id

    def _note_moments(self) -> None:
        """When all was written: an undo leaves alone what somebody has changed since."""
        if not self._is_over_contacts:
            with connection.cursor() as cursor:
                cursor.execute("SELECT statement_timestamp()")
                noted = cursor.fetchone()[0].isoformat()
            for what in self._done.values():
                what["noted"] = noted
            return
        moments = Contact.objects.filter(pk__in=list(self._done)).values_list("pk", "date_updated")
        for key, moment in moments:
            self._done[key] |= {"created": False, "at": moment.isoformat()}

    def _write_batch(self, keys: Sequence[UUID], rank: int) -> None:
        changed = [key for key in keys if key in self._done]
        left = [key for key in keys if key in self._skipped and key not in self._done]
        batch = Batch.objects.create(
            action=self._action,
            lead_ids=keys,
            rank=rank,
            n_leads=len(keys),
            changed_ids=changed or None,
            before=[self._done[key] for key in changed] or None,
            n_succeeded=len(changed),
            n_skipped=len(left),
            n_unchanged=len(keys) - len(changed) - len(left),
            date_done=Now(),
        )
        message = _SKIPPED[self._rules.subject]
        LeadOutcome.objects.bulk_create(
            LeadOutcome(
                action=self._action, batch=batch, lead_id=key, outcome=Outcome.SKIPPED, code="duplicate",
                message=message,
            )
            for key in left
        )  # fmt: skip
