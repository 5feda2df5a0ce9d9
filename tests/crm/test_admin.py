"""The admin of the records: every model has its pages, large tables are never counted, secrets never shown."""

from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group as AuthGroup
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm.admin.base import read_key
from crm.auth import make_api_key
from crm.counters import count
from crm.ids import close_id
from crm.models import (
    Address,
    ApiKey,
    EmailAccount,
    EmailTemplate,
    Group,
    IdempotentAnswer,
    InboundMail,
    Lead,
    LeadStatus,
    LeadStatusChange,
    LeadWebhook,
    Membership,
    OpportunityStatusChange,
    Organization,
    OutboxMail,
    PurgedLead,
    SequenceSubscription,
    SignInSession,
    SmsTemplate,
    Suppression,
    User,
    WebhookDelivery,
)
from tests import factories

MODELS = [model for model in apps.get_app_config("crm").get_models() if not model._meta.proxy]
LARGE = [
    "lead",
    "contact",
    "activity",
    "task",
    "opportunity",
    "outboxmail",
    "leadstatuschange",
    "opportunitystatuschange",
    "sequencesubscription",
    "idempotentanswer",
    "purgedlead",
    "webhookdelivery",
]


def page(model: str, name: str, *arguments: object) -> str:
    return reverse(f"admin:crm_{model}_{name}", args=arguments)


