"""Listing leads, and making one or merging into one."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import (
    Activity,
    Contact,
    IdempotentAnswer,
    Lead,
    LeadStatus,
    LeadWebhook,
    Membership,
    Organization,
    WebhookDelivery,
)
from tests import factories
from tests.gomega import Gomega, client_of, message_of

pytestmark = pytest.mark.django_db
Person = Callable[..., Lead]


def found(gomega: Gomega, **query: object) -> list[str]:
    """The names that the list gives."""
    answer = gomega.get("/leads", **query)
    assert answer.status_code == 200, answer.content
    return [lead["contact_name"] for lead in answer.json()["leads"]]


def at(day: int) -> datetime:
    return datetime(2031, 3, day, tzinfo=UTC)


# --- one lead ---------------------------------------------------------------------------------------------------------


def test_a_lead_is_shown_as_documented(gomega: Gomega, person: Person, membership: Membership) -> None:
    lead = person("佐藤 美香", "mika@oakvale.example", "+819012345678", owner=membership.user, score=7, qualified=True)
    Activity.objects.create(
        organization=lead.organization, lead=lead, type="note", activity_at=datetime(2031, 3, 16, tzinfo=UTC)
    )
    [shown] = gomega.get("/leads").json()["leads"]
    assert shown == {
        "id": str(lead.pk),
        "customer_id": gomega.customer,
        "contact_name": "佐藤 美香",
        "contact_phone": "+819012345678",
        "contact_email": "mika@oakvale.example",
        "source_platform": "direct",
        "source_type": "manual",
        "status": "active",
        "score": 7,
        "qualified": True,
        "current_stage": {"id": str(lead.status_id), "slug": "new", "name": "New", "color": None},
        "owner": {"id": str(membership.user_id), "name": "Jo Field", "role_name": "admin"},
        "last_interaction_at": "2031-03-16T00:00:00.000Z",
        "interaction_count": 1,
        "created_at": shown["created_at"],
        "updated_at": shown["updated_at"],
    }
    assert datetime.fromisoformat(shown["created_at"]).microsecond % 1000 == 0
    assert shown["created_at"].endswith("Z")


def test_custom_fields_are_shown_by_slug_when_asked_for(
    gomega: Gomega, person: Person, organization: Organization
) -> None:
    fields = {
        slug: factories.CustomFieldFactory.create(organization=organization, slug=slug, type=kind, **more)
        for slug, kind, more in (
            ("size", "number", {}),
            ("origin", "text", {}),
            ("tags", "choices", {"choices": ["a", "b"], "accepts_multiple_values": True}),
        )
    }
    values = {fields["size"].key: 2.5, fields["tags"].key: ["a", "b"]}
    person("Ida", custom=values, lead_line="seller")
    [shown] = gomega.get("/leads", include_custom_fields="true").json()["leads"]
    assert shown["custom_fields"] == {"size": 2.5, "origin": None, "tags": "a, b", "lead_line": "seller"}
    assert "custom_fields" not in gomega.get("/leads", include_custom_fields="false").json()["leads"][0]


def test_a_lead_without_a_person_shows_what_is_its_own(gomega: Gomega, stages: list[LeadStatus]) -> None:
    factories.LeadFactory.create(
        organization=stages[0].organization, status=stages[0], name="Oakvale Mills", email="mill@oakvale.example"
    )
    [shown] = gomega.get("/leads").json()["leads"]
    assert (shown["contact_name"], shown["contact_email"]) == ("Oakvale Mills", "mill@oakvale.example")


def test_a_page_costs_the_same_number_of_queries_however_long_it_is(gomega: Gomega, person: Person) -> None:
    gomega.get("/leads")  # notes the first use of the key
    counts = []
    for n in (1, 20):
        for i in range(n):
            person(f"Ida {n} {i}", f"ida{n}-{i}@oakvale.example")
        with CaptureQueriesContext(connection) as queries:
            gomega.get("/leads", limit=100)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


# --- lists ------------------------------------------------------------------------------------------------------------


def test_filters_narrow_the_list(gomega: Gomega, person: Person, stages: list[LeadStatus]) -> None:
    person("Ada", lifecycle="won")
    person("Bea", lead_line="buyer")
    person("Cleo", status=stages[1])
    assert found(gomega, status="won") == ["Ada"]
    assert found(gomega, lead_line="buyer") == ["Bea"]
    assert found(gomega, stageId=str(stages[1].pk)) == ["Cleo"]
    assert found(gomega, stageId=str(stages[1].pk), status="won") == []
    assert gomega.get("/leads", status="won", limit=1).json()["total"] == 1


def test_moments_are_inclusive(gomega: Gomega, person: Person) -> None:
    for day in (1, 2, 3):
        person(f"Day {day}", date_created=at(day), date_updated=at(10 - day))
    assert found(gomega, created_since="2031-03-02T00:00:00Z") == ["Day 3", "Day 2"]
    assert found(gomega, created_since="2031-03-02T09:00:00+09:00", sort_by="created_at") == ["Day 2", "Day 3"]
    assert found(gomega, updated_since="2031-03-08T00:00:00.000") == ["Day 2", "Day 1"]
    assert found(gomega, updated_since="2031-03-09") == ["Day 1"]


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("ida", ["Ida Moss"]),
        ("MOSS", ["Ida Moss"]),
        ("@oakvale", ["Ida Moss", "佐藤 美香"]),
        ("美香", ["佐藤 美香"]),
        ("090-1234-5678", ["佐藤 美香"]),
        ("(090) 1234 5678", ["佐藤 美香"]),
        ("０９０１２３４５６７８", ["佐藤 美香"]),
        ("+81 90 1234 5678", ["佐藤 美香"]),
        ("1234", ["佐藤 美香"]),
        ("090 1234", ["佐藤 美香"]),
        ("555.0100", ["Ida Moss"]),
        ("100%", []),
        ("12", []),
        ("nobody", []),
    ],
)
def test_a_search_looks_into_names_addresses_and_phones(
    gomega: Gomega, person: Person, search: str, names: list[str]
) -> None:
    person("Ida Moss", "ida@oakvale.example", "+15555550100")
    person("佐藤 美香", "mika@oakvale.example", "+819012345678")
    assert sorted(found(gomega, search=search)) == sorted(names)


@pytest.mark.parametrize("sort_by", ["created_at", "updated_at"])
@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
def test_a_walk_by_cursor_meets_each_lead_once_also_among_equals(
    gomega: Gomega, person: Person, sort_by: str, sort_dir: str
) -> None:
    for i in range(7):
        person(f"Lead {i}", date_created=at(1 + i // 3), date_updated=at(1 + i // 3))
    met, cursor = [], None
    while True:
        query = {"sort_by": sort_by, "sort_dir": sort_dir, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = gomega.get("/leads", **query).json()
        assert page["total"] == 7
        met += [lead["contact_name"] for lead in page["leads"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    expected = [f"Lead {i}" for i in range(7)]
    assert met == (expected if sort_dir == "asc" else expected[::-1])


def test_a_poll_by_update_finds_what_was_changed_since(gomega: Gomega, person: Person) -> None:
    first = person("First", date_updated=at(1))
    person("Second", date_updated=at(2))
    cursor = gomega.get("/leads", limit=1).json()["next_cursor"]
    Lead.objects.filter(pk=first.pk).update(date_updated=at(3))
    assert found(gomega, cursor=cursor) == ["Second", "First"]


def test_the_last_interaction_sorts_with_an_offset(gomega: Gomega, person: Person) -> None:
    for day, name in ((2, "Ada"), (1, "Bea")):
        lead = person(name)
        Activity.objects.create(organization=lead.organization, lead=lead, type="call", activity_at=at(day))
    person("Cleo")
    assert found(gomega, sort_by="last_interaction_at") == ["Bea", "Ada", "Cleo"]
    assert found(gomega, sort_by="last_interaction_at", sort_dir="desc") == ["Ada", "Bea", "Cleo"]
    page = gomega.get("/leads", sort_by="last_interaction_at", offset=1, limit=1).json()
    assert ([lead["contact_name"] for lead in page["leads"]], page["offset"], page["next_cursor"]) == (["Ada"], 1, None)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"status": "lost and found"}, "status"),
        ({"stageId": "new"}, "stageId"),
        ({"stageId": str(uuid4())}, "stageId"),
        ({"created_since": "yesterday"}, "created_since"),
        ({"updated_since": "2031-02-30T00:00:00Z"}, "updated_since"),
        ({"sort_by": "name"}, "sort_by"),
        ({"sort_dir": "up"}, "sort_dir"),
        ({"lead_line": "renter"}, "lead_line"),
        ({"include_custom_fields": "yes"}, "include_custom_fields"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": "9" * 30}, "offset"),
        ({"cursor": "x"}, "cursor"),
        ({"search": "x" * 201}, "search"),
        ({"search": "a\0"}, "search"),
    ],
)
def test_a_parameter_that_is_not_understood_is_a_400_that_names_it(
    gomega: Gomega, query: dict[str, object], named: str
) -> None:
    answer = gomega.get("/leads", **query)
    assert answer.status_code == 400
    assert message_of(answer).startswith(named)


def test_a_cursor_belongs_to_its_sort_and_its_customer(gomega: Gomega, stranger: Gomega, person: Person) -> None:
    person("Ada")
    person("Bea")
    cursor = gomega.get("/leads", limit=1).json()["next_cursor"]
    for query in ({"sort_dir": "desc"}, {"sort_by": "created_at"}, {"sort_by": "last_interaction_at"}, {"offset": 1}):
        assert gomega.get("/leads", cursor=cursor, **query).status_code == 400
    assert stranger.get("/leads", cursor=cursor).status_code == 400
    assert gomega.get("/leads", cursor=cursor[:-1]).status_code == 400


def test_deleted_leads_and_those_of_others_are_not_seen(gomega: Gomega, stranger: Gomega, person: Person) -> None:
    person("Ada", deleted_at=timezone.now())
    person("Bea", lifecycle="archived")
    assert found(gomega) == ["Bea"]
    assert stranger.get("/leads").json()["total"] == 0
    stage = LeadStatus.objects.get(slug="new", organization=gomega.customer)
    assert stranger.get("/leads", stageId=str(stage.pk)).status_code == 400


# --- making one -------------------------------------------------------------------------------------------------------


def test_a_lead_is_made_with_what_is_given_and_the_defaults(gomega: Gomega, organization: Organization) -> None:
    answer = gomega.post(
        "/leads", {"contact_name": " Ida Moss ", "contact_phone": "+1 (555) 555-0100", "contact_email": "Ida@x.example"}
    )
    assert answer.status_code == 201
    lead = answer.json()["lead"]
    assert set(answer.json()) == {"lead"}
    assert (lead["contact_name"], lead["contact_phone"], lead["contact_email"]) == (
        "Ida Moss", "+15555550100", "Ida@x.example",
    )  # fmt: skip
    assert (lead["source_platform"], lead["source_type"], lead["status"]) == ("direct", "manual", "active")
    assert lead["current_stage"]["slug"] == "new"
    assert lead["owner"] is None
    made = Lead.objects.get()
    assert (made.name, made.contacts.get().name) == ("Ida Moss", "Ida Moss")


def test_everything_that_can_be_said_of_a_lead_is_kept(gomega: Gomega, organization: Organization) -> None:
    field = factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    body = {
        "contact_name": "Ida", "source_platform": "hubspot", "source_type": "chat", "stage_slug": "negotiation",
        "custom_fields": {"size": 3, "fav_colour": "green", "lead_line": "buyer"},
    }  # fmt: skip
    lead = gomega.post("/leads", body).json()["lead"]
    assert (lead["source_platform"], lead["source_type"]) == ("hubspot", "chat")
    assert lead["current_stage"]["slug"] == "negotiation"
    made = Lead.objects.get()
    assert (made.custom, made.lead_line) == ({field.key: 3}, "buyer")


def test_a_lead_with_that_address_is_merged_into(gomega: Gomega, person: Person, stages: list[LeadStatus]) -> None:
    old = person("Ida", "ida@oakvale.example", source_platform="meta_ads", lifecycle="archived")
    answer = gomega.post(
        "/leads",
        {"contact_email": " IDA@Oakvale.example", "contact_name": "Ida Moss", "contact_phone": None,
         "source_platform": "zoho", "stage_slug": "customer"},
    )  # fmt: skip
    assert answer.status_code == 201
    lead = answer.json()["lead"]
    assert lead["id"] == str(old.pk)
    assert (lead["contact_name"], lead["contact_email"]) == ("Ida Moss", "ida@oakvale.example")
    assert (lead["source_platform"], lead["status"], lead["current_stage"]["slug"]) == (
        "meta_ads", "archived", "customer",
    )  # fmt: skip
    assert lead["updated_at"] > lead["created_at"]
    assert Contact.objects.count() == Lead.objects.count() == 1


def test_the_address_counts_more_than_the_phone_and_the_oldest_lead_most(gomega: Gomega, person: Person) -> None:
    by_phone = person("Phone", phone="+819012345678", date_created=at(1))
    person("Young", "ida@oakvale.example", date_created=at(3))
    oldest = person("Old", "ida@oakvale.example", date_created=at(2))
    both = gomega.post("/leads", {"contact_email": "ida@oakvale.example", "contact_phone": "090-1234-5678"}).json()
    assert both["lead"]["id"] == str(oldest.pk)
    other = gomega.post("/leads", {"contact_email": "new@oakvale.example", "contact_phone": "9012345678"}).json()
    assert other["lead"]["id"] in (str(by_phone.pk), str(oldest.pk))


def test_a_short_number_and_a_deleted_lead_match_nothing(gomega: Gomega, person: Person) -> None:
    person("Short", phone="123456789")
    person("Gone", "ida@oakvale.example", deleted_at=timezone.now())
    gomega.post("/leads", {"contact_phone": "123456789"})
    gomega.post("/leads", {"contact_email": "ida@oakvale.example"})
    assert Lead.objects.count() == 3


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contact_name"),
        ({"contact_name": "  ", "contact_email": ""}, "contact_name"),
        ({"source_type": "form"}, "contact_name"),
        ({"contact_name": 7}, "contact_name"),
        ({"contact_name": "x" * 1001}, "contact_name"),
        ({"contact_email": "ida at oakvale"}, "contact_email"),
        ({"contact_email": ["ida@oakvale.example"]}, "contact_email"),
        ({"contact_email": "i" * 250 + "@x.example"}, "contact_email"),
        ({"contact_phone": 15555550100}, "contact_phone"),
        ({"contact_name": "Ida", "source_platform": "carrier pigeon"}, "source_platform"),
        ({"contact_name": "Ida", "source_type": ["form"]}, "source_type"),
        ({"contact_name": "Ida", "stage_slug": "negotiaton"}, "stage_slug: no such stage: negotiaton"),
        ({"contact_name": "Ida", "stage_slug": {}}, "stage_slug"),
        ({"contact_name": "Ida", "custom_fields": []}, "custom_fields"),
        ({"contact_name": "Ida", "custom_fields": {"size": "large"}}, "custom_fields.size"),
        ({"contact_name": "Ida", "custom_fields": {"size": True}}, "custom_fields.size"),
        ({"contact_name": "Ida", "custom_fields": {"size": 10**40}}, "custom_fields.size"),
        ({"contact_name": "Ida", "custom_fields": {"lead_line": "renter"}}, "custom_fields.lead_line"),
    ],
)
def test_what_cannot_be_stored_is_a_400_that_names_it_and_nothing_is_made(
    gomega: Gomega, organization: Organization, body: dict[str, object], named: str
) -> None:
    factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    answer = gomega.post("/leads", body)
    assert answer.status_code == 400
    assert message_of(answer).startswith(named)
    assert not Lead.objects.exists()


def test_stages_and_fields_of_others_are_unknown(gomega: Gomega) -> None:
    other = factories.OrganizationFactory.create()
    factories.LeadStatusFactory.create(organization=other, slug="theirs")
    factories.CustomFieldFactory.create(organization=other, slug="their_field")
    assert gomega.post("/leads", {"contact_name": "Ida", "stage_slug": "theirs"}).status_code == 400
    assert gomega.post("/leads", {"contact_name": "Ida", "custom_fields": {"their_field": "x"}}).status_code == 201
    assert Lead.objects.get().custom == {}


def test_a_reference_is_given_and_shown_as_a_uuid(
    gomega: Gomega, organization: Organization, membership: Membership
) -> None:
    field = factories.CustomFieldFactory.create(organization=organization, slug="agent", type="user")
    body = {"contact_name": "Ida", "custom_fields": {"agent": str(membership.user_id)}}
    assert gomega.post("/leads", body).status_code == 201
    assert Lead.objects.get().custom == {field.key: str(membership.user_id)}
    [shown] = gomega.get("/leads", include_custom_fields="true").json()["leads"]
    assert shown["custom_fields"]["agent"] == str(membership.user_id)
    assert gomega.post("/leads", {**body, "custom_fields": {"agent": str(uuid4())}}).status_code == 400


def test_a_lead_that_is_really_made_is_told_to_webhooks_and_a_merge_is_not(
    gomega: Gomega, organization: Organization
) -> None:
    LeadWebhook.objects.create(
        organization=organization, url="https://hooks.example/", event_types=["lead.created"], secret=""
    )
    for _ in range(2):
        gomega.post("/leads", {"contact_name": "Ida", "contact_email": "ida@oakvale.example"})
    [told] = WebhookDelivery.objects.all()
    assert told.payload["lead"]["contact_email"] == "ida@oakvale.example"
    assert told.lead_id == Lead.objects.get().pk


# --- idempotency ------------------------------------------------------------------------------------------------------


def test_the_same_call_under_one_key_is_carried_out_once(gomega: Gomega) -> None:
    body = {"contact_name": "Ida"}
    first = gomega.post("/leads", body, **{"Idempotency-Key": "k1"})
    again = gomega.post("/leads", '{ "contact_name" : "Ida" }', **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (again["Idempotent-Replayed"], "Idempotent-Replayed" in first) == ("true", False)
    assert Lead.objects.count() == 1
    other = gomega.post("/leads", {"contact_name": "Other"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["error"]["type"]) == (409, "api_error")


def test_a_key_belongs_to_the_customer_and_the_endpoint(
    gomega: Gomega, stranger: Gomega, membership: Membership
) -> None:
    headers = {"Idempotency-Key": "k1"}
    gomega.post("/leads", {"contact_name": "Ida"}, **headers)
    assert "Idempotent-Replayed" not in stranger.post("/leads", {"contact_name": "Ida"}, **headers)
    assert "Idempotent-Replayed" not in gomega.post("/leads/bulk", {"leads": [{"contact_name": "Ida"}]}, **headers)
    another_key = client_of(membership).post("/leads", {"contact_name": "Ida"}, **headers)
    assert another_key["Idempotent-Replayed"] == "true"


def test_what_was_refused_may_be_sent_again_under_its_key(gomega: Gomega) -> None:
    assert gomega.post("/leads", {}, **{"Idempotency-Key": "k1"}).status_code == 400
    assert gomega.post("/leads", {"contact_name": "Ida"}, **{"Idempotency-Key": "k1"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ"])
def test_a_key_that_cannot_be_kept_is_a_400(gomega: Gomega, key: str) -> None:
    assert gomega.post("/leads", {"contact_name": "Ida"}, **{"Idempotency-Key": key}).status_code == 400
    assert not IdempotentAnswer.objects.exists()


# --- at once ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_with_the_same_new_address_make_one_lead(gomega: Gomega) -> None:
    answers: list[int] = []
    barrier = threading.Barrier(6)

    def call(number: int) -> None:
        own = Gomega(gomega.secret, gomega.customer)
        body = {"contact_email": "ida@oakvale.example", "contact_name": f"Ida {number}"}
        barrier.wait()
        try:
            if number % 2:
                answers.append(own.post("/leads", body).status_code)
            else:
                answers.append(own.post("/leads/bulk", {"leads": [body]}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200, 200, 200, 201, 201, 201]
    assert Lead.objects.count() == Contact.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_of_two_customers_do_not_wait_for_each_other_in_what_they_make(
    gomega: Gomega, stranger: Gomega
) -> None:
    def call(client: Gomega) -> None:
        try:
            Gomega(client.secret, client.customer).post("/leads", {"contact_email": "ida@oakvale.example"})
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=(client,)) for client in (gomega, stranger)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(str(lead.organization_id) for lead in Lead.objects.all()) == sorted(
        [gomega.customer, stranger.customer]
    )


def test_an_unescaped_plus_in_an_offset_is_read_as_one(gomega: Gomega, person: Person) -> None:
    person("Ada", date_updated=at(2))
    answer = gomega.client.get(
        "/api/agents/crm/leads?updated_since=2031-03-02T00:00:00+00:00",
        headers={"Authorization": f"Bearer {gomega.secret}", "x-customer-id": gomega.customer},
    )
    assert answer.json()["total"] == 1
