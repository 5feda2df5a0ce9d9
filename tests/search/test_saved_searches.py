"""`/saved_search/`: Smart Views."""

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from crm.auth import make_api_key
from crm.ids import close_id, parse_close_id
from crm.models import Group, Membership, Organization, Role, User
from search.models import SavedSearch
from tests import contract, factories
from tests.conftest import client_with
from tests.search.helpers import EXISTS, MATCH_ALL, Json, all_of, no, of_type, regular, related, where

URL = "/api/v1/saved_search/"
LEADS = all_of(of_type("lead"), where(regular("lead", "name"), EXISTS))
MINE = where(regular("lead", "created_by"), {"type": "current_user"})


def wrapped(query: object, **more: object) -> Json:
    return {"query": query, "results_limit": None, "sort": [], **more}


def address(view: Json) -> str:
    return f"{URL}{view['id']}/"


def made(api: APIClient, query: object = LEADS, **properties: object) -> Json:
    answer = api.post(URL, {"name": "Named", "s_query": wrapped(query), **properties})
    assert answer.status_code == 200, answer.json()
    contract.check("/saved_search/", "post", 200, answer.json())
    return answer.json()


def refused(api: APIClient, body: object, method: str = "post", url: str = URL) -> dict[str, object]:
    answer = getattr(api, method)(url, body)
    assert answer.status_code == 400, answer.json()
    return answer.json()["field-errors"]


def names(api: APIClient, **query: str) -> list[str]:
    answer = api.get(URL, query)
    assert answer.status_code == 200
    contract.check("/saved_search/", "get", 200, answer.json())
    return [view["name"] for view in answer.json()["data"]]


@pytest.fixture
def colleague(organization: Organization) -> Membership:
    return factories.MembershipFactory.create(organization=organization, role=Role.USER)


@pytest.fixture
def colleague_api(colleague: Membership) -> APIClient:
    return client_with(make_api_key(membership=colleague)[1])


def test_a_view_is_made_fetched_changed_and_deleted(api: APIClient, user: User, organization: Organization) -> None:
    view = made(api, name="Quiet trials", is_shared=True)
    assert view == {
        "id": view["id"],
        "name": "Quiet trials",
        "type": "lead",
        "s_query": wrapped(LEADS),
        "query": None,
        "description": None,
        "is_shared": True,
        "is_user_dependent": False,
        "shared_with": [],
        "selected_fields": None,
        "user_id": close_id("user", user.pk),
        "organization_id": close_id("orga", organization.pk),
        "date_created": view["date_created"],
        "date_updated": view["date_updated"],
    }
    assert api.get(address(view)).json() == view
    changed = api.put(address(view), {"description": "Few", "selected_fields": [{"field_id": "name"}]}).json()
    updated = changed["date_updated"]
    assert updated > view["date_updated"]
    fields = [{"field_id": "name"}]
    assert changed == {**view, "description": "Few", "selected_fields": fields, "date_updated": updated}
    deleted = api.delete(address(view))
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert api.get(address(view)).status_code == 404


def test_what_was_fetched_can_be_sent_back(api: APIClient) -> None:
    view = made(api, all_of(of_type("lead"), MINE), description="x")
    sent_back = api.put(address(view), view).json()
    assert {**sent_back, "date_updated": view["date_updated"]} == view


def test_a_bare_node_is_wrapped(api: APIClient) -> None:
    assert api.post(URL, {"name": "All", "s_query": LEADS}).json()["s_query"] == wrapped(LEADS)


def test_limit_and_sort_are_kept(api: APIClient) -> None:
    query = wrapped(LEADS, results_limit=5, sort=[{"direction": "asc", "field": regular("lead", "name")}])
    assert api.post(URL, {"name": "Five", "s_query": query}).json()["s_query"] == query


def test_leads_are_listed_unless_other_types_are_asked_for(api: APIClient) -> None:
    made(api, name="b")
    made(api, name="a")
    made(api, of_type("contact"), name="people", type="contact")
    assert names(api) == ["a", "b"]
    assert names(api, type="contact") == ["people"]
    assert names(api, type__in="lead,contact") == ["a", "b", "people"]
    assert names(api, type="contact", type__in="lead") == []
    assert names(api, type="form_submission") == []
    assert names(api, type__in="call,note") == []
    assert list(api.get(URL, {"type": "leads"}).json()["field-errors"]) == ["type"]
    assert list(api.get(URL, {"type__in": "lead,x"}).json()["field-errors"]) == ["type__in"]
    page = api.get(URL, {"_limit": 1, "_fields": "name"}).json()
    assert page == {"data": [{"name": "a"}], "has_more": True}


