"""`/organization/{id}/`, `/membership/` and `/user/`: who belongs to an organization, and as what."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.ids import close_id
from crm.models import LeadStatus, Membership, OpportunityStatus, Organization, Pipeline, Role
from tests import factories
from tests.crm.api.close.conftest import Close


@pytest.fixture
def path(organization: Organization) -> str:
    return f"/organization/{close_id('orga', organization.pk)}/"


@pytest.fixture
def colleague(organization: Organization) -> Membership:
    user = factories.UserFactory.create(first_name="Ida", last_name="Moss", timezone="Europe/Paris")
    return factories.MembershipFactory.create(organization=organization, user=user, role=Role.USER)


def member(membership: Membership) -> str:
    return f"/membership/{close_id('memb', membership.pk)}/"


# --- organization -----------------------------------------------------------------------------------------------------
def test_an_organization_shows_statuses_pipelines_fields_and_members(
    close: Close, path: str, organization: Organization, statuses: list[LeadStatus], colleague: Membership
) -> None:
    pipeline = Pipeline.objects.create(organization=organization, name="Sales")
    won = OpportunityStatus.objects.create(
        organization=organization, pipeline=pipeline, label="Won", slug="won", type="won"
    )
    for object_type in ("lead", "contact", "opportunity"):
        factories.CustomFieldFactory.create(organization=organization, object_type=object_type, name=object_type)
    colleague.is_active = False
    colleague.save()
    shown = close.get(path).json()
    assert (shown["name"], shown["currency"]) == (organization.name, "USD")
    assert [status["label"] for status in shown["lead_statuses"]] == [status.label for status in statuses]
    assert shown["pipelines"][0]["name"] == "Sales"
    assert shown["pipelines"][0]["statuses"] == shown["opportunity_statuses"]
    assert shown["opportunity_statuses"][0]["id"] == close_id("stat", won.pk)
    for object_type in ("lead", "contact", "opportunity"):
        assert [field["name"] for field in shown[f"{object_type}_custom_fields"]] == [object_type]
    assert [row["role_id"] for row in shown["memberships"]] == ["admin"]
    assert [row["user_first_name"] for row in shown["inactive_memberships"]] == ["Ida"]
    assert shown["inactive_memberships"][0]["user_id"] == close_id("user", colleague.user_id)
    assert shown["inactive_memberships"][0]["user_timezone"] == "Europe/Paris"
    assert "user" not in shown["memberships"][0]
    assert (shown["require_unsubscribe_link"], shown["enable_unsubscribe_link"]) == (False, True)


def test_me_shows_the_organization_with_its_statuses_too(
    close: Close, path: str, organization: Organization, statuses: list[LeadStatus]
) -> None:
    pipeline = factories.PipelineFactory.create(organization=organization)
    status = factories.OpportunityStatusFactory.create(organization=organization, pipeline=pipeline)
    whole = close.get(path).json()
    [shown] = close.get("/me/").json()["organizations"]
    assert shown == {key: whole[key] for key in shown}
    assert len(shown["lead_statuses"]) == len(statuses)
    assert [one["id"] for one in shown["opportunity_statuses"]] == [close_id("stat", status.pk)]
    assert shown["pipelines"][0]["statuses"] == shown["opportunity_statuses"]


def test_users_are_shown_as_objects_when_asked_for(close: Close, path: str, user: object) -> None:
    shown = close.get(path, _expand="memberships__user,inactive_memberships__user").json()
    assert shown["memberships"][0]["user"]["email"] == user.email


def test_only_what_is_asked_for_is_looked_up(close: Close, path: str, organization: Organization) -> None:
    close.get(path)
    with CaptureQueriesContext(connection) as all_queries:
        close.get(path)
    factories.MembershipFactory.create_batch(5, organization=organization)
    with CaptureQueriesContext(connection) as more_rows:
        close.get(path)
    with CaptureQueriesContext(connection) as one_key:
        assert close.get(path, _fields="currency").json() == {"currency": "USD"}
    assert len(more_rows) == len(all_queries)
    assert len(one_key) < len(all_queries) - 3


def test_name_currency_and_the_order_of_statuses_are_set(close: Close, path: str, statuses: list[LeadStatus]) -> None:
    last = {"id": close_id("stat", statuses[-1].pk)}
    body = {"name": "Fennmark", "currency": "EUR", "lead_statuses": [last], "enable_unsubscribe_link": True}
    link = {"require_unsubscribe_link": True, "postal_address": "Oak Lane 1\nOakvale"}
    shown = close.put(path, {**body, **link}).json()
    assert (shown["name"], shown["currency"]) == ("Fennmark", "EUR")
    assert {key: shown[key] for key in link} == link
    assert [status["label"] for status in shown["lead_statuses"]] == ["Customer", "Potential", "Trial"]
    assert close.post("/lead/", {"name": "Oakvale"}).json()["status_label"] == "Customer"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"name": "", "currency": "euro", "lead_statuses": [{"id": "stat_x"}]}, ["name", "currency", "lead_statuses"]),
        ({"name": None}, ["name"]),
        ({"currency": None}, ["currency"]),
        ({"lead_statuses": None}, ["lead_statuses"]),
        ({"lead_statuses": [3]}, ["lead_statuses"]),
        ({"enable_unsubscribe_link": False}, ["enable_unsubscribe_link"]),
        (
            {"require_unsubscribe_link": "yes", "postal_address": 3},
            ["require_unsubscribe_link", "postal_address"],
        ),
    ],
)
def test_all_that_is_wrong_is_told_and_nothing_is_set(
    close: Close, path: str, body: dict[str, object], wrong: list[str]
) -> None:
    before = close.get(path).json()
    answer = close.put(path, body)
    assert answer.status_code == 400
    assert sorted(answer.json()["field-errors"]) == sorted(wrong)
    assert close.get(path).json() == before


def test_other_organizations_do_not_exist(close: Close, stranger: Close, path: str) -> None:
    assert stranger.get(path).status_code == 404
    assert stranger.put(path, {"name": "Mine"}).status_code == 404
    foreign = factories.LeadStatusFactory.create()
    answer = close.put(path, {"lead_statuses": [{"id": close_id("stat", foreign.pk)}]})
    assert answer.json()["field-errors"] == {"lead_statuses": "Object does not exist."}


def test_changes_need_the_permission(close: Close, path: str, membership: Membership, colleague: Membership) -> None:
    membership.role = Role.SUPERUSER
    membership.save()
    many = f"/membership/?id__in={close_id('memb', colleague.pk)}"
    answers = close.put(path, {"name": "x"}), close.put(member(colleague), {}), close.put(many, {})
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert close.get(path).status_code == 200


# --- memberships ------------------------------------------------------------------------------------------------------
def test_a_member_gets_another_role(close: Close, colleague: Membership) -> None:
    shown = close.put(member(colleague), {"role_id": "superuser", "auto_record_calls": "unset"}).json()
    assert (shown["role_id"], shown["user_id"]) == ("superuser", close_id("user", colleague.user_id))
    assert "bulk_delete" in shown["permissions_granted"]


def test_several_members_get_a_role_at_once_or_none_does(close: Close, organization: Organization) -> None:
    members = factories.MembershipFactory.create_batch(2, organization=organization, role=Role.USER)
    keys = [close_id("memb", membership.pk) for membership in members]
    answer = close.put("/membership/", {"role_id": "restricteduser"}, id__in=",".join(keys))
    assert [row["role_id"] for row in answer.json()["data"]] == ["restricteduser"] * 2
    foreign = close_id("memb", factories.MembershipFactory.create().pk)
    for unknown in (foreign, "memb_x"):
        refused = close.put("/membership/", {"role_id": "admin"}, id__in=f"{keys[0]},{unknown}")
        assert refused.json()["field-errors"] == {"id__in": "Object does not exist."}
    assert close.put("/membership/", {}).json()["field-errors"] == {"id__in": "This field is required."}
    assert not Membership.objects.filter(organization=organization, pk__in=[members[0].pk], role=Role.ADMIN).exists()


@pytest.mark.parametrize("body", [{"role_id": "role_x"}, {"role_id": None}, {"role_id": ["admin"]}])
def test_an_unknown_role_is_refused(close: Close, colleague: Membership, body: dict[str, object]) -> None:
    assert list(close.put(member(colleague), body).json()["field-errors"]) == ["role_id"]


def test_calls_are_not_recorded(close: Close, colleague: Membership) -> None:
    answer = close.put(member(colleague), {"auto_record_calls": "enabled"})
    assert list(answer.json()["field-errors"]) == ["auto_record_calls"]


def test_the_last_admin_stays_one(close: Close, membership: Membership, colleague: Membership) -> None:
    answer = close.put(member(membership), {"role_id": "user"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["The organization would be left without an admin."]
    close.put(member(colleague), {"role_id": "admin"})
    assert close.put(member(membership), {"role_id": "user"}).status_code == 200


def test_nobody_raises_anyone_above_themselves(close: Close, membership: Membership, colleague: Membership) -> None:
    membership.role, membership.extra_permissions = Role.USER, ["manage_organization"]
    membership.save()
    assert close.put(member(membership), {"role_id": "admin"}).status_code == 403
    assert close.put(member(colleague), {"role_id": "restricteduser"}).status_code == 200


def test_members_are_not_made_with_a_key(close: Close) -> None:
    assert close.post("/membership/", {"email": "eve@oakvale.example"}).status_code == 403


def test_memberships_of_others_do_not_exist(stranger: Close, colleague: Membership) -> None:
    assert stranger.put(member(colleague), {"role_id": "admin"}).status_code == 404
    assert stranger.put("/membership/x/", {}).status_code == 404


# --- users ------------------------------------------------------------------------------------------------------------
def test_users_are_listed_in_pages(close: Close, colleague: Membership) -> None:
    first = close.get("/user/", _limit=1).json()
    assert (len(first["data"]), first["has_more"]) == (1, True)
    rest = close.get("/user/", _limit=1, _skip=1).json()
    assert [rest["data"][0]["last_name"], rest["has_more"]] == ["Moss", False]


def test_nobody_is_known_to_be_available(close: Close, organization: Organization) -> None:
    mine = close_id("orga", organization.pk)
    assert close.get("/user/availability/").json() == {"data": []}
    assert close.get("/user/availability/", organization_id=mine).json() == {"data": []}
    foreign = close.get(
        "/user/availability/", organization_id=close_id("orga", factories.OrganizationFactory.create().pk)
    )
    assert foreign.json()["field-errors"] == {"organization_id": "Object does not exist."}
