"""How templates look in `/api/schema/`."""

from rest_framework import serializers

from crm.api.close.openapi import Answer, any_value, strings
from crm.api.close.record_schemas import text
from crm.mail.liquid import MAX_SOURCE
from crm.models import SmsTemplate, Undefined
from crm.templates import LONGEST_MESSAGE, LONGEST_NAME, LONGEST_SUBJECT


class AttachmentBody(serializers.Serializer):
    """A link to a file, http or https."""

    url = serializers.CharField()
    filename = text(required=False)
    content_type = text(required=False)
    size = serializers.IntegerField(required=False, allow_null=True, min_value=0, help_text="Bytes.")


class UsingSequence(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()


class EmailTemplateAnswer(Answer):
    id = serializers.CharField()
    organization_id = serializers.CharField()
    name = serializers.CharField()
    subject = serializers.CharField()
    body = serializers.CharField()
    body_text = serializers.CharField(help_text="The text part, made from the body.")
    undefined = serializers.ChoiceField(Undefined.choices)
    cc = strings()
    bcc = strings()
    attachments = serializers.ListField(child=any_value())
    is_shared = serializers.BooleanField()
    is_archived = serializers.BooleanField()
    unsubscribe_link_id = text()
    used_by_sequences = UsingSequence(many=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    user_id = text()
    created_by = text()
    updated_by = text()
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


class EmailTemplateChanges(serializers.Serializer):
    name = serializers.CharField(required=False, max_length=LONGEST_NAME)
    subject = serializers.CharField(required=False, max_length=LONGEST_SUBJECT, help_text="See docs/templates.md.")
    body = serializers.CharField(required=False, max_length=MAX_SOURCE, help_text="HTML. See docs/templates.md.")
    undefined = serializers.ChoiceField(
        Undefined.choices, required=False, help_text="What a variable without a value does."
    )
    cc = strings(required=False)
    bcc = strings(required=False)
    attachments = AttachmentBody(many=True, required=False)
    is_shared = serializers.BooleanField(required=False)
    is_archived = serializers.BooleanField(required=False)


class EmailTemplateBody(EmailTemplateChanges):
    name = serializers.CharField(max_length=LONGEST_NAME)
    subject = serializers.CharField(max_length=LONGEST_SUBJECT, help_text="See docs/templates.md.")
    body = serializers.CharField(max_length=MAX_SOURCE, help_text="HTML. See docs/templates.md.")


class RenderedAnswer(Answer):
    subject = text()
    body = text()
    body_text = text()
    email = text()
    contact_id = text()
    contact_display_name = text()
    lead_id = text()
    lead_display_name = text()
    problems = strings(help_text="Why this mail would not be made; then the texts above are as far as they can be.")


class SmsTemplateAnswer(Answer):
    id = serializers.CharField()
    organization_id = serializers.CharField()
    name = serializers.CharField()
    text = serializers.CharField()
    status = serializers.ChoiceField(SmsTemplate.Status.choices)
    created_by = serializers.CharField(allow_null=True)
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.CharField()
    date_updated = serializers.CharField()


class SmsTemplateChanges(serializers.Serializer):
    name = serializers.CharField(required=False, max_length=LONGEST_NAME)
    text = serializers.CharField(required=False, max_length=LONGEST_MESSAGE)
    status = serializers.ChoiceField(SmsTemplate.Status.choices, required=False)


class SmsTemplateBody(SmsTemplateChanges):
    name = serializers.CharField(max_length=LONGEST_NAME)
    text = serializers.CharField(max_length=LONGEST_MESSAGE)
