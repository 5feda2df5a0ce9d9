"""Everything that an object says, one text per value: what a free text search sees."""

from collections.abc import Callable

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Expression, F, Model, OuterRef, QuerySet

from crm.models import Address, Contact, ContactEmail, ContactPhone, ContactUrl
from search.expressions import CustomTexts, TextArray, Together, Unnest, text_array
from search.fields import CustomKeys
from search.people import ADDRESS_PARTS, contact_name


def _texts_of(objects: QuerySet[Model], column: str) -> Expression:
    return ArraySubquery(objects.order_by().values(column))


def contact_documents(keys: CustomKeys) -> Expression:
    return Together(
        TextArray(contact_name(), F("title")),
        _texts_of(ContactEmail.objects.filter(contact_id=OuterRef("pk")), "email"),
        _texts_of(ContactPhone.objects.filter(contact_id=OuterRef("pk")), "phone"),
        _texts_of(ContactUrl.objects.filter(contact_id=OuterRef("pk")), "url"),
        CustomTexts(F("custom"), text_array(keys.get("contact", ()))),
    )


def address_documents(keys: CustomKeys) -> Expression:
    return TextArray(*(F(part) for part in ADDRESS_PARTS))


def lead_documents(keys: CustomKeys) -> Expression:
    contacts = Contact.objects.filter(lead_id=OuterRef("pk")).annotate(document=Unnest(contact_documents(keys)))
    addresses = Address.objects.filter(lead_id=OuterRef("pk")).annotate(document=Unnest(address_documents(keys)))
    return Together(
        TextArray(F("name"), F("description"), F("url")),
        CustomTexts(F("custom"), text_array(keys.get("lead", ()))),
        _texts_of(addresses, "document"),
        _texts_of(contacts, "document"),
    )


def own_text(column: str) -> Callable[[CustomKeys], Expression]:
    return lambda keys: TextArray(F(column))


def opportunity_documents(keys: CustomKeys) -> Expression:
    return Together(TextArray(F("note")), CustomTexts(F("custom"), text_array(keys.get("opportunity", ()))))


def activity_documents(keys: CustomKeys) -> Expression:
    return Together(TextArray(F("title"), F("text"), F("local_address"), F("remote_address")), F("recipients"))