@pytest.mark.parametrize(
    ("query", "is_user_dependent"),
    [
        (LEADS, False),
        (all_of(of_type("lead"), no(MINE)), True),
        (
            all_of(
                of_type("lead"),
                related(
                    "lead",
                    "contact",
                    where(
                        regular("contact", "created_by"),
                        {"type": "reference", "reference_type": "user_or_group", "object_ids": ["CURRENT_USER"]},
                    ),
                ),
            ),
            True,
        ),
        (all_of(of_type("lead"), {"type": "text", "mode": "full_words", "value": "CURRENT_USER"}), False),
    ],
)
def test_a_view_says_whether_it_means_something_else_for_each_user(
    api: APIClient, query: Json, is_user_dependent: bool
) -> None:
    view = made(api, query, is_user_dependent=not is_user_dependent)
    assert view["is_user_dependent"] is is_user_dependent
    changed = api.put(address(view), {"s_query": wrapped(LEADS)}).json()
    assert changed["is_user_dependent"] is False


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["name", "s_query"]),
        ({"name": " ", "s_query": 3, "is_shared": "yes"}, ["is_shared", "name", "s_query"]),
        ({"description": "x" * 301, "selected_fields": [3]}, ["description", "name", "s_query", "selected_fields"]),
        ({"name": "x", "type": "leads", "s_query": {}}, ["type"]),
        ({"name": "x", "type": None, "s_query": {}}, ["type"]),
        ({"name": "x", "type": "custom_activity", "s_query": wrapped(LEADS)}, ["type"]),
        ({"name": "x", "type": "contact", "s_query": wrapped(LEADS)}, ["s_query.query"]),
        ({"name": "x", "s_query": wrapped(MATCH_ALL)}, ["s_query.query"]),
        ({"name": "x", "s_query": wrapped(no(of_type("lead")))}, ["s_query.query"]),
        ({"name": "x", "s_query": wrapped({**LEADS, "x": 1})}, ["s_query.query.x"]),
        ({"name": "x", "s_query": wrapped(LEADS, results_limit=-1)}, ["s_query.results_limit"]),
        ({"name": "x", "s_query": wrapped(LEADS, limit=1)}, ["s_query.limit"]),
        ({"name": "x", "s_query": wrapped(LEADS), "sharing_settings": {"whole_org": True}}, ["sharing_settings"]),
        ({"name": "x", "s_query": wrapped(LEADS), "shared_with": ["user_x"]}, ["shared_with"]),
        ({"name": "x", "s_query": wrapped(LEADS), "shared_with": "all"}, ["shared_with"]),
    ],
)
def test_all_that_is_wrong_is_told(api: APIClient, body: dict[str, object], wrong: list[str]) -> None:
    assert sorted(refused(api, body)) == wrong
    assert not SavedSearch.objects.exists()


def test_a_text_query_is_kept_with_its_translation(api: APIClient) -> None:
    view = api.post(URL, {"name": "Named", "query": 'name:"Oakvale Mills"'}).json()
    assert view["query"] == 'name:"Oakvale Mills"'
    assert view["s_query"]["query"]["queries"][0] == of_type("lead")
    sent_back = api.put(address(view), view).json()
    assert (sent_back["query"], sent_back["s_query"]) == (view["query"], view["s_query"])
    replaced = api.put(address(view), {"s_query": wrapped(LEADS)}).json()
    assert (replaced["query"], replaced["s_query"]) == (None, wrapped(LEADS))
    for query in ('name:"', "slice:1/2", 3):
        assert list(refused(api, {"name": "x", "query": query})) == ["query"]
    assert list(refused(api, {"name": "x", "query": "mills", "s_query": wrapped(LEADS)})) == ["query"]


def test_a_text_is_translated_anew_when_the_type_changes(api: APIClient) -> None:
    view = api.post(URL, {"name": "Named", "query": "name:mills"}).json()
    changed = api.put(address(view), {**view, "type": "contact"}).json()
    assert (changed["type"], changed["query"]) == ("contact", "name:mills")
    assert changed["s_query"]["query"]["queries"][0] == of_type("contact")


def test_a_view_that_came_as_a_text_alone_gets_its_translation(
    api: APIClient, organization: Organization, user: User
) -> None:
    columns = {"organization": organization, "user": user, "name": "Old"}
    stored = SavedSearch.objects.create(query="created_by:me", s_query=None, **columns)
    view = api.get(f"{URL}{close_id('save', stored.pk)}/").json()
    assert (view["query"], view["s_query"], view["is_user_dependent"]) == ("created_by:me", None, False)
    outer = made(api, all_of(of_type("lead"), {"type": "saved_search", "saved_search_id": view["id"]}))
    assert outer["is_user_dependent"] is True
    saved = api.put(address(view), view).json()
    assert saved["s_query"]["query"]["queries"][0] == of_type("lead")
    assert saved["is_user_dependent"] is True


