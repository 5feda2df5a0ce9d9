"""How sequences and subscriptions look in `/api/schema/`."""

from rest_framework import serializers

from crm.api.close.openapi import Answer, any_value, strings
from crm.api.close.record_schemas import text
from crm.api.close.sequence_input import LONGEST_NAME, MAX_SECONDS
from crm.models import Sequence, SequenceStep, StepType, SubscriptionStatus

_THREADING = SequenceStep._meta.get_field("threading").choices


class RangeBody(serializers.Serializer):
    weekday = serializers.IntegerField(min_value=1, max_value=7, help_text="Monday is 1.")
    start = serializers.CharField(help_text="`09:00`")
    end = serializers.CharField(help_text="`16:59`; the last minute, which is still in it.")


class ScheduleBody(serializers.Serializer):
    ranges = RangeBody(many=True)


class StepAnswer(Answer):
    id = serializers.CharField()
    step_type = serializers.ChoiceField(StepType.choices)
    delay = serializers.IntegerField(help_text="Seconds since the step before.")
    email_template_id = text()
    sms_template_id = text()
    threading = serializers.ChoiceField(_THREADING, allow_null=True)
    required = serializers.BooleanField()
    step_allowed_delay = serializers.IntegerField(allow_null=True)


class StepBody(serializers.Serializer):
    """With the id of a step that the sequence has, what is left out stays as it is."""

    id = serializers.CharField(required=False)
    step_type = serializers.ChoiceField(StepType.choices, required=False, help_text="A new step needs it.")
    delay = serializers.IntegerField(required=False, min_value=0, max_value=MAX_SECONDS)
    email_template_id = text(required=False)
    sms_template_id = text(required=False)
    threading = serializers.ChoiceField(_THREADING, required=False, allow_null=True)
    required = serializers.BooleanField(required=False)
    step_allowed_delay = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MAX_SECONDS, help_text="See docs/sequences.md."
    )


class CountsAnswer(Answer):
    active = serializers.IntegerField()
    error = serializers.IntegerField()
    finished = serializers.IntegerField()
    goal = serializers.IntegerField()
    paused = serializers.IntegerField()


class SequenceAnswer(Answer):
    id = serializers.CharField()
    organization_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Sequence.Status.choices)
    timezone = serializers.CharField()
    schedule = ScheduleBody(allow_null=True)
    steps = StepAnswer(many=True)
    trigger_query = any_value()
    allow_manual_enrollment = serializers.BooleanField()
    owner_id = text()
    created_by_id = text()
    updated_by_id = text()
    date_created = serializers.CharField()
    date_updated = serializers.CharField()


class SequenceWithCountsAnswer(SequenceAnswer):
    subscription_counts_by_status = CountsAnswer()


class SequenceChanges(serializers.Serializer):
    name = serializers.CharField(required=False, max_length=LONGEST_NAME)
    timezone = serializers.CharField(required=False, help_text="Such as `Europe/Riga`.")
    status = serializers.ChoiceField(Sequence.Status.choices, required=False)
    schedule = ScheduleBody(required=False, allow_null=True)
    steps = StepBody(many=True, required=False)
    trigger_query = serializers.DictField(required=False, allow_null=True, help_text="Kept, not acted upon.")
    allow_manual_enrollment = serializers.BooleanField(required=False)
    owner_id = text(required=False)


class SequenceBody(SequenceChanges):
    name = serializers.CharField(max_length=LONGEST_NAME)
    timezone = serializers.CharField(help_text="Such as `Europe/Riga`.")
    steps = StepBody(many=True)


class SubscriptionAnswer(Answer):
    id = serializers.CharField()
    organization_id = serializers.CharField()
    sequence_id = serializers.CharField()
    lead_id = serializers.CharField()
    contact_id = serializers.CharField()
    contact_email = serializers.CharField()
    sender_account_id = serializers.CharField()
    sender_name = serializers.CharField(allow_blank=True)
    sender_email = serializers.CharField()
    calls_assigned_to = strings(allow_null=True)
    status = serializers.ChoiceField(SubscriptionStatus.choices)
    status_reason = text()
    start_date = text()
    next_step_id = text()
    next_step_due_at = text()
    steps_done = serializers.IntegerField()
    created_by_id = text()
    updated_by_id = text()
    date_created = serializers.CharField()
    date_updated = serializers.CharField()


class SubscriptionChanges(serializers.Serializer):
    status = serializers.ChoiceField(["active", "paused"], required=False)
    sender_account_id = serializers.CharField(required=False)
    sender_name = serializers.CharField(required=False)
    sender_email = serializers.CharField(required=False)
    calls_assigned_to = strings(required=False, allow_null=True)


class SubscriptionBody(serializers.Serializer):
    sequence_id = serializers.CharField()
    contact_id = serializers.CharField()
    contact_email = serializers.CharField(help_text="One of the contact's addresses.")
    sender_account_id = serializers.CharField()
    sender_name = serializers.CharField()
    sender_email = serializers.CharField(help_text="One of the account's identities.")
    calls_assigned_to = strings(required=False, allow_null=True, help_text="Users.")
