"""What the language speaks of: object types, their fields, and how objects are related (close-api.md 3.4, 3.5).

Counts of nothing are 0.
"""

from collections.abc import Mapping

from crm.models import Address, Contact, ContactEmail, ContactPhone, ContactUrl, FieldType, Lead
from search.deals import OPPORTUNITY
from search.documents import address_documents, contact_documents, lead_documents, own_text
from search.fields import RECORD_FIELDS, Field, Hanging, ObjectType, column_field, count_field, text_field
from search.happenings import ACTIVITIES, TASK
from search.nodes import Kind
from search.people import ADDRESS_PARTS, all_urls_count, contact_name, display_name, is_unsubscribed, location
from search.smart_fields import SMART_FIELDS
from search.smart_money import MONEY_FIELDS

_TYPES = [
    ObjectType(
        "lead",
        lambda: Lead.all_objects.all(),
        lead_documents,
        {
            **RECORD_FIELDS,
            "name": text_field("name"),
            "display_name": Field(Kind.TEXT, display_name),
            "description": text_field("description"),
            "url": text_field("url"),
            "status_id": column_field("status_id", Kind.REFERENCE, "status.lead"),
            "addresses_count": count_field(Hanging(Address)),
            "all_urls_count": Field(Kind.NUMBER, all_urls_count),
            **SMART_FIELDS,
            **MONEY_FIELDS,
        },
        prefix="lead",
        has_custom_fields=True,
    ),
    ObjectType(
        "contact",
        lambda: Contact.objects.all(),
        contact_documents,
        {
            **RECORD_FIELDS,
            "lead_id": column_field("lead_id", Kind.REFERENCE, "lead"),
            "name": Field(Kind.TEXT, contact_name),
            "title": text_field("title"),
            "emails_count": count_field(Hanging(ContactEmail, path="contact_id")),
            "phones_count": count_field(Hanging(ContactPhone, path="contact_id")),
            "urls_count": count_field(Hanging(ContactUrl, path="contact_id")),
        },
        prefix="cont",
        has_custom_fields=True,
    ),
    ObjectType(
        "contact_email",
        lambda: ContactEmail.objects.all(),
        own_text("email"),
        {
            "email": text_field("email"),
            "type": text_field("type", Kind.CHOICE),
            "is_unsubscribed": Field(Kind.BOOLEAN, is_unsubscribed),
        },
    ),
    ObjectType(
        "contact_phone",
        lambda: ContactPhone.objects.all(),
        own_text("phone"),
        {"phone": text_field("phone"), "type": text_field("type", Kind.CHOICE)},
    ),
    ObjectType(
        "contact_url",
        lambda: ContactUrl.objects.all(),
        own_text("url"),
        {"url": text_field("url"), "type": text_field("type", Kind.CHOICE)},
    ),
    ObjectType(
        "address",
        lambda: Address.objects.all(),
        address_documents,
        {**{part: text_field(part) for part in ADDRESS_PARTS}, "location": Field(Kind.TEXT, location)},
    ),
    OPPORTUNITY,
    *ACTIVITIES,
    TASK,
]
OBJECT_TYPES: Mapping[str, ObjectType] = {object_type.name: object_type for object_type in _TYPES}
RESULT_TYPES = ("lead", "contact", "opportunity", *(activity.name for activity in ACTIVITIES))
DEFAULT_TYPE = "lead"

UNSUPPORTED_TYPES = frozenset(
    {
        "activity.custom_activity",
        "activity.whatsapp_message",
        "activity.form_submission",
        "sequence_subscription",
        "custom_object",
    }
)
_OF_A_LEAD_AND_CONTACT = ("opportunity", "task", *(activity.name for activity in ACTIVITIES))

# (this, related): the path on the related object, and the one on this object, that hold the same key.
RELATIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("lead", "contact"): ("lead_id", "pk"),
    ("lead", "address"): ("lead_id", "pk"),
    ("lead", "contact_email"): ("contact__lead_id", "pk"),
    ("lead", "contact_phone"): ("contact__lead_id", "pk"),
    ("lead", "contact_url"): ("contact__lead_id", "pk"),
    ("contact", "lead"): ("pk", "lead_id"),
    ("contact", "contact_email"): ("contact_id", "pk"),
    ("contact", "contact_phone"): ("contact_id", "pk"),
    ("contact", "contact_url"): ("contact_id", "pk"),
    ("contact_email", "contact"): ("pk", "contact_id"),
    ("contact_phone", "contact"): ("pk", "contact_id"),
    ("contact_url", "contact"): ("pk", "contact_id"),
    ("contact_email", "lead"): ("pk", "contact__lead_id"),
    ("contact_phone", "lead"): ("pk", "contact__lead_id"),
    ("contact_url", "lead"): ("pk", "contact__lead_id"),
    ("address", "lead"): ("pk", "lead_id"),
    **{("lead", name): ("lead_id", "pk") for name in _OF_A_LEAD_AND_CONTACT},
    **{("contact", name): ("contact_id", "pk") for name in _OF_A_LEAD_AND_CONTACT},
    **{(name, "lead"): ("pk", "lead_id") for name in _OF_A_LEAD_AND_CONTACT},
    **{(name, "contact"): ("pk", "contact_id") for name in _OF_A_LEAD_AND_CONTACT},
}

# Where one of the two may hang on a lead marked as deleted while the other hangs on a live one: a contact can move.
CROSSING = frozenset(pair for name in _OF_A_LEAD_AND_CONTACT for pair in ((name, "contact"), ("contact", name)))

# --- custom fields ----------------------------------------------------------------------------------------------------
KIND_OF_CUSTOM: Mapping[str, Kind] = {
    FieldType.TEXT: Kind.TEXT,
    FieldType.TEXTAREA: Kind.TEXT,
    FieldType.HIDDEN: Kind.TEXT,
    FieldType.CHOICES: Kind.CHOICE,
    FieldType.NUMBER: Kind.NUMBER,
    FieldType.DATE: Kind.DATE,
    FieldType.DATETIME: Kind.MOMENT,
    FieldType.USER: Kind.REFERENCE,
    FieldType.CONTACT: Kind.REFERENCE,
    FieldType.CUSTOM_OBJECT: Kind.REFERENCE,
}
TYPES_IN_DOCUMENTS = (FieldType.TEXT, FieldType.TEXTAREA, FieldType.HIDDEN, FieldType.CHOICES)

# What an id-valued field refers to: the prefix of its ids; and what the `reference_type` of a condition means.
ID_PREFIX: Mapping[str, str] = {
    "user": "user",
    "group": "group",
    "status.lead": "stat",
    "status.opportunity": "stat",
    "pipeline": "pipe",
    "sequence": "seq",
    "lead": "lead",
    "contact": "cont",
    "custom_object": "custobj",
}
REFERENCE_TYPES: Mapping[str, str] = {
    "user": "user",
    "user_or_group": "user",
    "status.lead": "status.lead",
    "status.opportunity": "status.opportunity",
    "sequence": "sequence",
    "lead": "lead",
    "contact": "contact",
    "custom_object": "custom_object",
}
# What a Smart View of a type finds.
TYPE_OF_VIEW: Mapping[str, str] = {name.removeprefix("activity."): name for name in RESULT_TYPES}
