"""`/lead/merge/`."""

import pytest
from django.apps import apps

from crm.auth import make_api_key
from crm.ids import close_id, parse_close_id
from crm.lead_merge import merge_leads
from crm.models import (
    ActivityType,
    Address,
    Lead,
    LeadStatusChange,
    OpportunityStatusChange,
    Organization,
    OutboxMail,
    Role,
    SequenceSubscription,
    User,
    WebhookDelivery,
)
from tests import factories
from tests.crm.api.close.conftest import Close


def lead_with(close: Close, **body: object) -> dict[str, object]:
    answer = close.post("/lead/", body)
    assert answer.status_code == 200
    return answer.json()


def merge(close: Close, source: object, destination: object) -> object:
    return close.post("/lead/merge/", {"source": source, "destination": destination})


def test_all_that_hangs_on_the_source_moves(close: Close, organization: Organization, user: User) -> None:
    oslo, bergen = {"city": "Oslo", "country": "NO"}, {"city": "Bergen", "country": "NO"}
    source = lead_with(close, name="Old", contacts=[{"name": "Lev"}, {"name": "Mia"}], addresses=[oslo, bergen])
    destination = lead_with(close, name="New", contacts=[{"name": "Ida"}], addresses=[oslo])
    close.put(f"/lead/{source['id']}/", {"status": "Trial"})
    note = close.post("/activity/note/", {"lead_id": source["id"], "note": "x"}).json()["id"]
    task = close.post("/task/", {"lead_id": source["id"], "contact_id": source["contact_ids"][0]}).json()["id"]
    old = Lead.objects.get(pk=parse_close_id("lead", source["id"]))
    deal = factories.OpportunityFactory.create(lead=old, user=user)
    answer = merge(close, source["id"], destination["id"])
    assert (answer.status_code, answer.json()) == (200, {})
    assert close.get(f"/lead/{source['id']}/").status_code == 404
    merged = close.get(f"/lead/{destination['id']}/").json()
    assert [contact["name"] for contact in merged["contacts"]] == ["Ida", "Lev", "Mia"]
    assert [address["city"] for address in merged["addresses"]] == ["Oslo", "Bergen"]
    assert [shown["id"] for shown in merged["opportunities"]] == [close_id("oppo", deal.pk)]
    assert [shown["id"] for shown in merged["tasks"]] == [task]
    assert close.get(f"/activity/note/{note}/").json()["lead_id"] == destination["id"]
    assert (merged["name"], merged["status_label"]) == ("New", "Potential")
    changes = LeadStatusChange.objects.filter(organization=organization)
    assert [close_id("lead", change.lead_id) for change in changes] == [destination["id"]]


def test_every_table_that_refers_to_a_lead_follows_it(organization: Organization, user: User) -> None:
    """Also one that is yet to be written. What a job did with the source stays with the job."""
    source, destination = (factories.LeadFactory.create(organization=organization) for _ in range(2))
    deal = factories.OpportunityFactory.create(lead=source)
    contact = factories.ContactFactory.create(lead=source)
    for type in ActivityType.values:
        factories.ActivityFactory.create(lead=source, type=type)
    factories.TaskFactory.create(lead=source)
    SequenceSubscription.objects.create(
        organization=organization,
        sequence=factories.SequenceFactory.create(organization=organization),
        lead=source,
        contact=contact,
        sender_account=factories.EmailAccountFactory.create(organization=organization),
    )
    OutboxMail.objects.create(organization=organization, purpose="single", address="ida@x.example", lead=source)
    Address.objects.create(lead=source, organization=organization, city="Oslo")
    WebhookDelivery.objects.create(
        organization=organization, webhook_id=source.pk, lead=source, event="lead.created", payload={}
    )
    LeadStatusChange.objects.create(lead=source, organization=organization, new_status=source.status)
    OpportunityStatusChange.objects.create(
        opportunity=deal, lead=source, organization=organization, new_status=deal.status
    )
    referring = [
        (model, field.name)
        for model in apps.get_app_config("crm").get_models()
        for field in model._meta.fields
        if field.related_model is Lead
    ]
    before = {model: model._default_manager.filter(**{name: source}).count() for model, name in referring}
    assert all(before.values()), "one of each is to be moved here"
    merge_leads(source_id=source.pk, destination_id=destination.pk, organization=organization, by=user)
    for model, name in referring:
        assert not model._default_manager.filter(**{name: source}).exists()
        assert model._default_manager.filter(**{name: destination}).count() == before[model]


def test_missing_values_are_filled_and_others_stay(close: Close, organization: Organization) -> None:
    keys = [
        f"custom.{close_id('cf', factories.CustomFieldFactory.create(organization=organization).pk)}" for _ in range(3)
    ]
    source = lead_with(close, name="Old", url="https://old.example", **{keys[0]: "old", keys[1]: "old"})
    destination = lead_with(close, name="New", description="", **{keys[1]: "new", keys[2]: "new"})
    merge(close, source["id"], destination["id"])
    merged = close.get(f"/lead/{destination['id']}/").json()
    assert [merged[key] for key in keys] == ["old", "new", "new"]
    assert (merged["name"], merged["url"]) == ("New", "https://old.example")


def test_a_lead_that_is_not_there_is_refused(close: Close, stranger: Close) -> None:
    mine, theirs, deleted = lead_with(close)["id"], lead_with(stranger)["id"], lead_with(close)["id"]
    close.delete(f"/lead/{deleted}/")
    gone = "Object does not exist."
    for other in (theirs, deleted, "lead_x", 3):
        assert merge(close, other, mine).json()["field-errors"] == {"source": gone}
        assert merge(close, mine, other).json()["field-errors"] == {"destination": gone}
    required = "This field is required."
    assert close.post("/lead/merge/").json()["field-errors"] == {"source": required, "destination": required}
    same = merge(close, mine, mine)
    assert (same.status_code, list(same.json()["field-errors"])) == (400, ["destination"])
    assert close.get(f"/lead/{mine}/").status_code == 200


@pytest.mark.django_db
def test_who_may_not_delete_leads_may_not_merge_them(organization: Organization) -> None:
    factories.LeadStatusFactory.create(organization=organization)
    membership = factories.MembershipFactory.create(organization=organization, role=Role.RESTRICTED_USER)
    close = Close(make_api_key(membership=membership)[1])
    source, destination = lead_with(close)["id"], lead_with(close)["id"]
    assert merge(close, source, destination).status_code == 403


def test_what_other_dialects_know_of_a_lead_is_filled_too(organization: Organization, user: User) -> None:
    columns = {"email": "mill@oakvale.example", "score": 7, "qualified": True, "owner_id": user.pk, "external_id": "A7"}
    source = factories.LeadFactory.create(organization=organization, **columns)
    destination = factories.LeadFactory.create(organization=organization, qualified=False, score=0, email="")
    merge_leads(source_id=source.pk, destination_id=destination.pk, organization=organization, by=user)
    destination.refresh_from_db()
    assert {name: getattr(destination, name) for name in columns} == {**columns, "score": 0, "qualified": False}
