"""`/crm/bulk/deals/…`: within the request, through the engine, and undone like any other job."""

import json

import pytest
from django.utils import timezone

from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome, Transition
from bulk_actions.retention import purge
from bulk_actions.retrying import retry
from crm.auth import make_api_key
from crm.errors import Invalid
from crm.ids import hex_id, parse_hex_id
from crm.models import Dialect, Membership, Opportunity, OpportunityStatus, OpportunityStatusChange, Organization, Role
from crm.setup import create_organization
from tests import factories
from tests.blueai import BlueAI, problem_of
from tests.bulk_actions.helpers import Elsewhere, caller_of, check_invariant, run_to_end

NOWHERE = "deal_" + "1" * 32


@pytest.fixture
def organization(db: None) -> Organization:
    return create_organization("Sakura")


@pytest.fixture
def blueai(membership: Membership) -> BlueAI:
    return BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])


def deals(blueai: BlueAI, n: int, **body: object) -> list[str]:
    return [blueai.make("deals", {"name": f"deal {i}", **body})["id"] for i in range(n)]


def stages(ids: list[str]) -> list[str]:
    found = Opportunity.all_objects.select_related("status").in_bulk([parse_hex_id("deal", text) for text in ids])
    return [found[parse_hex_id("deal", text)].status.slug for text in ids]


def undone(blueai: BlueAI, job_id: str) -> BulkAction:
    """The job that undoes that one, at its end."""
    answer = blueai.post(f"/crm/bulk/jobs/{job_id}/undo")
    assert answer.status_code == 202, answer.content
    return run_to_end(BulkAction.objects.get(pk=parse_hex_id("job", answer.json()["job"]["id"])))


def test_the_documented_update(blueai: BlueAI) -> None:
    ids = deals(blueai, 2)
    answer = blueai.post("/crm/bulk/deals/update", {"ids": [*ids, NOWHERE], "stage": "negotiation"})
    assert answer.status_code == 200
    assert answer.json() == {"processed": 2, "errors": [f"{NOWHERE}: not found"]}
    assert stages(ids) == ["negotiation"] * 2


def test_the_documented_delete(blueai: BlueAI) -> None:
    ids = deals(blueai, 2)
    answer = blueai.post("/crm/bulk/deals/delete", {"ids": [*ids, NOWHERE]})
    assert (answer.status_code, answer.json()) == (200, {"processed": 2, "errors": [f"{NOWHERE}: not found"]})
    assert blueai.get("/crm/deals").json()["total"] == 0
    again = blueai.post("/crm/bulk/deals/delete", {"ids": ids}).json()
    assert again == {"processed": 0, "errors": [f"{key}: not found" for key in ids]}


def test_a_call_is_a_finished_job_with_an_outcome_for_each_deal(blueai: BlueAI, membership: Membership) -> None:
    ids = deals(blueai, 2)
    blueai.post("/crm/bulk/deals/update", {"ids": ids[:1], "stage": "won"})
    answer = blueai.post("/crm/bulk/deals/update", {"ids": [*ids, NOWHERE], "stage": "won"}, detail=1).json()
    job = BulkAction.objects.get(pk=parse_hex_id("job", answer["job_id"]))
    check_invariant(job)
    assert (job.kind, job.status, job.created_by_id) == (Kind.DEAL_UPDATE, "done", membership.user_id)
    assert (job.n_leads, job.n_succeeded, job.n_unchanged, job.n_skipped, job.n_failed) == (3, 1, 1, 1, 0)
    assert [row.new_status for row in Transition.objects.filter(action=job)] == [
        "created",
        "loading",
        "processing",
        "done",
    ]
    assert LeadOutcome.objects.get(action=job.pk).code == "deal_gone"
    assert answer["results"] == [
        {"id": ids[0], "status": "ok", "changed": False, "error": None},
        {"id": ids[1], "status": "ok", "changed": True, "error": None},
        {"id": NOWHERE, "status": "error", "changed": False, "error": "not found"},
    ]
    assert blueai.get(f"/crm/bulk/jobs/{answer['job_id']}").json()["job"] == {
        "id": answer["job_id"], "kind": "deal_update", "status": "done", "processed": 2, "changed": 1, "failed": 1,
        "undo_of": None, "created_at": blueai.get(f"/crm/bulk/jobs/{answer['job_id']}").json()["job"]["created_at"],
    }  # fmt: skip


