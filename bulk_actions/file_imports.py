"""Merging the rows of a file, a batch of them in each transaction, and writing down what became of each.

The targets of such a job are its rows (`ImportRow`). Of each that was carried out the ledger keeps, as its `before`,
what the batch did to the lead:

    {"lead": …, "at": when, "created": true}
    {"lead": …, "at": when, "created": false, "changes": […], "made": […]}    as in `actions/imports.py`
    {"lead": …}                                     what was done to the lead stands at an earlier row of the batch
    {"contact": …, "lead": …, "at": when, "created": false, "changes": […], "made": […]}    where rows are contacts

The ledger, the rows and the leads change in one transaction, so whatever crashes, no row is merged twice.
"""

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from bulk_actions.errors import JobImpossible
from bulk_actions.merged import done_to_contacts, done_to_leads
from bulk_actions.models import Batch, BulkAction, ImportRow, LeadOutcome, Outcome
from crm.import_rows import row_of
from crm.merging import Key, Merged, OnDuplicate, RowResult, Rules, Subject, merge_rows
from crm.merging import Outcome as RowOutcome
from crm.models import Contact, CustomField, Lead

SKIPPED = "The row is about a record that is there, and such rows are to be skipped."
_MESSAGES = {
    "duplicate": "The row is about a record that is there already.",
    "status_id": "The lead status is not there any more.",
    "lead_id": "The lead is not there any more.",
}
_CARRIED_OUT = (RowOutcome.CREATED, RowOutcome.UPDATED)

_WRITE_ROWS = """
    UPDATE bulk_actions_importrow AS row
    SET outcome = told.outcome, lead_id = told.lead_id, contact_id = told.contact_id,
        code = told.code, message = told.message
    FROM jsonb_to_recordset(%s::jsonb) AS told (
        id uuid, outcome text, lead_id uuid, contact_id uuid, code text, message text)
    WHERE row.id = told.id
"""


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
    """Merge the rows of these batches; how many of them failed."""
    rules = rules_of(action)
    batches = Batch.objects.filter(pk__in=batch_ids).order_by("rank")
    return sum(_apply_batch(action, batch, rules) for batch in batches)


def _apply_batch(action: BulkAction, batch: Batch, rules: Rules) -> int:
    rows = list(ImportRow.objects.filter(pk__in=batch.lead_ids).order_by("number"))
    good = [row for row in rows if row.data is not None]
    merged = merge_rows(
        organization=action.organization,
        by=action.created_by,
        rows=[row_of(row.data) for row in good],
        rules=rules,
        dry_run=action.params["dry_run"],
        action_id=action.pk,
    )
    results = {row.pk: result for row, result in zip(good, merged.results, strict=True)}
    told = [_told(row, results.get(row.pk)) for row in rows]
    befores = _befores(action, [(row.pk, results[row.pk]) for row in good], merged, rules)
    _write(action, batch, told, befores)
    return sum(one["outcome"] == RowOutcome.FAILED for one in told)


def _told(row: ImportRow, result: RowResult | None) -> dict[str, object]:
    """What became of the row, as it is stored."""
    told: dict[str, object] = {
        "id": row.pk,
        "outcome": RowOutcome.FAILED.value,
        "code": row.code,
        "message": row.message,
    }
    if result is None:
        return told
    told |= {"outcome": result.outcome.value, "lead_id": result.lead_id, "contact_id": result.contact_id}
    if result.outcome is RowOutcome.SKIPPED:
        told |= {"code": "duplicate", "message": SKIPPED}
    elif result.outcome is RowOutcome.FAILED:
        code = str(result.problem)
        told |= {"code": code, "message": _MESSAGES.get(code, "The custom field is not there any more.")}
    return told


def _befores(
    action: BulkAction, results: Sequence[tuple[UUID, RowResult]], merged: Merged, rules: Rules
) -> dict[UUID, dict[str, object] | None]:
    """The `before` of each row that was carried out; those that changed nothing are left out."""
    carried_out = [(key, result) for key, result in results if result.outcome in _CARRIED_OUT]
    if action.params["dry_run"]:
        return dict.fromkeys((key for key, _ in carried_out))
    if rules.subject is Subject.CONTACT:
        done, seen = done_to_contacts(merged), Contact.objects.in_bulk([result.contact_id for _, result in carried_out])
        return _befores_of_contacts(carried_out, done, seen)
    done = done_to_leads(merged)
    leads = {result.lead_id for _, result in carried_out}
    touched = {
        key: (updated, created)
        for key, updated, created in Lead.objects.filter(pk__in=leads).values_list("pk", "date_updated", "date_created")
    }
    told: set[UUID] = set()
    befores: dict[UUID, dict[str, object] | None] = {}
    for key, result in carried_out:
        lead_id = result.lead_id
        updated, created = touched[lead_id]
        if lead_id in told:
            befores[key] = {"lead": str(lead_id)}
        # A lead of this very job was touched once more: its undo has to know when.
        elif lead_id in done or (action.date_started and created >= action.date_started):
            told.add(lead_id)
            nothing = {"created": False, "changes": [], "made": []}
            befores[key] = {"lead": str(lead_id), "at": updated.isoformat(), **done.get(lead_id, nothing)}
    return befores


def _befores_of_contacts(
    carried_out: Sequence[tuple[UUID, RowResult]],
    done: Mapping[UUID, dict[str, object]],
    seen: Mapping[UUID, Contact],
) -> dict[UUID, dict[str, object] | None]:
    befores: dict[UUID, dict[str, object] | None] = {}
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
    batch: Batch,
    told: Sequence[Mapping[str, object]],
    befores: Mapping[UUID, dict[str, object] | None],
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_ROWS, [json.dumps(told, default=str)])
    exceptions = [
        LeadOutcome(
            action=action, batch=batch, lead_id=one["id"], outcome=outcome, code=one["code"], message=one["message"]
        )
        for one in told
        for outcome in Outcome
        if one["outcome"] == outcome.value
    ]
    LeadOutcome.objects.bulk_create(exceptions)
    n_skipped = sum(one.outcome == Outcome.SKIPPED for one in exceptions)
    changed = [one["id"] for one in told if one["id"] in befores]
    Batch.objects.filter(pk=batch.pk).update(
        changed_ids=changed or None,
        before=[befores[key] for key in changed] if changed and not action.params["dry_run"] else None,
        n_succeeded=len(changed),
        n_skipped=n_skipped,
        n_failed=len(exceptions) - n_skipped,
        n_unchanged=len(told) - len(changed) - len(exceptions),
        date_done=Now(),
    )