@pytest.fixture
def staff_client(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada@oakvale.example", "not used"))
    return client


@pytest.fixture
def lead(organization: Organization, membership: Membership) -> Lead:
    """A lead with one row of everything around it."""
    field = factories.CustomFieldFactory.create(organization=organization, name="Origin")
    lead = factories.LeadFactory.create(organization=organization, name="Oakvale Mills", custom={field.key: "The fair"})
    contact = factories.ContactFactory.create(lead=lead)
    contact.emails.create(organization=organization, email="ida@oakvale.example")
    contact.phones.create(organization=organization, phone="+15550100123")
    contact.urls.create(organization=organization, url="https://oakvale.example")
    Address.objects.create(organization=organization, lead=lead, city="Oakvale")
    gone = {"old_status_id": uuid4(), "new_status_id": uuid4(), "user_id": uuid4()}
    LeadStatusChange.objects.create(organization=organization, lead=lead, **gone)
    EmailAccount.objects.create(organization=organization, sender_email="ida@oakvale.example")
    Suppression.objects.create(organization=organization, address="no@oakvale.example", reason="manual")
    InboundMail.objects.create(organization=organization, message_id="<2@x>", address="ida@oakvale.example")
    OutboxMail.objects.create(
        organization=organization, purpose="notice", address="ida@oakvale.example", sender="x", message_id="<1@x>"
    )
    opportunity = factories.OpportunityFactory.create(lead=lead, note="Oakvale renewal")
    OpportunityStatusChange.objects.create(
        organization=organization, opportunity=opportunity, lead=lead, new_status=opportunity.status
    )
    EmailTemplate.objects.create(organization=organization, name="Oakvale hello", subject="Hello", body="Hi", text="Hi")
    SmsTemplate.objects.create(organization=organization, name="Oakvale hello", text="Hi")
    sequence = factories.SequenceFactory.create(organization=organization)
    step = sequence.steps.create(position=0, step_type="call")
    SequenceSubscription.objects.create(
        organization=organization, sequence=sequence, contact=contact, lead=lead, next_step=step,
        contact_email="ida@oakvale.example", sender_account_id=uuid4(), sender_name="Jo", sender_email="jo@x.example",
    )  # fmt: skip
    Group.objects.create(organization=organization, name="Field sales")
    factories.ActivityFactory.create(lead=lead, contact=contact, title="Oakvale visit")
    factories.TaskFactory.create(lead=lead, contact=contact, assigned_to=membership.user)
    make_api_key(membership=membership)
    PurgedLead.objects.create(lead_id=uuid4(), organization=organization, addresses=[])
    IdempotentAnswer.objects.create(
        organization=organization, owner=uuid4(), path="/api/v1/lead/", key="oakvale", status=200, body="{}"
    )
    count("oakvale")
    SignInSession.objects.create(
        organization=organization, user=membership.user, token_sha256="0" * 64, date_expires=timezone.now()
    )
    webhook = LeadWebhook.objects.create(organization=organization, url="https://oakvale.example", event_types=[])
    WebhookDelivery.objects.create(
        organization=organization, webhook=webhook, lead_id=uuid4(), event="oakvale", payload={}
    )
    return lead


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_every_model_has_a_list_a_search_and_a_page(staff_client: Client, lead: Lead, model: type) -> None:
    assert model in admin.site._registry
    name = model._meta.model_name
    for query in ({}, {"q": "oakvale"}, {"q": close_id("lead", lead.pk)}):
        assert staff_client.get(page(name, "changelist"), query).status_code == 200
    row = model._default_manager.first()
    assert row is not None
    assert staff_client.get(page(name, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", [*MODELS, AuthGroup], ids=lambda model: model._meta.model_name)
def test_mistyped_addresses_are_no_errors(staff_client: Client, model: type) -> None:
    home = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    field = model._meta.get_fields()[-1].name
    queries = [{"pk__exact": "abc"}, {"q": "\0"}, {"p": "9" * 30}, {"o": "\0"}, {"id__exact": "\0"}, {field: "\0"}]
    for query in [*queries, *({f"{name}__exact": "\0"} for name in ("status", "state", "reason", "name"))]:
        assert staff_client.get(home, query).status_code in (200, 302, 400), query
    for key in ("abc", "lead_zzz", "%00", close_id("lead", uuid4())):
        for page_of_it in ("change", "delete", "history"):
            answer = staff_client.get(f"{home}{key}/{page_of_it}/", follow=True)
            assert answer.status_code in (200, 403, 404), (key, page_of_it)


def test_an_id_of_the_api_leads_to_the_page_of_its_record(staff_client: Client, lead: Lead) -> None:
    spelt = page("lead", "changelist") + f"{close_id('lead', lead.pk)}/change/"
    assert staff_client.get(spelt).url == page("lead", "change", lead.pk)


@pytest.mark.parametrize("model", LARGE)
def test_large_tables_are_not_counted(staff_client: Client, lead: Lead, model: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        staff_client.get(page(model, "changelist"))
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"] and f'"crm_{model}"' in query["sql"]]


@pytest.mark.parametrize(
    "model", ["lead", "contact", "leadstatus", "opportunity", "activity", "task", "customfield", "apikey", "outboxmail"]
)
def test_records_with_rules_of_their_own_are_read_only(staff_client: Client, lead: Lead, model: str) -> None:
    row = apps.get_model("crm", model)._default_manager.first()
    assert staff_client.post(page(model, "add"), {}).status_code == 403
    assert staff_client.post(page(model, "change", row.pk), {"name": "x"}).status_code == 403
    assert staff_client.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_a_lead_shows_its_custom_values_by_name(staff_client: Client, lead: Lead) -> None:
    assert "<strong>Origin</strong>: The fair" in staff_client.get(page("lead", "change", lead.pk)).content.decode()


def test_deleted_leads_show_only_when_asked_for(staff_client: Client, lead: Lead) -> None:
    Lead.objects.filter(pk=lead.pk).update(deleted_at=timezone.now())
    assert "Oakvale Mills" not in staff_client.get(page("lead", "changelist")).content.decode()
    assert "Oakvale Mills" in staff_client.get(page("lead", "changelist"), {"deleted": "yes"}).content.decode()
    assert staff_client.get(page("lead", "change", lead.pk)).status_code == 200


def test_a_key_is_shown_without_its_secret_and_can_be_revoked(staff_client: Client, membership: Membership) -> None:
    key, secret = make_api_key(membership=membership)
    for address in (page("apikey", "changelist"), page("apikey", "change", key.pk)):
        said = staff_client.get(address).content.decode()
        assert key.hint in said
        assert secret not in said
        assert ApiKey.objects.get().secret_sha256 not in said
    staff_client.post(page("apikey", "changelist"), {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.date_revoked is not None


def test_a_new_organization_gets_statuses_and_a_sender(staff_client: Client) -> None:
    staff_client.post(page("organization", "add"), {"name": "Fennmark", "currency": "EUR"})
    made = Organization.objects.get(name="Fennmark")
    assert made.currency == "EUR"
    assert LeadStatus.objects.filter(organization=made).exists()
    assert EmailAccount.objects.filter(organization=made).exists()


def test_a_user_can_be_added_changed_and_given_a_password(staff_client: Client) -> None:
    passwords = {"usable_password": "true", "password1": "first password", "password2": "first password"}
    staff_client.post(page("user", "add"), {"email": "lev@oakvale.example", **passwords})
    user = User.objects.get(email="lev@oakvale.example")
    assert user.check_password("first password")
    form = {"email": "lev@oakvale.example", "first_name": "Lev", "is_active": "on", "is_staff": "on"}
    staff_client.post(page("user", "change", user.pk), form)
    user.refresh_from_db()
    assert (user.first_name, user.is_staff) == ("Lev", True)
    changed = {"usable_password": "true", "password1": "second password", "password2": "second password"}
    staff_client.post(reverse("admin:auth_user_password_change", args=[user.pk]), changed)
    user.refresh_from_db()
    assert user.check_password("second password")


def test_a_suppressed_address_is_stored_normalised(staff_client: Client, organization: Organization) -> None:
    form = {"organization": str(organization.pk), "address": " Ida@Oakvale.example ", "reason": "manual"}
    mail = OutboxMail.objects.create(
        organization=organization, purpose="bulk", address="ida@oakvale.example", sender="x", message_id="<1@x>"
    )
    staff_client.post(page("suppression", "add"), form)
    row = Suppression.objects.get()
    assert row.address == "ida@oakvale.example"
    mail.refresh_from_db()
    assert mail.state == "withheld"
    staff_client.post(page("suppression", "add"), {**form, "reason": "bounced"})
    assert Suppression.objects.get().reason == "manual"
    staff_client.post(page("suppression", "delete", row.pk), {"post": "yes"})
    assert not Suppression.objects.exists()


def test_a_membership_can_be_added_with_extra_permissions(
    staff_client: Client, organization: Organization, user: User
) -> None:
    form = {"organization": str(organization.pk), "user": str(user.pk), "role": "user", "is_active": "on"}
    staff_client.post(page("membership", "add"), {**form, "extra_permissions": ["bulk_delete"]})
    assert "bulk_delete" in Membership.objects.get().permissions


def test_ids_are_read_in_every_spelling_and_words_are_not_ids() -> None:
    key = uuid4()
    assert [read_key(text) for text in (str(key), f"lead_{key.hex}", close_id("lead", key), "mills", "a" * 22)] == [
        key, key, key, None, None,
    ]  # fmt: skip
