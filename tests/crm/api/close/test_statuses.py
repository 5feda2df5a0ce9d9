"""`/status/lead/`."""

from rest_framework.test import APIClient

from crm.ids import close_id
from crm.models import LeadStatus, Membership, Organization, Role
from tests import factories

STATUSES = "/api/v1/status/lead/"


def test_statuses_are_listed_in_order(api: APIClient, organization: Organization) -> None:
    later = factories.LeadStatusFactory.create(organization=organization, position=2)
    first = factories.LeadStatusFactory.create(organization=organization, position=1)
    factories.LeadStatusFactory.create()
    answer = api.get(STATUSES)
    assert answer.status_code == 200
    assert answer.json()["has_more"] is False
    assert [row["label"] for row in answer.json()["data"]] == [first.label, later.label]


def test_a_status_is_made_fetched_renamed_and_deleted(
    api: APIClient, organization: Organization, status: LeadStatus
) -> None:
    made = api.post(STATUSES, {"label": "Nurture"})
    assert made.status_code == 200
    assert made.json() == {
        "id": made.json()["id"],
        "label": "Nurture",
        "organization_id": close_id("orga", organization.pk),
    }
    url = f"{STATUSES}{made.json()['id']}/"
    assert api.get(url).json() == made.json()
    renamed = api.put(url, {"label": "Wait"})
    assert (renamed.status_code, renamed.json()) == (200, {**made.json(), "label": "Wait"})
    deleted = api.delete(url)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert api.get(url).status_code == 404
    assert list(LeadStatus.objects.all()) == [status]


def test_only_the_asked_keys_are_given(api: APIClient, status: LeadStatus) -> None:
    assert api.get(STATUSES, {"_fields": "label"}).json()["data"] == [{"label": status.label}]


def test_a_label_is_needed_to_make_a_status_and_not_to_change_one(api: APIClient, status: LeadStatus) -> None:
    answer = api.post(STATUSES, {})
    assert answer.status_code == 400
    assert answer.json() == {"errors": [], "field-errors": {"label": "This field is required."}}
    unchanged = api.put(f"{STATUSES}{close_id('stat', status.pk)}/", {})
    assert (unchanged.status_code, unchanged.json()["label"]) == (200, status.label)


def test_a_status_in_use_is_not_deleted(api: APIClient, organization: Organization) -> None:
    used, _ = factories.LeadStatusFactory.create_batch(2, organization=organization)
    factories.LeadFactory.create(organization=organization, status=used)
    answer = api.delete(f"{STATUSES}{close_id('stat', used.pk)}/")
    assert answer.status_code == 400
    assert "used by leads" in answer.json()["errors"][0]


def test_statuses_of_others_do_not_exist(api: APIClient) -> None:
    foreign = factories.LeadStatusFactory.create()
    for id_ in (close_id("stat", foreign.pk), "stat_x", "x" * 300):
        url = f"{STATUSES}{id_}/"
        answers = api.get(url), api.put(url, {"label": "Mine"}), api.delete(url)
        assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_changes_need_the_permission(api: APIClient, membership: Membership, status: LeadStatus) -> None:
    membership.role = Role.USER
    membership.save()
    url = f"{STATUSES}{close_id('stat', status.pk)}/"
    answers = api.post(STATUSES, {"label": "x"}), api.put(url, {"label": "x"}), api.delete(url)
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert "manage_customizations" in answers[0].json()["error"]
    assert api.get(url).status_code == 200
