"""How leads and contacts look in `/api/schema/`: what is given (`…Answer`) and what is taken (`…Body`)."""

from rest_framework import serializers

from crm.api.close.openapi import Answer, any_value, strings


def text(**options: object) -> serializers.CharField:
    """A text that may be null or empty."""
    return serializers.CharField(allow_null=True, allow_blank=True, **options)


class EmailAnswer(Answer):
    email = serializers.CharField()
    type = serializers.CharField()
    is_unsubscribed = serializers.BooleanField()


class PhoneAnswer(Answer):
    phone = serializers.CharField()
    phone_formatted = serializers.CharField()
    type = serializers.CharField()
    country = text()


class UrlAnswer(Answer):
    url = serializers.CharField()
    type = serializers.CharField()


class IntegrationLinkAnswer(Answer):
    name = serializers.CharField()
    url = serializers.CharField()


class AddressAnswer(Answer):
    label = text()
    address_1 = text()
    address_2 = text()
    city = text()
    state = text()
    zipcode = text()
    country = text()
    tz_ids = strings()


class _RecordAnswer(Answer):
    """Beside these keys, one `custom.cf_…` for each custom field that has a value."""

    id = serializers.CharField()
    organization_id = serializers.CharField()
    name = text()
    display_name = serializers.CharField()
    integration_links = IntegrationLinkAnswer(many=True)
    created_by = text()
    updated_by = text()
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    custom = serializers.DictField(child=any_value(), help_text="Values of custom fields by the field's name.")


class ContactAnswer(_RecordAnswer):
    lead_id = text()
    title = text()
    emails = EmailAnswer(many=True)
    phones = PhoneAnswer(many=True)
    urls = UrlAnswer(many=True)
    timezone = text()


class LeadAnswer(_RecordAnswer):
    description = text()
    url = text()
    status_id = serializers.CharField()
    status_label = serializers.CharField()
    addresses = AddressAnswer(many=True)
    primary_address_summary = text()
    contact_ids = strings()
    contacts = ContactAnswer(many=True)
    contacts_summary = serializers.CharField()
    primary_email = EmailAnswer(allow_null=True)
    primary_phone = PhoneAnswer(allow_null=True)
    opportunities = serializers.ListField(child=serializers.DictField())
    tasks = serializers.ListField(child=serializers.DictField())
    html_url = serializers.CharField()
    localtime = text()
    created_by_name = text()
    updated_by_name = text()


class EmailBody(serializers.Serializer):
    email = serializers.EmailField()
    type = text(required=False)


class PhoneBody(serializers.Serializer):
    phone = serializers.CharField()
    type = text(required=False)
    country = text(required=False, help_text="Two-letter code, for a number without an international prefix.")


class UrlBody(serializers.Serializer):
    url = serializers.CharField()
    type = text(required=False)


class AddressBody(serializers.Serializer):
    label = text(required=False)
    address_1 = text(required=False)
    address_2 = text(required=False)
    city = text(required=False)
    state = text(required=False)
    zipcode = text(required=False)
    country = text(required=False, help_text="Two-letter code.")


class _RecordBody(serializers.Serializer):
    """Custom fields: `custom.cf_…`, null for none; `custom.cf_….add` and `custom.cf_….remove` where many values fit."""

    name = text(required=False)
    custom = serializers.DictField(
        child=any_value(), required=False, allow_null=True, help_text="Deprecated: values by the field's name."
    )


class ContactBody(_RecordBody):
    lead_id = text(required=False, help_text="Without it, a lead named after the contact is made.")
    title = text(required=False)
    emails = EmailBody(many=True, required=False, allow_null=True)
    phones = PhoneBody(many=True, required=False, allow_null=True)
    urls = UrlBody(many=True, required=False, allow_null=True)


class LeadChanges(_RecordBody):
    description = text(required=False)
    url = text(required=False)
    status_id = text(required=False)
    status = text(required=False, help_text="The label of a status, in place of its id.")
    addresses = AddressBody(many=True, required=False, allow_null=True)


class LeadBody(LeadChanges):
    contacts = ContactBody(many=True, required=False, allow_null=True)
