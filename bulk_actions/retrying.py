"""Retry: a job that does the same once more, to the leads that it did not work for."""

from collections.abc import Collection

from django.db import transaction

from bulk_actions.actions import EXPORTING, MAILING
from bulk_actions.models import OVER_DEALS, BulkAction, Kind, LeadOutcome, Outcome
from bulk_actions.repeats import order_over, refuse_unfinished
from bulk_actions.services import create_bulk_action
from bulk_actions.states import FINAL
from bulk_actions.targets import refuse_purged
from crm.auth import Caller
from crm.errors import Conflict, FieldErrors, Invalid
from crm.models import MailState, OutboxMail, Purpose

_COLUMNS = {Outcome.SKIPPED: "n_skipped", Outcome.FAILED: "n_failed"}


def retry(
    *,
    action: BulkAction,
    outcomes: Collection[str],
    caller: Caller,
    confirm_possible_duplicates: object = None,
) -> BulkAction:
    """A new job over the leads that were skipped or have failed, whichever `outcomes` says; those deleted since then
    do not count, but for the retry of an undo, which is one too.

    Of a job that sends mail: whoever has got its mail gets none again. With the outcome `unknown`, which stands alone,
    the new job sends the very mails that may have left once more, if a person has said `confirm_possible_duplicates`
    true. Raises FieldErrors("status") for a job that has not ended, FieldErrors("outcome") when it has none such,
    `LedgerPurged`; `Conflict` while another retry of a job that sends mail lives; `Invalid` for a job over deals
    and an import that came within a call, and for an export.
    """
    if action.kind in EXPORTING:
        raise Invalid(["An export is not tried again as a job: ask for a new one."])
    within_a_call = action.kind in (*OVER_DEALS, Kind.IMPORT) and not action.is_of_file
    if within_a_call and action.undo_of_id is None:
        raise Invalid(["A bulk change of deals, or an import, is not tried again as a job: send it again."])
    with transaction.atomic():
        original = BulkAction.objects.select_for_update(no_key=True).get(pk=action.pk)  # one retry at a time
        refuse_unfinished(original, "retry")
        refuse_purged(original)
        params = dict(original.params)
        if original.kind in MAILING:
            _refuse_second(original)
            params = _params_of_mails(original, outcomes, confirm_possible_duplicates)
        elif not LeadOutcome.objects.filter(action=original.pk, outcome__in=outcomes).exists():
            raise _none(outcomes)
        order = order_over(original, outcomes, params, retry_of_id=original.pk, undo_of_id=original.undo_of_id)
        return create_bulk_action(order=order, caller=caller)


def _params_of_mails(original: BulkAction, outcomes: Collection[str], confirmed: object) -> dict[str, object]:
    params = {key: value for key, value in original.params.items() if key != "again"}
    if Outcome.UNKNOWN not in outcomes:
        if not any(getattr(original, _COLUMNS[Outcome(outcome)]) for outcome in outcomes):
            raise _none(outcomes)
        return params
    if set(outcomes) != {Outcome.UNKNOWN}:
        raise FieldErrors({"outcome": "Mails that may have left take a job of their own: ask for unknown alone."})
    mails = OutboxMail.objects.filter(source_id=original.pk, purpose=Purpose.BULK, state=MailState.UNKNOWN)
    if not mails.exists():
        raise _none(outcomes)
    if confirmed is not True:
        problem = "These mails may have left, and their recipients may get them twice. Say true to send them again."
        raise FieldErrors({"confirm_possible_duplicates": problem})
    return {**params, "again": True}


def _refuse_second(original: BulkAction) -> None:
    earlier = BulkAction.objects.filter(retry_of=original.pk).exclude(status__in=FINAL).first()
    if earlier is not None:
        raise Conflict(f"The job is being retried by {earlier.api_id}.")


def _none(outcomes: Collection[str]) -> FieldErrors:
    return FieldErrors({"outcome": f"The job has no leads that are {' or '.join(outcomes)}."})