def test_errors_come_in_the_order_of_the_ids_each_once(blueai: BlueAI) -> None:
    [deal] = deals(blueai, 1)
    body = {"ids": ["nonsense", deal, NOWHERE, deal, "comp_" + "1" * 32, "nonsense", "x" * 500], "stage": "won"}
    answer = blueai.post("/crm/bulk/deals/update", body).json()
    assert answer["processed"] == 1
    told = ["nonsense", NOWHERE, "comp_" + "1" * 32, "x" * 100]
    assert answer["errors"] == [f"{text}: not found" for text in told]


def test_a_stage_is_that_of_each_deal_s_own_pipeline(blueai: BlueAI) -> None:
    second = blueai.make(
        "pipelines",
        {"name": "x", "stages": [{"slug": "new", "name": "New"}, {"slug": "won", "name": "W", "is_won": True}]},
    )
    [first], [other] = deals(blueai, 1), deals(blueai, 1, pipeline_id=second["id"])
    answer = blueai.post("/crm/bulk/deals/update", {"ids": [first, other], "stage": "negotiation"}).json()
    assert answer == {"processed": 1, "errors": [f"{other}: the deal's pipeline has no such stage"]}
    blueai.post("/crm/bulk/deals/update", {"ids": [first, other], "stage": "won"})
    won = Opportunity.objects.select_related("status__pipeline").filter(date_won=timezone.now().date())
    assert sorted(deal.status.pipeline.name for deal in won) == ["Sales", "x"]


def test_an_update_does_to_a_deal_what_a_single_one_does(blueai: BlueAI) -> None:
    single, bulk = deals(blueai, 2)
    columns = ("status__slug", "date_won", "confidence", "lost_reason")
    for stage in ("won", "lost", "qualified"):
        blueai.patch(f"/crm/deals/{single}", {"stage": stage})
        blueai.post("/crm/bulk/deals/update", {"ids": [bulk], "stage": stage})
        one, two = (
            Opportunity.objects.filter(pk=parse_hex_id("deal", key)).values_list(*columns).get()
            for key in (single, bulk)
        )
        assert one == two
        lost = [Opportunity.objects.get(pk=parse_hex_id("deal", key)).date_lost is None for key in (single, bulk)]
        assert lost[0] == lost[1]
    changes = [blueai.get(f"/crm/deals/{key}/activities").json()["items"] for key in (single, bulk)]
    assert [entry["content"] for entry in changes[0]] == [entry["content"] for entry in changes[1]]


