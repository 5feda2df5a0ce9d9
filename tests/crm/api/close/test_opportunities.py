"""`/opportunity/`, its sums, its custom fields, and opportunities in the answers of leads."""

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from crm.ids import close_id, parse_close_id
from crm.models import Lead, Membership, Opportunity, OpportunityStatus, Organization, Pipeline, User
from crm.setup import ensure_pipeline
from tests import factories
from tests.crm.api.close.conftest import Close

pytestmark = pytest.mark.usefixtures("sales")


@pytest.fixture
def sales(organization: Organization) -> Pipeline:
    ensure_pipeline(organization)
    return Pipeline.objects.get(organization=organization)


@pytest.fixture
def stage(sales: Pipeline) -> dict[str, str]:
    return {status.label: close_id("stat", status.pk) for status in OpportunityStatus.objects.all()}


@pytest.fixture
def lead_id(close: Close) -> str:
    return close.post("/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida"}]}).json()["id"]


def problems(answer: object) -> dict[str, object]:
    assert answer.status_code == 400
    return answer.json()["field-errors"]


def ids(answer: object) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["data"]]


def test_the_documented_body_makes_an_opportunity(
    close: Close, lead_id: str, stage: dict[str, str], sales: Pipeline, organization: Organization, user: User
) -> None:
    body = {
        "lead_id": lead_id,
        "status_id": stage["Proposal"],
        "value": 250000,
        "value_period": "annual",
        "confidence": 40,
    }
    answer = close.post("/opportunity/", body)
    assert answer.status_code == 200
    made = answer.json()
    me = {"created_by": close_id("user", user.pk), "updated_by": close_id("user", user.pk)}
    assert made == {
        **body,
        **me,
        "id": made["id"],
        "organization_id": close_id("orga", organization.pk),
        "lead_name": "Oakvale",
        "contact_id": None,
        "contact_name": None,
        "user_id": me["created_by"],
        "user_name": "Jo Field",
        "created_by_name": "Jo Field",
        "updated_by_name": "Jo Field",
        "status_label": "Proposal",
        "status_display_name": "Proposal",
        "status_type": "active",
        "pipeline_id": close_id("pipe", sales.pk),
        "pipeline_name": "Sales",
        "value_currency": "USD",
        "value_formatted": "$2,500 annually",
        "annualized_value": 250000,
        "expected_value": 100000,
        "annualized_expected_value": 100000,
        "note": None,
        "date_won": None,
        "date_lost": None,
        "attachments": [],
        "integration_links": [],
        "custom": {},
        "date_created": made["date_created"],
        "date_updated": made["date_updated"],
    }
    assert made["id"].startswith("oppo_")
    assert close.get(f"/opportunity/{made['id']}/").json() == made


def test_an_empty_body_makes_an_untitled_lead(close: Close) -> None:
    made = close.post("/opportunity/").json()
    assert (made["lead_name"], made["status_label"], made["value"], made["value_formatted"]) == (
        None,
        "Lead",
        None,
        None,
    )
    assert close.get(f"/lead/{made['lead_id']}/").json()["name"] is None


@pytest.mark.parametrize(
    ("value", "period", "shown", "per_year"),
    [
        (250050, "one_time", "$2,500.50", 250050),
        (123456789, "monthly", "$1,234,567.89 monthly", 1481481468),
        (-500, "annual", "-$5 annually", -500),
        (0, "one_time", "$0", 0),
    ],
)
def test_values_are_shown_by_period(close: Close, value: int, period: str, shown: str, per_year: int) -> None:
    made = close.post("/opportunity/", {"value": value, "value_period": period}).json()
    assert (made["value_formatted"], made["annualized_value"]) == (shown, per_year)


def test_it_is_changed_in_part_and_deleted(close: Close, lead_id: str, stage: dict[str, str]) -> None:
    contact_id = close.get(f"/lead/{lead_id}/").json()["contact_ids"][0]
    made = close.post("/opportunity/", {"lead_id": lead_id, "value": 100, "note": "x"}).json()
    path = f"/opportunity/{made['id']}/"
    changed = close.put(path, {"status": "Won", "contact_id": contact_id, "confidence": 90.0}).json()
    assert (changed["status_type"], changed["contact_name"], changed["confidence"]) == ("won", "Ida", 90)
    assert changed["date_won"] == f"{timezone.now():%Y-%m-%d}"
    changed = close.put(path, {"status_id": stage["Lost"], "contact_id": None, "value": None, "note": None}).json()
    assert (changed["date_won"], changed["contact_id"], changed["value"], changed["note"]) == (None,) * 4
    assert changed["date_lost"] is not None
    assert changed["value_period"] == "one_time"
    assert close.put(path, {"confidence": None}).json()["confidence"] == 90
    assert close.delete(path).json() == {}
    assert close.get(path).status_code == 404


