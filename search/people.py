"""Values of leads, contacts and addresses that no single column holds."""

from django.db.models import Case, Exists, Expression, IntegerField, OuterRef, Subquery, TextField, Value, When
from django.db.models.functions import Coalesce, Collate, Lower, NullIf, Trim

from crm.models import Contact, ContactEmail, ContactPhone, ContactUrl, Lead, Suppression
from search.expressions import CountOf, IsPresent, Joined, text_value
from search.fields import present


def contact_name() -> Expression:
    """What was typed as the name, else first and last name."""
    parts = Joined(present("first_name"), present("last_name"))
    return Coalesce(present("name"), NullIf(parts, text_value("")))


def display_name() -> Expression:
    """The lead's name, else what its first contact is known by: a name, an e-mail address or a number."""
    emails = ContactEmail.objects.filter(contact_id=OuterRef("pk")).order_by("position", "pk").values("email")
    phones = ContactPhone.objects.filter(contact_id=OuterRef("pk")).order_by("position", "pk").values("phone")
    known_by = Coalesce(contact_name(), Subquery(emails[:1]), Subquery(phones[:1]))
    first = Contact.objects.filter(lead_id=OuterRef("pk")).order_by("position", "pk").annotate(known_by=known_by)
    return Coalesce(present("name"), Subquery(first.values("known_by")[:1]))


def lead_name() -> Expression:
    """The display name of the lead that an object belongs to."""
    lead = Lead.all_objects.filter(pk=OuterRef("lead_id")).annotate(shown_name=display_name())
    return Subquery(lead.values("shown_name")[:1], output_field=TextField())


def is_unsubscribed() -> Expression:
    return Exists(
        Suppression.objects.filter(
            organization_id=OuterRef("organization_id"),
            # The rules are named, the collation of the comparison is that of the index.
            address=Collate(Lower(Collate(Trim(OuterRef("email")), "pg_c_utf8")), "default"),
            reason__in=Suppression.UNWANTED,
        )
    )


def all_urls_count() -> Expression:
    own = Case(When(IsPresent(present("url")), then=Value(1)), default=Value(0), output_field=IntegerField())
    return own + CountOf(ContactUrl.objects.filter(contact__lead_id=OuterRef("pk")).order_by().values("pk"))


ADDRESS_PARTS = ("address_1", "address_2", "city", "state", "zipcode", "country")


def location() -> Expression:
    """The whole address as one text."""
    return NullIf(Joined(*(present(part) for part in ADDRESS_PARTS)), text_value(""))
