"""`/group/` and its members."""

from crm.ids import close_id
from crm.models import Group, Membership, Organization, Role
from tests import factories
from tests.crm.api.close.conftest import Close


def test_a_group_is_made_fetched_renamed_listed_and_deleted(close: Close, organization: Organization) -> None:
    made = close.post("/group/", {"name": " Field sales "})
    assert made.status_code == 201
    group = made.json()
    assert group == {
        "id": group["id"],
        "name": "Field sales",
        "organization_id": close_id("orga", organization.pk),
        "members": [],
    }
    path = f"/group/{group['id']}/"
    assert close.get(path).json() == group
    assert close.put(path, {"name": "Inside sales"}).json() == {**group, "name": "Inside sales"}
    assert close.get("/group/", _fields="name").json() == {"data": [{"name": "Inside sales"}], "has_more": False}
    deleted = close.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert close.get(path).status_code == 404


def test_members_come_and_go(close: Close, membership: Membership) -> None:
    group = close.post("/group/", {"name": "Field sales"}).json()
    path, user_id = f"/group/{group['id']}/member/", close_id("user", membership.user_id)
    for _ in range(2):
        added = close.post(path, {"user_id": user_id})
        assert (added.status_code, added.json()) == (201, {"user_id": user_id})
    assert close.get(f"/group/{group['id']}/").json()["members"] == [{"user_id": user_id}]
    assert close.delete(f"{path}{user_id}/").status_code == 204
    assert close.delete(f"{path}{user_id}/").status_code == 404
    assert close.get(f"/group/{group['id']}/").json()["members"] == []


def test_only_active_members_of_the_organization_can_be_in_a_group(close: Close, organization: Organization) -> None:
    group = close.post("/group/", {"name": "Field sales"}).json()
    gone = factories.MembershipFactory.create(organization=organization, is_active=False)
    foreign = factories.MembershipFactory.create()
    for user_id in (close_id("user", gone.user_id), close_id("user", foreign.user_id), "user_x", 3):
        answer = close.post(f"/group/{group['id']}/member/", {"user_id": user_id})
        assert answer.json() == {"errors": [], "field-errors": {"user_id": "Object does not exist."}}
    missing = close.post(f"/group/{group['id']}/member/", {})
    assert missing.json()["field-errors"] == {"user_id": "This field is required."}


def test_names_are_needed_and_unique(close: Close) -> None:
    close.post("/group/", {"name": "Field sales"})
    other = close.post("/group/", {"name": "Inside sales"}).json()
    for body in ({}, {"name": " "}, {"name": None}, {"name": "Field sales"}):
        assert list(close.post("/group/", body).json()["field-errors"]) == ["name"]
    taken = close.put(f"/group/{other['id']}/", {"name": "Field sales"})
    assert taken.json()["field-errors"] == {"name": "There is a group with this name already."}
    assert close.put(f"/group/{other['id']}/", {}).json() == other


def test_groups_of_others_do_not_exist(close: Close, stranger: Close, membership: Membership) -> None:
    group = close.post("/group/", {"name": "Field sales"}).json()
    user_id = close_id("user", membership.user_id)
    close.post(f"/group/{group['id']}/member/", {"user_id": user_id})
    for group_id in (group["id"], "group_x"):
        path = f"/group/{group_id}/"
        answers = [
            stranger.get(path),
            stranger.put(path, {"name": "Mine"}),
            stranger.delete(path),
            stranger.post(f"{path}member/", {"user_id": user_id}),
            stranger.delete(f"{path}member/{user_id}/"),
        ]
        assert {answer.status_code for answer in answers} == {404}
    assert stranger.get("/group/").json()["data"] == []
    assert Group.objects.get().members.count() == 1


def test_changes_need_the_permission(close: Close, membership: Membership) -> None:
    group = close.post("/group/", {"name": "Field sales"}).json()
    membership.role = Role.USER
    membership.save()
    path = f"/group/{group['id']}/"
    answers = [
        close.post("/group/", {"name": "x"}),
        close.put(path, {"name": "x"}),
        close.delete(path),
        close.post(f"{path}member/", {}),
        close.delete(f"{path}member/user_x/"),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert close.get(path).status_code == 200