def test_a_view_may_refer_to_others_and_not_to_itself(api: APIClient) -> None:
    inner = made(api, all_of(of_type("lead"), MINE))
    outer = made(api, all_of(of_type("lead"), {"type": "saved_search", "saved_search_id": inner["id"]}))
    assert outer["is_user_dependent"] is True
    circle = wrapped(all_of(of_type("lead"), {"type": "saved_search", "saved_search_id": outer["id"]}))
    assert refused(api, {"s_query": circle}, "put", address(inner))
    unknown = wrapped(all_of(of_type("lead"), {"type": "saved_search", "saved_search_id": "save_x"}))
    path = "s_query.query.queries[1].saved_search_id"
    assert refused(api, {"name": "x", "s_query": unknown}) == {path: "Object does not exist."}


def test_a_view_whose_inner_view_was_deleted_is_refused_where_it_is_used(api: APIClient) -> None:
    inner = made(api)
    outer = made(api, all_of(of_type("lead"), {"type": "saved_search", "saved_search_id": inner["id"]}))
    search = {"query": {"type": "saved_search", "saved_search_id": outer["id"]}}
    assert api.post("/api/v1/data/search/", search).status_code == 200
    assert api.delete(address(inner)).status_code == 200
    assert refused(api, search, url="/api/v1/data/search/")


def test_type_and_query_agree_after_a_change_too(api: APIClient) -> None:
    view = made(api)
    assert list(refused(api, {"type": "contact"}, "put", address(view))) == ["s_query.query"]
    both = {"type": "contact", "s_query": wrapped(of_type("contact"))}
    assert api.put(address(view), both).json()["type"] == "contact"


def test_own_and_shared_views_are_seen(api: APIClient, colleague: Membership, colleague_api: APIClient) -> None:
    made(api, name="mine")
    made(api, name="ours", is_shared=True)
    made(api, name="yours too", shared_with=[close_id("user", colleague.user_id)])
    assert names(api) == ["mine", "ours", "yours too"]
    assert names(colleague_api) == ["ours", "yours too"]


def test_a_view_is_shared_with_a_group(
    api: APIClient, organization: Organization, colleague: Membership, colleague_api: APIClient
) -> None:
    group = Group.objects.create(organization=organization, name="Field sales")
    view = made(api, shared_with=[close_id("group", group.pk)])
    assert view["shared_with"] == [close_id("group", group.pk)]
    assert names(colleague_api) == []
    group.members.add(colleague.user)
    assert names(colleague_api) == ["Named"]
    group.delete()
    assert names(colleague_api) == []
    assert api.get(address(view)).json()["shared_with"] == []


def test_a_view_is_shared_with_members_only(api: APIClient) -> None:
    foreign = close_id("user", factories.MembershipFactory.create().user_id)
    body = {"name": "x", "s_query": wrapped(LEADS), "shared_with": [foreign]}
    assert refused(api, body) == {"shared_with": "Object does not exist."}


def test_owner_and_admins_change_a_view_and_nobody_else(api: APIClient, colleague_api: APIClient) -> None:
    of_admin, of_colleague = made(api, is_shared=True), made(colleague_api, is_shared=True)
    assert colleague_api.put(address(of_admin), {"name": "x"}).status_code == 403
    assert colleague_api.delete(address(of_admin)).status_code == 403
    assert api.put(address(of_colleague), {"name": "x"}).json()["user_id"] == of_colleague["user_id"]
    assert api.delete(address(of_colleague)).status_code == 200


def test_views_that_one_does_not_see_do_not_exist(api: APIClient, colleague_api: APIClient) -> None:
    foreign = factories.MembershipFactory.create()
    stranger = client_with(make_api_key(membership=foreign)[1])
    hidden, shared = made(colleague_api), made(api, is_shared=True)
    for client, url in ((api, address(hidden)), (stranger, address(shared)), (api, f"{URL}save_x/")):
        answers = client.get(url), client.put(url, {"name": 3}), client.delete(url)
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert names(stranger) == []


def test_the_admin_shows_views_and_changes_none(api: APIClient, client: Client) -> None:
    key = parse_close_id("save", made(api)["id"])
    client.force_login(User.objects.create_superuser("ada@oakvale.example", "not used"))
    assert "Named" in client.get(reverse("admin:search_savedsearch_changelist"), {"q": "named"}).content.decode()
    page = reverse("admin:search_savedsearch_change", args=[key])
    assert client.get(page).status_code == 200
    assert client.post(page, {"name": "x"}).status_code == 403
