"""Merging the rows of a file, some batches of them in each transaction, and writing down what became of each.

The targets of such a job are its rows (`ImportRow`). Of each that was carried out the ledger keeps, as its `before`,
what the transaction did to the lead:

    {"lead": …, "at": when, "noted": when, "created": true, "contacts": 1}    as in `actions/imports.py`
    {"lead": …, "at": when, "noted": when, "created": false, "contacts": 0, "changes": […], "made": […]}    the same
    {"lead": …}                                     what was done stands at an earlier row of the transaction
    {"contact": …, "lead": …, "at": when, "created": false, "changes": […], "made": […]}    where rows are contacts

The ledger, the rows and the leads change in one transaction, so whatever crashes, no row is merged twice.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from bulk_actions import dry_runs
from bulk_actions.errors import JobImpossible
from bulk_actions.merged import done_to_contacts, done_to_leads
from bulk_actions.models import BulkAction, LeadOutcome, Outcome
from crm.merging import Key, Merged, OnDuplicate, RowResult, Rules, Subject, merge_rows
from crm.merging import Outcome as RowOutcome
from crm.models import Contact, CustomField
from crm.staged_rows import row_of

SKIPPED = "The row is about a record that is there, and such rows are to be skipped."
_MESSAGES = {
    "duplicate": "The row is about a record that is there already.",
    "status_id": "The lead status is not there any more.",
    "lead_id": "The lead is not there any more.",
}
_CARRIED_OUT = (RowOutcome.CREATED, RowOutcome.UPDATED)

_ROWS = """
    SELECT batch.id, row.id::text, row.data, row.code, row.message
    FROM bulk_actions_batch AS batch CROSS JOIN unnest(batch.lead_ids) AS target (id)
    JOIN bulk_actions_importrow AS row ON row.id = target.id
    WHERE batch.id = ANY(%s) ORDER BY row.number
"""
# No EXISTS: the planner may put all contacts there are into a hash for it.
_TOUCHED = """
    SELECT id, date_updated AT TIME ZONE 'UTC', statement_timestamp() AT TIME ZONE 'UTC',
           greatest(date_created, (SELECT max(date_created) FROM crm_contact WHERE lead_id = lead.id)) >= %s
    FROM crm_lead AS lead WHERE id = ANY(%s)
"""
_WRITE_ROWS = """
    UPDATE bulk_actions_importrow AS row
    SET outcome = told.outcome, lead_id = told.lead_id, contact_id = told.contact_id,
        code = told.code, message = told.message
    FROM jsonb_to_recordset(%s::jsonb) AS told (
        id uuid, outcome text, lead_id uuid, contact_id uuid, code text, message text)
    WHERE row.id = told.id
"""
_WRITE_BATCH = """
    UPDATE bulk_actions_batch
    SET changed_ids = nullif(%(changed)s::uuid[], '{}'), before = %(before)s::jsonb,
        n_succeeded = cardinality(%(changed)s::uuid[]), n_skipped = %(n_skipped)s, n_failed = %(n_failed)s,
        n_unchanged = %(n_unchanged)s, n_created = %(n_created)s, date_done = statement_timestamp()
    WHERE id = %(batch)s
