"""What the API description says of deals."""

from rest_framework import serializers

from crm.api.blueai.openapi import wrapped


def _text(**options: object) -> serializers.Field:
    return serializers.CharField(allow_null=True, **options)


class BlueAIDeal(serializers.Serializer):
    """`amount` in whole units of the organization's currency: yen, where that is JPY."""

    object = serializers.CharField(required=False)
    id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    amount = serializers.IntegerField(allow_null=True)
    stage = serializers.CharField()
    pipeline_id = serializers.CharField()
    company_id = _text()
    contact_id = _text()
    assigned_member_id = _text()
    expected_close_date = serializers.DateField(allow_null=True)
    probability = serializers.IntegerField()
    lost_reason = _text()
    won_date = serializers.DateField(allow_null=True)
    currency = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class BlueAIDealChange(serializers.Serializer):
    name = serializers.CharField(required=False)
    amount = serializers.IntegerField(required=False, allow_null=True)
    stage = _text(required=False, help_text="The slug of a stage of the deal's pipeline.")
    company_id = _text(required=False)
    contact_id = _text(required=False)
    assigned_member_id = _text(required=False)
    expected_close_date = serializers.DateField(required=False, allow_null=True)
    probability = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=100)
    lost_reason = _text(required=False)
    won_date = serializers.DateField(required=False, allow_null=True, help_text="Today, where a deal is won.")
    currency = _text(required=False, help_text="That of the organization.")


class BlueAIDealBody(BlueAIDealChange):
    name = serializers.CharField()
    pipeline_id = _text(required=False, help_text="The default pipeline, unless given.")


class StageBody(serializers.Serializer):
    stage = serializers.CharField()
    lost_reason = _text(required=False)


class BlueAITimelineEntry(serializers.Serializer):
    object = serializers.CharField(required=False)
    id = serializers.CharField()
    type = serializers.CharField(help_text="`note`, `call`, `email`, `meeting`, or `stage_change`.")
    content = _text()
    deal_id = _text()
    contact_id = _text()
    created_by = _text()
    created_at = serializers.DateTimeField()


ANSWER = wrapped("BlueAIDealWrapped", "deal", BlueAIDeal)
