"""How Close spells a bulk action (close-api.md 2.3), with keys of ours that a strict client never notices."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from rest_framework import serializers

from bulk_actions.actions.sequence_subscription import ActionType
from bulk_actions.api.edits import show_edit
from bulk_actions.api.emails import show_email
from bulk_actions.api.import_answers import show_import
from bulk_actions.api.sequences import PREFERENCES, show_sequence
from bulk_actions.mails import Wait, waits_of
from bulk_actions.models import PREFIX, BulkAction, Kind, OnChanged, Priority
from bulk_actions.progress import Progress, progress_of
from bulk_actions.waiting import queue_positions
from crm.api.close.conventions import close_datetime
from crm.api.close.openapi import Answer, any_value, strings
from crm.ids import close_id
from crm.mail.limits import Reason
from crm.mail.recipients import Preference
from crm.models import CustomField


def show_actions(actions: Sequence[BulkAction]) -> list[dict[str, object]]:
    """The answers for a page of jobs, in a fixed number of queries, and a few for each account that mail waits for."""
    progress, positions, waits = progress_of(actions), queue_positions(actions), waits_of(actions)
    fields = {action.params.get("field_id") for action in actions} - {None}
    names = {str(pk): name for pk, name in CustomField.objects.filter(pk__in=fields).values_list("pk", "name")}
    return [
        _show(action, progress[action.pk], positions.get(action.pk), names, waits.get(action.pk)) for action in actions
    ]


def _show(
    action: BulkAction,
    progress: Progress,
    queue_position: int | None,
    field_names: Mapping[str, str],
    wait: Wait | None,
) -> dict[str, object]:
    match action.kind:
        case Kind.EMAIL:
            own = {**show_email(action.params), **_waiting(wait)}
        case Kind.SEQUENCE_SUBSCRIPTION:
            own = show_sequence(action.params)
        case Kind.IMPORT:
            own = {**show_import(action.params), "repeated": action.n_repeated}
        case Kind.DELETE:
            own = {"bulk_object_type": "lead"}
        case _:
            own = show_edit(action.params, field_names)
    return {
        "id": action.api_id,
        "organization_id": close_id("orga", action.organization_id),
        "created_by": close_id("user", action.created_by_id),
        "updated_by": _user(action.updated_by_id),
        "date_created": close_datetime(action.date_created),
        "date_updated": close_datetime(action.date_updated),
        "query": action.query,
        "s_query": action.s_query or {},  # always an object; empty for a job over lead_ids
        "results_limit": action.results_limit,
        "sort": action.sort,
        "send_done_email": action.send_done_email,
        "status": action.status,
        "n_leads": action.n_leads,
        "n_leads_processed": progress.n_leads_processed,
        "n_objects": progress.n_objects,
        "n_objects_processed": progress.n_processed,
        **own,
        "n_succeeded": progress.n_succeeded,
        "n_unchanged": progress.n_unchanged,
        "n_skipped": progress.n_skipped,
        "n_failed": progress.n_failed,
        "n_unknown": progress.n_unknown,
        "reason": action.status_reason or None,
        "leads_per_minute": action.leads_per_minute,
        "priority": Priority(action.priority).label,
        "run_at": _moment(action.run_at),
        "max_leads": action.max_leads,
        "canary": {"leads": action.canary_leads} if action.canary_leads else None,
        "max_failure_ratio": action.max_failure_ratio,
        "on_changed": action.on_changed,
        "retry_of": _sibling(action, action.retry_of_id),
        "undo_of": _sibling(action, action.undo_of_id),
        "leads_per_second": progress.leads_per_second,
        "eta_seconds": progress.eta_seconds,
        "queue_position": queue_position,
        "error_code": action.error_code,
        "error_message": action.error_message,
        "date_started": _moment(action.date_started),
        "date_finished": _moment(action.date_finished),
    }


def _waiting(wait: Wait | None) -> dict[str, object]:
    """Why none of its mails leaves now, and until when, where that is so."""
    return {
        "waiting_for": str(wait[0]) if wait else None,
        "waiting_until": _moment(wait[1]) if wait else None,
    }


def _user(key: UUID | None) -> str | None:
    return close_id("user", key) if key else None


def _sibling(action: BulkAction, key: UUID | None) -> str | None:
    """The id of another job of the same kind."""
    return close_id(PREFIX[Kind(action.kind)], key) if key else None


def _moment(moment: datetime | None) -> str | None:
    return close_datetime(moment) if moment else None


class BulkActionAnswer(Answer):
    id = serializers.CharField()
    organization_id = serializers.CharField()
    created_by = serializers.CharField(allow_null=True)
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    query = serializers.CharField(allow_null=True)
    s_query = any_value(allow_null=True)
    results_limit = serializers.IntegerField(allow_null=True)
    sort = serializers.ListField(child=serializers.DictField())
    send_done_email = serializers.BooleanField()
    status = serializers.CharField()
    n_leads = serializers.IntegerField(allow_null=True)
    n_leads_processed = serializers.IntegerField()
    n_objects = serializers.IntegerField(allow_null=True)
    n_objects_processed = serializers.IntegerField()
    n_succeeded = serializers.IntegerField()
    n_unchanged = serializers.IntegerField()
    n_skipped = serializers.IntegerField()
    n_failed = serializers.IntegerField()
    n_unknown = serializers.IntegerField(help_text="Mails of which nobody knows whether they left.")
    reason = serializers.CharField(allow_null=True, help_text="Why it has this status, where a reason was given.")
    leads_per_minute = serializers.IntegerField(allow_null=True)
    priority = serializers.ChoiceField(choices=Priority.labels)
    run_at = serializers.DateTimeField(allow_null=True)
    max_leads = serializers.IntegerField(allow_null=True)
    canary = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    max_failure_ratio = serializers.FloatField()
    on_changed = serializers.ChoiceField(choices=OnChanged.values)
    retry_of = serializers.CharField(allow_null=True)
    undo_of = serializers.CharField(allow_null=True)
    leads_per_second = serializers.FloatField(allow_null=True)
    eta_seconds = serializers.FloatField(allow_null=True)
    queue_position = serializers.IntegerField(
        allow_null=True,
        min_value=1,
        help_text="1: the next of its organization to start. Null unless it waits to be started.",
    )
    error_code = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    date_started = serializers.DateTimeField(allow_null=True)
    date_finished = serializers.DateTimeField(allow_null=True)
    n_no_longer_match = serializers.IntegerField(
        help_text="Only in the answer to a create with a preview_token: leads of the preview that no longer match."
    )


class BulkDeleteAnswer(BulkActionAnswer):
    bulk_object_type = serializers.CharField()


class BulkEditAnswer(BulkActionAnswer):
    type = serializers.CharField()
    lead_status_id = serializers.CharField(allow_null=True)
    custom_field_id = serializers.CharField(allow_null=True)
    custom_field_name = serializers.CharField(allow_null=True)
    custom_field_value = serializers.CharField(allow_null=True)
    custom_field_values = strings(allow_null=True)
    custom_field_operation = serializers.CharField(allow_null=True)


class BulkEmailAnswer(BulkActionAnswer):
    template_id = serializers.CharField()
    contact_preference = serializers.ChoiceField(choices=Preference.values)
    sender = serializers.CharField()
    email_account_id = serializers.CharField(allow_null=True)
    waiting_for = serializers.CharField(
        allow_null=True, help_text=f"Why its account sends nothing now: {', '.join(Reason.values)}."
    )
    waiting_until = serializers.DateTimeField(allow_null=True)


class BulkSequenceSubscriptionAnswer(BulkActionAnswer):
    action_type = serializers.ChoiceField(choices=list(ActionType))
    sequence_id = serializers.CharField(allow_null=True)
    contact_preference = serializers.ChoiceField(choices=PREFERENCES, allow_null=True)
    sender_account_id = serializers.CharField(allow_null=True)
    sender_name = serializers.CharField(allow_null=True)
    sender_email = serializers.CharField(allow_null=True)
    calls_assigned_to = strings(allow_null=True)
    from_phone_number_id = serializers.CharField(allow_null=True, help_text="Always null.")


class CanaryBody(serializers.Serializer):
    leads = serializers.IntegerField(min_value=1, help_text="After so many it pauses itself.")


class BulkActionBody(serializers.Serializer):
    s_query = any_value(required=False, help_text="A query node, bare or wrapped as in a Smart View.")
    query = serializers.CharField(
        required=False, allow_null=True, help_text="A one-line query, instead of s_query; see docs/search.md."
    )
    lead_ids = strings(required=False, allow_null=True, help_text="Up to 100,000 lead ids, instead of s_query.")
    results_limit = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    sort = any_value(required=False)
    send_done_email = serializers.BooleanField(required=False, allow_null=True)
    leads_per_minute = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    priority = serializers.ChoiceField(required=False, allow_null=True, choices=Priority.labels)
    max_leads = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, help_text="More matches than that end it before any change."
    )
    canary = CanaryBody(required=False, allow_null=True)
    max_failure_ratio = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=1)
    on_changed = serializers.ChoiceField(required=False, allow_null=True, choices=OnChanged.values)
    run_at = serializers.DateTimeField(required=False, allow_null=True, help_text="With its zone, in the future.")


class WithToken(serializers.Serializer):
    preview_token = serializers.CharField(
        required=False, allow_null=True, help_text="Of a sealed preview of the same order; the query may be left out."
    )


class WithSeal(serializers.Serializer):
    seal = serializers.BooleanField(
        required=False, allow_null=True, help_text="Freeze the leads for an hour; see preview_token in the answer."
    )


class DeleteKeys(serializers.Serializer):
    bulk_object_type = serializers.CharField(required=False, allow_null=True)


class EditKeys(serializers.Serializer):
    type = serializers.CharField()
    lead_status_id = serializers.CharField(required=False, allow_null=True)
    custom_field_id = serializers.CharField(required=False, allow_null=True)
    custom_field_name = serializers.CharField(required=False, allow_null=True)
    custom_field_value = any_value(required=False)
    custom_field_values = any_value(required=False)
    custom_field_operation = serializers.CharField(required=False, allow_null=True)


class EmailKeys(serializers.Serializer):
    template_id = serializers.CharField()
    contact_preference = serializers.ChoiceField(required=False, allow_null=True, choices=Preference.values)
    sender = serializers.CharField(required=False, allow_null=True, help_text="`Name <address>`, or an address.")
    email_account_id = serializers.CharField(required=False, allow_null=True)


class SequenceSubscriptionKeys(serializers.Serializer):
    action_type = serializers.ChoiceField(choices=list(ActionType))
    sequence_id = serializers.CharField(
        required=False, allow_null=True, help_text="Needed to subscribe; else null means every sequence."
    )
    contact_preference = serializers.ChoiceField(
        required=False, allow_null=True, choices=PREFERENCES, help_text="Needed to subscribe."
    )
    sender_account_id = serializers.CharField(
        required=False, allow_null=True, help_text="With name and address: needed to subscribe, and to reassign mails."
    )
    sender_name = serializers.CharField(required=False, allow_null=True)
    sender_email = serializers.CharField(required=False, allow_null=True)
    calls_assigned_to = strings(required=False, allow_null=True, help_text="Users who make the calls, in turn.")


class BulkDeleteBody(DeleteKeys, WithToken, BulkActionBody):
    pass


class BulkEditBody(EditKeys, WithToken, BulkActionBody):
    pass


class BulkEmailBody(EmailKeys, WithToken, BulkActionBody):
    pass


class BulkSequenceSubscriptionBody(SequenceSubscriptionKeys, WithToken, BulkActionBody):
    pass


class BulkDeletePreviewBody(DeleteKeys, WithSeal, BulkActionBody):
    pass


class BulkEditPreviewBody(EditKeys, WithSeal, BulkActionBody):
    pass


class BulkEmailPreviewBody(EmailKeys, WithSeal, BulkActionBody):
    pass


class BulkSequenceSubscriptionPreviewBody(SequenceSubscriptionKeys, WithSeal, BulkActionBody):
    pass


class ChangeBody(serializers.Serializer):
    status = serializers.CharField(required=False, help_text="`paused` or `resuming`.")
    leads_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, help_text="The ceiling; null for none."
    )
    priority = serializers.ChoiceField(required=False, allow_null=True, choices=Priority.labels)