@pytest.mark.parametrize("offset", ["-14", "14"])
def test_the_day_of_winning_is_that_of_the_callers_zone(close: Close, offset: str) -> None:
    answer = close.send("POST", "/opportunity/", {"status": "Won"}, headers={"x-tz-offset": offset})
    hours = timezone.timedelta(hours=int(offset))
    assert answer.json()["date_won"] == f"{timezone.now() + hours:%Y-%m-%d}"


def test_all_that_is_wrong_is_told_at_once(close: Close) -> None:
    body = {
        "lead_id": "lead_x",
        "contact_id": 7,
        "user_id": "user_x",
        "pipeline_id": "pipe_x",
        "status": 7,
        "value": "250",
        "value_period": "weekly",
        "confidence": 101,
        "note": 7,
        "date_won": "2031-02-30",
        "custom.Origin": "x",
        "attachments": [{"url": "x"}],
    }
    assert set(problems(close.post("/opportunity/", body))) == set(body)
    for value in (True, 1.5, 10**16, [1]):
        assert set(problems(close.post("/opportunity/", {"value": value}))) == {"value"}
    assert set(problems(close.post("/opportunity/", {"status": "Nowhere"}))) == {"status"}
    assert Lead.objects.count() == 0


def test_strangers_see_and_use_nothing(close: Close, stranger: Close, lead_id: str, organization: Organization) -> None:
    made = close.post("/opportunity/", {"lead_id": lead_id}).json()
    path = f"/opportunity/{made['id']}/"
    ensure_pipeline(Organization.objects.exclude(pk=organization.pk).get())
    mine = stranger.post("/opportunity/").json()
    assert stranger.get(path).status_code == 404
    assert stranger.put(path, {"value": "x"}).status_code == 404
    assert stranger.delete(path).status_code == 404
    assert ids(stranger.get("/opportunity/")) == [mine["id"]]
    for key in ("lead_id", "user_id", "status_id", "pipeline_id"):
        assert problems(stranger.put(f"/opportunity/{mine['id']}/", {key: made[key]})) == {
            key: "Object does not exist."
        }
        assert ids(stranger.get("/opportunity/", **{key: made[key]})) == []


def test_those_of_a_deleted_lead_are_gone(close: Close, lead_id: str) -> None:
    made = close.post("/opportunity/", {"lead_id": lead_id, "value": 100}).json()
    close.delete(f"/lead/{lead_id}/")
    assert close.get(f"/opportunity/{made['id']}/").status_code == 404
    page = close.get("/opportunity/").json()
    assert (page["data"], page["total_results"], page["total_value_one_time"]) == ([], 0, 0)


def test_the_list_sums_up_all_matches(close: Close, lead_id: str) -> None:
    for value, period, confidence in (
        (100, "one_time", 50),
        (10, "monthly", 25),
        (7, "annual", 100),
        (None, "annual", 9),
    ):
        close.post(
            "/opportunity/",
            {"lead_id": lead_id, "value": value, "value_period": period, "confidence": confidence},
        )
    page = close.get("/opportunity/", _limit=1).json()
    assert (len(page["data"]), page["has_more"]) == (1, True)
    assert {key: value for key, value in page.items() if key not in ("data", "has_more")} == {
        "total_results": 4,
        "count_by_value_period": {"one_time": 1, "monthly": 1, "annual": 2},
        "total_value_one_time": 100,
        "total_value_monthly": 10,
        "total_value_annual": 7,
        "total_value_annualized": 227,
        "expected_value_one_time": 50,
        "expected_value_monthly": 3,
        "expected_value_annual": 7,
        "expected_value_annualized": 87,
    }
    assert close.get("/opportunity/", value_period="monthly").json()["total_value_annualized"] == 120


