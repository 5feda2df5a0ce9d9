"""How activities look in `/api/schema/`."""

from rest_framework import serializers

from crm.api.close.activity_input import (
    CALL_STATUSES,
    DIRECTIONS,
    EMAIL_STATUSES,
    LONGEST_SEND_IN,
    MEETING_STATUSES,
    MESSAGE_STATUSES,
)
from crm.api.close.openapi import Answer, any_value, strings
from crm.api.close.record_schemas import text
from crm.api.close.template_schemas import AttachmentBody


def _moment(**options: object) -> serializers.DateTimeField:
    return serializers.DateTimeField(allow_null=True, **options)


def _number(**options: object) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, **options)


def _list() -> serializers.ListField:
    return serializers.ListField(child=any_value())


class ActivityAnswer(Answer):
    """Beside these keys, those of the type that `_type` names."""

    id = serializers.CharField()
    _type = serializers.CharField()
    organization_id = serializers.CharField()
    lead_id = serializers.CharField()
    contact_id = text()
    user_id = text()
    user_name = text()
    users = strings()
    created_by = text()
    created_by_name = text()
    updated_by = text()
    updated_by_name = text()
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    activity_at = _moment()


class NoteAnswer(ActivityAnswer):
    title = text()
    note = text()
    note_html = text()
    attachments = _list()


class _PhoneActivityAnswer(ActivityAnswer):
    local_phone = text()
    local_phone_formatted = text()
    local_country_iso = text()
    remote_phone = text()
    remote_phone_formatted = text()
    remote_country_iso = text()
    direction = text()
    status = text()
    cost = text()
    source = serializers.CharField()


class CallAnswer(_PhoneActivityAnswer):
    phone = text()
    duration = _number()
    disposition = text()
    note = text()
    note_html = text()
    outcome_id = text()
    recording_url = text()
    voicemail_url = text()
    voicemail_duration = _number()
    transferred_from = text()
    transferred_to = text()
    dialer_id = text()


class SmsAnswer(_PhoneActivityAnswer):
    text = text()
    date_sent = _moment()
    date_scheduled = _moment()
    error_message = serializers.CharField(allow_null=True)
    template_id = serializers.CharField(allow_null=True)
    attachments = _list()


class EmailActivityAnswer(ActivityAnswer):
    status = text()
    direction = text()
    subject = text()
    body_text = text()
    body_html = text()
    body_preview = text()
    sender = text()
    to = strings()
    cc = strings()
    bcc = strings()
    envelope = serializers.DictField()
    date_sent = _moment()
    date_scheduled = _moment()
    has_reply = serializers.BooleanField()
    attachments = _list()
    opens = _list()
    opens_summary = text()
    send_attempts = _list()
    message_ids = strings()
    references = strings()
    in_reply_to_id = text()
    thread_id = text()
    email_account_id = text()
    send_as_id = text()
    need_smtp_credentials = serializers.BooleanField()
    template_id = text()
    template_name = text()
    bulk_email_action_id = text()
    sequence_id = text()
    sequence_name = text()
    sequence_subscription_id = text()
    followup_sequence_id = text()
    followup_sequence_delay = _number()
    followup_sequence_add_cc_bcc = serializers.BooleanField()


class MeetingAnswer(ActivityAnswer):
    title = text()
    status = text()
    note = text()
    user_note_html = text()
    location = text()
    starts_at = _moment()
    ends_at = _moment()
    duration = _number()
    attendees = _list()
    is_recurring = serializers.BooleanField()
    outcome_id = text()
    source = serializers.CharField()


class _ActivityChanges(serializers.Serializer):
    contact_id = text(required=False, help_text="A contact of the lead.")
    user_id = text(required=False)
    activity_at = _moment(required=False)


class _NewActivity(serializers.Serializer):
    lead_id = serializers.CharField()
    date_created = _moment(required=False, help_text="Of what is brought over from elsewhere.")


class NoteChanges(_ActivityChanges):
    title = text(required=False)
    note = text(required=False)
    note_html = text(required=False)


class NoteBody(_NewActivity, NoteChanges):
    pass


class CallChanges(_ActivityChanges):
    status = serializers.ChoiceField(CALL_STATUSES, required=False)
    direction = serializers.ChoiceField(DIRECTIONS, required=False)
    duration = _number(required=False, min_value=0, help_text="Seconds.")
    disposition = text(required=False)
    phone = text(required=False, help_text="Their number; also as `remote_phone`.")
    local_phone = text(required=False)
    note = text(required=False)
    note_html = text(required=False)


class CallBody(_NewActivity, CallChanges):
    pass


class SmsChanges(_ActivityChanges):
    status = serializers.ChoiceField(MESSAGE_STATUSES, required=False)
    direction = serializers.ChoiceField(DIRECTIONS, required=False)
    local_phone = serializers.CharField(required=False, allow_null=True)
    remote_phone = serializers.CharField(required=False, allow_null=True)
    date_sent = _moment(required=False)
    text = serializers.CharField(required=False, allow_null=True, allow_blank=True)


class SmsBody(_NewActivity, SmsChanges):
    status = serializers.ChoiceField(MESSAGE_STATUSES)


class EmailChanges(_ActivityChanges):
    status = serializers.ChoiceField(
        EMAIL_STATUSES, required=False, help_text="`outbox`: send now. `scheduled`: send at `date_scheduled`."
    )
    subject = text(required=False)
    body_text = text(required=False)
    body_html = text(required=False)
    sender = text(required=False, help_text="Needed but for drafts and what is only logged as sent.")
    email_account_id = text(required=False)
    to = strings(required=False)
    cc = strings(required=False)
    bcc = strings(required=False)
    template_id = text(required=False, help_text="Without a body, the mail is made from it.")
    attachments = AttachmentBody(many=True, required=False, help_text="The mail ends with links to them.")
    date_scheduled = _moment(required=False)
    send_in = _number(
        required=False, min_value=0, max_value=LONGEST_SEND_IN - 1, help_text="Seconds to wait, with `outbox`."
    )
    confirm_possible_duplicates = serializers.BooleanField(
        required=False, help_text="Needed to send what may have left already."
    )
    date_sent = _moment(required=False)


class EmailActivityBody(_NewActivity, EmailChanges):
    status = serializers.ChoiceField(EMAIL_STATUSES)


class MeetingChanges(_ActivityChanges):
    title = text(required=False)
    status = serializers.ChoiceField(MEETING_STATUSES, required=False)
    note = text(required=False)
    user_note_html = text(required=False)
    location = text(required=False)
    starts_at = _moment(required=False)
    ends_at = _moment(required=False)


class MeetingBody(_NewActivity, MeetingChanges):
    status = serializers.ChoiceField(
        MEETING_STATUSES, required=False, help_text="Without it, `completed` if it is over, else `upcoming`."
    )
