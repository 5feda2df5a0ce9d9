"""Mails out of templates: what they see, and what is never made."""

from uuid import uuid4

import pytest

from crm.mail.contexts import contexts_of
from crm.mail.render import Recipient, Rendered, TemplateProblem, render, render_context
from crm.mail.unsubscribe import link_for
from crm.models import Address, EmailTemplate, Lead, Membership, Organization, Undefined, User
from tests import factories


def template(subject: str = "Hello", body: str = "<p>Hi</p>", **columns: object) -> EmailTemplate:
    return EmailTemplate(**{"subject": subject, "body": body, "text": body, **columns})


@pytest.fixture
def lead(organization: Organization) -> Lead:
    return factories.LeadFactory.create(organization=organization, name="Oakvale & Sons", status__label="Trial")


def make(found: EmailTemplate, people: list[Recipient], organization: Organization, user: User) -> list[object]:
    return list(render(found, people, user=user, organization=organization))


def test_all_that_a_template_sees(organization: Organization, membership: Membership, lead: Lead) -> None:
    industry = factories.CustomFieldFactory.create(organization=organization, name="Industry", slug="industry")
    owner = factories.CustomFieldFactory.create(organization=organization, name="Owner", slug="owner", type="user")
    mood = factories.CustomFieldFactory.create(
        organization=organization, name="Moods", slug="moods", object_type="contact", accepts_multiple_values=True
    )
    Lead.objects.filter(pk=lead.pk).update(
        url="https://oakvale.example", custom={industry.key: "Textiles", owner.key: str(membership.user_id)}
    )
    Address.objects.create(organization=organization, lead=lead, city="Oslo", country="NO")
    ida = factories.ContactFactory.create(lead=lead, name="Ida van Moss", title="CEO", custom={mood.key: ["a", "b"]})
    ida.emails.create(organization=organization, email="b@oakvale.example", position=1)
    ida.emails.create(organization=organization, email="a@oakvale.example", position=0)
    ida.phones.create(organization=organization, phone="+15550100123")
    subject = (
        "{{ contact.name }}|{{ contact.first_name }}|{{ contact.last_name }}|{{ contact.title }}|{{ contact.email }}|"
        "{{ contact.phone }}|{{ contact.custom['Moods'] }}|{{ lead.display_name }}|{{ lead.status_label }}|"
        "{{ lead.url }}|"
        "{{ lead.address.city }}|{{ lead.custom['Industry'] }}|{{ lead.custom.industry }}|"
        f"{{{{ lead.custom.cf_{industry.key} }}}}|{{{{ lead['custom.cf_{industry.key}'] }}}}|"
        "{{ lead.custom.Owner }}|"
        "{{ user.first_name }}|{{ user.email }}|{{ organization.name }}|{{ contact }}|{{ lead }}"
    )
    (made,) = make(template(subject), [Recipient(ida.pk)], organization, membership.user)
    user = membership.user
    assert isinstance(made, Rendered)
    assert made.subject.split("|") == [
        "Ida van Moss", "Ida", "van Moss", "CEO", "a@oakvale.example", "+15550100123", "a, b", "Oakvale & Sons",
        "Trial", "https://oakvale.example", "Oslo", "Textiles", "Textiles", "Textiles", "Textiles", "Jo Field",
        "Jo", user.email, organization.name, "Ida van Moss", "Oakvale & Sons",
    ]  # fmt: skip


def test_each_gets_their_own_in_their_order(organization: Organization, user: User, lead: Lead) -> None:
    people = [factories.ContactFactory.create(lead=lead, name=name) for name in ("Ida", "Lev", "湖 愛")]
    asked = [Recipient(people[2].pk, "c@x.example"), Recipient(people[0].pk), Recipient(people[2].pk, "d@x.example")]
    made = make(template("{{ contact.name }} {{ contact.email }}", "{{ lead }}"), asked, organization, user)
    assert [one.subject for one in made] == ["湖 愛 c@x.example", "Ida", "湖 愛 d@x.example"]
    assert {(one.html, one.text) for one in made} == {("Oakvale &amp; Sons", "Oakvale & Sons")}


def test_the_unsubscribe_link_names_address_and_source(organization: Organization, user: User, lead: Lead) -> None:
    ida = factories.ContactFactory.create(lead=lead)
    source = uuid4()
    asked = [Recipient(ida.pk, " Ida@X.example", source), Recipient(ida.pk, "nobody"), Recipient(ida.pk)]
    made = make(template(body="{{ unsubscribe_link }}"), asked, organization, user)
    link = link_for(organization.pk, "ida@x.example", source)
    assert [(one.html, one.text) for one in made] == [(link, link), ("", ""), ("", "")]


def test_nobody_elses_contacts_and_none_of_deleted_leads(organization: Organization, user: User, lead: Lead) -> None:
    stranger = factories.ContactFactory.create()
    gone = factories.ContactFactory.create(lead=lead)
    Lead.objects.filter(pk=lead.pk).update(deleted_at="2031-01-01T00:00:00Z")
    made = make(template(), [Recipient(stranger.pk), Recipient(gone.pk)], organization, user)
    assert [one.code for one in made if isinstance(one, TemplateProblem)] == ["contact_gone", "contact_gone"]


def test_a_missing_value_follows_the_policy(organization: Organization, user: User, lead: Lead) -> None:
    ida = factories.ContactFactory.create(lead=lead, name="Ida", title="")
    body = "<p>Dear {{ contact.title }} {{ contact.name }}</p>"
    (blank,) = make(template(body=body), [Recipient(ida.pk)], organization, user)
    (error,) = make(template(body=body, undefined=Undefined.ERROR), [Recipient(ida.pk)], organization, user)
    assert isinstance(blank, Rendered)
    assert blank.html == "<p>Dear  Ida</p>"
    assert error == TemplateProblem("missing_value", "body: contact.title has no value (line 1).")


@pytest.mark.parametrize(
    "evil", ["Ida\r\nBcc: all@x.example", "Ida\nX", "Ida\x00", "Ida\x85x", "Ida\u2028x", "Ida\x1b"]
)
def test_no_value_brings_a_line_into_the_subject(evil: str) -> None:
    context = {"contact": {"name": evil}, "lead": {}, "user": {}, "organization": {}}
    made = render_context(template("Hello {{ contact.name }}"), context)
    assert isinstance(made, TemplateProblem)
    assert made.code == "invalid_subject"


def test_a_thousand_take_as_many_queries_as_one(
    organization: Organization, user: User, lead: Lead, django_assert_num_queries: object
) -> None:
    people = [factories.ContactFactory.create(lead=lead) for _ in range(20)]
    for some in (people[:1], people):
        with django_assert_num_queries(5):
            found = contexts_of([one.pk for one in some], user=user, organization=organization)
        assert len(found) == len(some)