def test_the_list_is_narrowed_by_every_filter(close: Close, lead_id: str, stage: dict[str, str]) -> None:
    won = close.post("/opportunity/", {"lead_id": lead_id, "status": "Won", "date_won": "2031-03-10"}).json()
    lost = close.post("/opportunity/", {"status": "Lost", "value_period": "monthly"}).json()
    both = [lost["id"], won["id"]]
    assert ids(close.get("/opportunity/")) == both
    tomorrow = f"{timezone.now() + timezone.timedelta(days=1):%Y-%m-%d}"
    expected: list[tuple[dict[str, object], list[str]]] = [
        ({"lead_id": lead_id}, [won["id"]]),
        ({"lead_id__in": f"{lead_id},{lost['lead_id']}"}, both),
        ({"lead_id": "lead_x"}, []),
        ({"user_id": won["user_id"]}, both),
        ({"status_id": stage["Won"]}, [won["id"]]),
        ({"status_id__in": f"{stage['Won']},{stage['Lost']}"}, both),
        ({"status_label": "Lost"}, [lost["id"]]),
        ({"status_label__in": "Lost,Won"}, both),
        ({"status": "Won"}, [won["id"]]),
        ({"status_type": "won"}, [won["id"]]),
        ({"status_type__in": "active,lost"}, [lost["id"]]),
        ({"value_period__in": "monthly,annual"}, [lost["id"]]),
        ({"pipeline_id": won["pipeline_id"]}, both),
        ({"date_won": "2031-03-10"}, [won["id"]]),
        ({"date_won__gt": "2031-03-10"}, []),
        ({"date_won__gte": "2031-03-10", "date_won__lt": "2031-03-11"}, [won["id"]]),
        ({"date_created__lt": tomorrow}, both),
        ({"date_updated__gte": tomorrow}, []),
        ({"date_created__gte": won["date_created"], "date_created__lt": lost["date_created"]}, [won["id"]]),
        ({"date_updated": won["date_updated"]}, [won["id"]]),
        ({"date_lost__lte": tomorrow}, [lost["id"]]),
        ({"query": "*"}, both),
    ]
    for query, found in expected:
        assert ids(close.get("/opportunity/", **query)) == found, query


@pytest.mark.parametrize(
    "query",
    [
        {"status_type": "open"},
        {"value_period__in": "monthly,weekly"},
        {"date_won__gt": "soon"},
        {"date_created": "2031-13-01"},
        {"_order_by": "note"},
        {"lead_saved_search_id": "save_x"},
        {"_group_by": "date_won"},
        {"is_stalled": "true"},
    ],
    ids=lambda query: next(iter(query)),
)
def test_a_filter_that_means_nothing_is_refused(close: Close, query: dict[str, str]) -> None:
    assert list(problems(close.get("/opportunity/", **query))) == list(query)


def test_the_list_is_ordered_with_missing_values_last(close: Close, lead_id: str) -> None:
    made = [
        close.post("/opportunity/", {"lead_id": lead_id, "value": value, "value_period": period, "confidence": sure})
        for value, period, sure in (
            (100, "one_time", 10),
            (20, "monthly", 50),
            (None, "annual", 90),
            (150, "annual", 1),
        )
    ]
    a, b, none, c = (answer.json()["id"] for answer in made)
    for order, found in (
        ("value", [b, a, c, none]),
        ("-value", [c, a, b, none]),
        ("annualized_value", [a, c, b, none]),
        ("-annualized_expected_value", [b, a, c, none]),
        ("confidence", [c, a, b, none]),
        ("date_created", [a, b, none, c]),
        ("-date_updated", [c, none, b, a]),
        ("user_name", [c, none, b, a]),
        ("date_won", [c, none, b, a]),
    ):
        assert ids(close.get("/opportunity/", _order_by=order)) == found, order


def test_who_sorts_by_user_sees_those_without_one_last(close: Close, lead_id: str, organization: Organization) -> None:
    nobody, nameless, mine = (close.post("/opportunity/", {"lead_id": lead_id}).json()["id"] for _ in range(3))
    other = factories.UserFactory.create(email="adam@oakvale.example", first_name="", last_name="")
    Opportunity.objects.filter(pk=parse_close_id("oppo", nobody)).update(user=None)
    Opportunity.objects.filter(pk=parse_close_id("oppo", nameless)).update(user=other)
    assert ids(close.get("/opportunity/", _order_by="user_name", _fields="id")) == [mine, nameless, nobody]
    assert ids(close.get("/opportunity/", _order_by="-user_name", _fields="id")) == [nameless, mine, nobody]