def test_deals_are_assigned(blueai: BlueAI, membership: Membership) -> None:
    ids = deals(blueai, 3)
    colleague = factories.MembershipFactory.create(organization=membership.organization)
    member = hex_id("usr", colleague.user_id)
    answer = blueai.post("/crm/bulk/deals/update", {"ids": ids, "assigned_member_id": member, "stage": None}).json()
    assert answer == {"processed": 3, "errors": []}
    assert Opportunity.objects.filter(user=colleague.user_id).count() == 3
    colleague.is_active = False
    colleague.save()
    for unknown in (member, "usr_" + "1" * 32, "nobody"):
        refused = blueai.post("/crm/bulk/deals/update", {"ids": ids, "assigned_member_id": unknown, "stage": "won"})
        assert problem_of(refused, 422)["param"] == "assigned_member_id"
    assert stages(ids) == ["lead"] * 3


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "ids"),
        ({"ids": [], "stage": "won"}, "ids"),
        ({"ids": "deal_x", "stage": "won"}, "ids"),
        ({"ids": [3], "stage": "won"}, "ids"),
        ({"ids": ["x"] * 101, "stage": "won"}, "ids"),
        ({"ids": ["x"]}, "stage"),
        ({"ids": ["x"], "stage": None, "assigned_member_id": None}, "stage"),
        ({"ids": ["x"], "stage": 3}, "stage"),
        ({"ids": ["x"], "stage": "won", "dry_run": "yes"}, "dry_run"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(blueai: BlueAI, body: dict, param: str) -> None:
    assert problem_of(blueai.post("/crm/bulk/deals/update", body), 400)["param"] == param
    assert not BulkAction.objects.exists()


def test_a_dry_run_says_what_would_be_and_writes_nothing(blueai: BlueAI) -> None:
    ids = deals(blueai, 2)
    for path, body in (("update", {"stage": "won"}), ("delete", {})):
        answer = blueai.post(
            f"/crm/bulk/deals/{path}", {"ids": [*ids, NOWHERE], **body, "dry_run": True}, detail=1
        ).json()
        assert (answer["processed"], len(answer["errors"]), answer["job_id"]) == (2, 1, None)
        assert [result["changed"] for result in answer["results"]] == [True, True, False]
    assert stages(ids) == ["lead"] * 2
    assert not BulkAction.objects.exists()
    assert not Batch.objects.exists()
    assert OpportunityStatusChange.objects.count() == 2, "those of the creates"


def test_a_call_sent_again_with_its_key_is_carried_out_once(blueai: BlueAI) -> None:
    ids = deals(blueai, 1)
    answers = [
        blueai.send("POST", "/crm/bulk/deals/delete", {"ids": ids}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json() == {"processed": 1, "errors": []}
    assert BulkAction.objects.count() == 1


def test_an_update_is_undone_but_for_deals_changed_since(blueai: BlueAI, membership: Membership) -> None:
    ids = deals(blueai, 3, stage="won")
    before = list(Opportunity.objects.order_by("pk").values("status", "user", "date_won", "confidence", "lost_reason"))
    member = hex_id("usr", membership.user_id)
    body = {"ids": ids, "stage": "lost", "assigned_member_id": member}
    job_id = blueai.post("/crm/bulk/deals/update", body, detail=1).json()["job_id"]
    blueai.patch(f"/crm/deals/{ids[2]}", {"stage": "proposal"})
    back = undone(blueai, job_id)
    assert (back.n_succeeded, back.n_skipped) == (2, 1)
    assert LeadOutcome.objects.get(action=back.pk).code == "changed_since"
    after = Opportunity.objects.order_by("pk").values("status", "user", "date_won", "confidence", "lost_reason")
    assert list(after)[:2] == before[:2]
    assert stages(ids) == ["won", "won", "proposal"]
    shown = blueai.get(f"/crm/deals/{ids[0]}/activities").json()["items"]
    assert [entry["content"] for entry in shown] == ["Lost → Won", "Won → Lost", "→ Won"]
    problem_of(blueai.post(f"/crm/bulk/jobs/{job_id}/undo"), 409)


def test_an_undo_is_undone(blueai: BlueAI) -> None:
    ids = deals(blueai, 2)
    job_id = blueai.post("/crm/bulk/deals/update", {"ids": ids, "stage": "won"}, detail=1).json()["job_id"]
    back = undone(blueai, job_id)
    assert stages(ids) == ["lead"] * 2
    again = undone(blueai, hex_id("job", back.pk))
    assert (stages(ids), again.n_succeeded) == (["won"] * 2, 2)
    assert set(Opportunity.objects.values_list("date_won", flat=True)) == {timezone.now().date()}


def test_a_delete_is_undone_and_that_is_undone(blueai: BlueAI) -> None:
    ids = deals(blueai, 2)
    earlier = blueai.post("/crm/bulk/deals/delete", {"ids": ids[:1]}, detail=1).json()["job_id"]
    job_id = blueai.post("/crm/bulk/deals/delete", {"ids": ids}, detail=1).json()["job_id"]
    back = undone(blueai, job_id)
    assert back.n_succeeded == 1, "what another job has deleted is not this one's to bring back"
    assert [item["id"] for item in blueai.get("/crm/deals").json()["items"]] == ids[1:]
    undone(blueai, earlier)
    assert blueai.get("/crm/deals").json()["total"] == 2
    undone(blueai, hex_id("job", back.pk))
    assert [item["id"] for item in blueai.get("/crm/deals").json()["items"]] == ids[:1]


def test_a_stage_that_is_gone_meanwhile_is_not_given_back(blueai: BlueAI) -> None:
    kept, lost = {"slug": "kept", "name": "Kept"}, {"slug": "gone", "name": "Gone"}
    pipeline = blueai.make("pipelines", {"name": "x", "stages": [kept, lost]})
    ids = deals(blueai, 1, pipeline_id=pipeline["id"], stage="gone")
    job_id = blueai.post("/crm/bulk/deals/update", {"ids": ids, "stage": "kept"}, detail=1).json()["job_id"]
    assert blueai.patch(f"/crm/pipelines/{pipeline['id']}", {"stages": [kept]}).status_code == 200
    back = undone(blueai, job_id)
    assert LeadOutcome.objects.get(action=back.pk).code == "value_gone"
    assert not OpportunityStatus.objects.filter(slug="gone").exists()


def test_deals_of_a_deleted_lead_are_not_found(blueai: BlueAI, membership: Membership) -> None:
    lead = factories.LeadFactory.create(organization=membership.organization, deleted_at=timezone.now())
    [deal] = deals(blueai, 1)
    Opportunity.objects.update(lead=lead)
    answer = blueai.post("/crm/bulk/deals/update", {"ids": [deal], "stage": "won"}).json()
    assert answer == {"processed": 0, "errors": [f"{deal}: not found"]}


@pytest.mark.parametrize(("path", "body"), [("update", {"stage": "won"}), ("delete", {})])
def test_who_lacks_the_permission_changes_nothing(
    blueai: BlueAI, membership: Membership, path: str, body: dict
) -> None:
    ids = deals(blueai, 1)
    membership.role = Role.RESTRICTED_USER
    membership.save()
    assert problem_of(blueai.post(f"/crm/bulk/deals/{path}", {"ids": ids, **body}), 403)["code"] == "FORBIDDEN"
    assert not BulkAction.objects.exists()


def test_jobs_over_deals_are_no_jobs_of_close_s(blueai: BlueAI, membership: Membership) -> None:
    ids = deals(blueai, 1)
    blueai.post("/crm/bulk/deals/delete", {"ids": [*ids, NOWHERE]})
    job = BulkAction.objects.get()
    close = {"headers": {"Authorization": f"Bearer {make_api_key(membership=membership)[1]}"}}
    for kind in ("delete", "edit", "email"):
        assert blueai.client.get(f"/api/v1/bulk_action/{kind}/", **close).json()["data"] == []
    query = {"type": "bulk_action", "bulk_action_id": job.api_id, "outcome": ["succeeded"]}
    body = json.dumps({"query": query})
    found = blueai.client.post("/api/v1/data/search/", body, content_type="application/json", **close)
    assert found.status_code == 400
    with pytest.raises(Invalid):
        retry(action=job, outcomes=["skipped"], caller=caller_of(membership))


@pytest.mark.django_db(transaction=True)
def test_two_calls_over_the_same_deals_take_turns(organization: Organization) -> None:
    membership = factories.MembershipFactory.create(organization=organization)
    blueai = BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])
    ids = deals(blueai, 20)
    calls = [
        Elsewhere(BlueAI(blueai.secret).post, "/crm/bulk/deals/update", {"ids": list(order), "stage": stage})
        for order, stage in ((ids, "won"), (ids[::-1], "lost"))
        for _ in range(3)
    ]
    assert [call.join().json() for call in calls] == [{"processed": 20, "errors": []}] * 6
    assert len(set(stages(ids))) == 1
    for job in BulkAction.objects.all():
        check_invariant(job)


def test_deals_deleted_long_ago_are_purged(blueai: BlueAI) -> None:
    ids = deals(blueai, 2)
    blueai.post("/crm/bulk/deals/delete", {"ids": ids})
    Opportunity.all_objects.filter(pk=parse_hex_id("deal", ids[0])).update(deleted_at="2020-01-01T00:00:00Z")

    purge()
    assert Opportunity.all_objects.count() == 1
    assert OpportunityStatusChange.objects.count() == 1