"""


class _Staged(NamedTuple):
    """A row of the file as it is kept: `data` is JSON, None where a row cannot be read and `code` says why."""

    batch_id: int
    id: str
    data: str | None
    code: str | None
    message: str | None


def rules_of(action: BulkAction) -> Rules:
    """Raises `JobImpossible`."""
    params = action.params
    field = None
    if params["match_field_id"]:
        field = CustomField.objects.filter(organization=action.organization_id, pk=params["match_field_id"]).first()
        if field is None:
            raise JobImpossible("field_gone", "The custom field that the rows are matched by has been deleted.")
    subject = Subject.LEAD if params["records"] == "leads" else Subject.CONTACT
    return Rules(subject, tuple(Key(key) for key in params["match"]), OnDuplicate(params["on_duplicate"]), field)


def apply_rows(action: BulkAction, batch_ids: Sequence[int]) -> int:
    """Merge the rows of these batches, all in one go; how many of them failed."""
    rules = rules_of(action)
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, [list(batch_ids)])
        rows = [_Staged(*row) for row in cursor.fetchall()]
    good = [row for row in rows if row.data is not None]
    said = [row_of(json.loads(row.data)) for row in good]
    if action.params["dry_run"]:
        merged = dry_runs.merge_tried(action, said, rules)
    else:
        merged = merge_rows(
            organization=action.organization, by=action.created_by, rows=said, rules=rules, action_id=action.pk
        )
    results = {row.id: result for row, result in zip(good, merged.results, strict=True)}
    told = [_told(row, results.get(row.id)) for row in rows]
    _write(action, rows, told, _befores(action, results, merged, rules))
    if action.params["dry_run"]:
        dry_runs.forget(action)
    return sum(one["outcome"] == RowOutcome.FAILED for one in told)


def _told(row: _Staged, result: RowResult | None) -> dict[str, object]:
    """What became of the row, as it is stored."""
    told: dict[str, object] = {
        "id": row.id,
        "outcome": RowOutcome.FAILED.value,
        "code": row.code,
        "message": row.message,
    }
    if result is None:
        return told
    told["outcome"] = result.outcome.value
    told["lead_id"] = result.lead_id and result.lead_id.hex
    told["contact_id"] = result.contact_id and result.contact_id.hex
    if result.outcome is RowOutcome.SKIPPED:
        told |= {"code": "duplicate", "message": SKIPPED}
    elif result.outcome is RowOutcome.FAILED:
        code = str(result.problem)
        told |= {"code": code, "message": _MESSAGES.get(code, "The custom field is not there any more.")}
    return told


def _befores(
    action: BulkAction, results: Mapping[str, RowResult], merged: Merged, rules: Rules
) -> dict[str, dict[str, object] | None]:
    """The `before` of each row that was carried out; those that changed nothing are left out."""
    carried_out = [(key, result) for key, result in results.items() if result.outcome in _CARRIED_OUT]
    if action.params["dry_run"]:
        return dict.fromkeys(key for key, _ in carried_out)
    if rules.subject is Subject.CONTACT:
        done, seen = done_to_contacts(merged), Contact.objects.in_bulk([result.contact_id for _, result in carried_out])
        return _befores_of_contacts(carried_out, done, seen)
    done = done_to_leads(merged)
    touched = _touched(action, {result.lead_id for _, result in carried_out}, list(merged.new_leads))
    told: set[UUID] = set()
    befores: dict[str, dict[str, object] | None] = {}
    for key, result in carried_out:
        lead_id = result.lead_id
        moments, is_of_this_job = touched[lead_id]
        if lead_id in told:
            befores[key] = {"lead": str(lead_id)}
        # A lead (or a contact of it) of this very job was touched once more: its undo has to know when.
        elif lead_id in done or is_of_this_job:
            told.add(lead_id)
            nothing = {"created": False, "changes": [], "made": []}
            befores[key] = {"lead": str(lead_id), **moments, **done.get(lead_id, nothing)}
    return befores


def _touched(action: BulkAction, leads: set[UUID], new: Sequence[UUID]) -> dict[UUID, tuple[dict[str, str], bool]]:
    """When each lead was last written to (`at`), a moment after all that was written (`noted`), and whether this job
    has made it or a contact of it. Those of `new` are of one moment."""
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, [action.date_started, [*new[:1], *leads.difference(new)]])
        found = {
            key: ({"at": f"{updated.isoformat()}+00:00", "noted": f"{now.isoformat()}+00:00"}, bool(is_mine))
            for key, updated, now, is_mine in cursor.fetchall()
        }
    return found | dict.fromkeys(new, found[new[0]]) if new else found


def _befores_of_contacts(
    carried_out: Sequence[tuple[str, RowResult]],
    done: Mapping[UUID, dict[str, object]],
    seen: Mapping[UUID, Contact],
) -> dict[str, dict[str, object] | None]:
    befores: dict[str, dict[str, object] | None] = {}
    told: set[UUID] = set()
    for key, result in carried_out:
        contact = seen[result.contact_id]
        entry: dict[str, object] = {"contact": str(contact.pk), "lead": contact.lead_id and str(contact.lead_id)}
        if contact.pk not in told:
            told.add(contact.pk)
            nothing = {"changes": [], "made": []}
            at = contact.date_updated.isoformat()
            entry |= {"at": at, "created": False, **done.get(contact.pk, nothing)}
        befores[key] = entry
    return befores


def _write(
    action: BulkAction,
    rows: Sequence[_Staged],
    told: Sequence[Mapping[str, object]],
    befores: Mapping[str, dict[str, object] | None],
) -> None:
    """Write down what became of the rows, and of their batches."""
    told_of: dict[int, list[Mapping[str, object]]] = defaultdict(list)
    for row, one in zip(rows, told, strict=True):
        told_of[row.batch_id].append(one)
    LeadOutcome.objects.bulk_create(
        LeadOutcome(
            action=action, batch_id=row.batch_id, lead_id=row.id, outcome=outcome, code=one["code"],
            message=one["message"],
        )
        for row, one in zip(rows, told, strict=True)
        for outcome in Outcome
        if one["outcome"] == outcome.value
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_ROWS, [json.dumps(told)])
        for batch_id, of_batch in told_of.items():
            cursor.execute(_WRITE_BATCH, {"batch": batch_id, **_ledger_of(action, of_batch, befores)})


def _ledger_of(
    action: BulkAction, told: Sequence[Mapping[str, object]], befores: Mapping[str, dict[str, object] | None]
) -> dict[str, object]:
    changed = [one["id"] for one in told if one["id"] in befores]
    keeps_before = changed and not action.params["dry_run"]
    n = Counter(one["outcome"] for one in told)
    n_skipped, n_failed = n[RowOutcome.SKIPPED], n[RowOutcome.FAILED]
    return {
        "changed": f"{{{','.join(changed)}}}",
        "before": json.dumps([befores[key] for key in changed], default=str) if keeps_before else None,
        "n_skipped": n_skipped,
        "n_failed": n_failed,
        "n_unchanged": len(told) - len(changed) - n_skipped - n_failed,
        "n_created": n[RowOutcome.CREATED],
    }