def test_the_list_comes_group_by_group_with_sums_of_each(close: Close, lead_id: str, stage: dict[str, str]) -> None:
    def made(day: str | None, value: int) -> str:
        body = {"lead_id": lead_id, "date_won": day, "value": value, "confidence": 50}
        return close.post("/opportunity/", body).json()["id"]

    open_one = made(None, 1)
    sunday, monday, later = made("2026-03-01", 10), made("2026-03-02", 20), made("2026-12-31", 40)
    for by, groups in (
        ("date_won__week", {"2026-02-23": [sunday], "2026-03-02": [monday], "2026-12-28": [later]}),
        ("date_won__month", {"2026-03-01": [monday, sunday], "2026-12-01": [later]}),
        ("date_won__quarter", {"2026-01-01": [monday, sunday], "2026-10-01": [later]}),
        ("date_won__year", {"2026-01-01": [later, monday, sunday]}),
    ):
        for sign, order in (("", list(groups)), ("-", list(reversed(groups)))):
            answer = close.get("/opportunity/", _group_by=f"{sign}{by}")
            assert ids(answer) == [*(one for group in order for one in groups[group]), open_one]
            assert [group["group"] for group in answer.json()["groups"]] == [*order, None]
    found = close.get("/opportunity/", _group_by="date_won__month", _order_by="value", _limit=1).json()
    assert [one["id"] for one in found["data"]] == [sunday]
    first = found["groups"][0]
    assert (first["total_results"], first["total_value_one_time"], first["expected_value_annualized"]) == (2, 30, 15)
    assert sum(group["total_results"] for group in found["groups"]) == found["total_results"] == 4
    assert "groups" not in close.get("/opportunity/").json()


def test_groups_of_users_follow_their_names(close: Close, lead_id: str, organization: Organization, user: User) -> None:
    others = [factories.UserFactory.create(first_name="Aki", last_name="Ono") for _ in range(2)]
    for other in others:
        factories.MembershipFactory.create(organization=organization, user=other)
    keys = [close_id("user", one.pk) for one in sorted(others, key=lambda one: one.pk)]
    for key in (keys[1], None, keys[0], keys[1]):
        close.post("/opportunity/", {"lead_id": lead_id, "user_id": key})
    answer = close.get("/opportunity/", _group_by="user_id").json()
    assert [(group["group"], group["total_results"]) for group in answer["groups"]] == [
        (keys[0], 1), (keys[1], 2), (close_id("user", user.pk), 1)
    ]  # fmt: skip
    assert [one["user_id"] for one in answer["data"]] == [keys[0], keys[1], keys[1], close_id("user", user.pk)]


def test_custom_fields_of_opportunities(close: Close, lead_id: str) -> None:
    field = close.post("/custom_field/opportunity/", {"name": "Origin", "type": "text"}).json()
    key = f"custom.{field['id']}"
    made = close.post("/opportunity/", {"lead_id": lead_id, key: "Fair"}).json()
    assert (made[key], made["custom"]) == ("Fair", {"Origin": "Fair"})
    assert close.put(f"/opportunity/{made['id']}/", {"custom": {"Origin": "Web"}}).json()[key] == "Web"
    schema = close.get("/custom_field_schema/opportunity/").json()
    assert (schema["object_type"], [one["id"] for one in schema["fields"]]) == ("opportunity", [field["id"]])
    assert key not in close.post("/lead/", {"name": "x"}).json()
    assert close.delete(f"/custom_field/opportunity/{field['id']}/").json() == {}
    assert close.get(f"/opportunity/{made['id']}/").json()["custom"] == {}


def test_a_lead_shows_its_opportunities(close: Close, lead_id: str) -> None:
    first, second = (close.post("/opportunity/", {"lead_id": lead_id, "value": value}).json() for value in (1, 2))
    close.post("/opportunity/")
    assert close.get(f"/lead/{lead_id}/").json()["opportunities"] == [first, second]
    assert "opportunities" not in close.get(f"/lead/{lead_id}/", _fields="name").json()


def test_a_page_takes_the_same_number_of_queries_whatever_its_length(
    close: Close,
    organization: Organization,
    membership: Membership,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    status = OpportunityStatus.objects.filter(organization=organization).first()
    for _ in range(20):
        contact = factories.ContactFactory.create(lead__organization=organization)
        factories.OpportunityFactory.create(
            lead=contact.lead, contact=contact, status=status, user=membership.user, created_by=membership.user
        )
    with django_assert_max_num_queries(
        10
    ):  # the key, its use, rows, sums; status, pipeline, lead, contact, user, maker
        assert len(close.get("/opportunity/").json()["data"]) == 20
    with django_assert_max_num_queries(4):
        close.get("/opportunity/", _fields="id,value")
