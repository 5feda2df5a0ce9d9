import pytest

from crm.models import Membership, OpportunityStatus, Pipeline, Role
from tests.blueai import BlueAI, problem_of

STAGES = [
    {"slug": "new", "name": "新規", "sort_order": 0, "probability": 10},
    {"slug": "won", "name": "成約", "sort_order": 2, "probability": 100, "is_won": True},
    {"slug": "lost", "name": "失注", "sort_order": 1, "is_lost": True},
]


def test_an_organization_begins_with_the_documented_stages(blueai: BlueAI) -> None:
    [pipeline] = blueai.get("/crm/pipelines").json()["pipelines"]
    assert pipeline["is_default"] is True
    slugs = [stage["slug"] for stage in pipeline["stages"]]
    assert slugs == ["lead", "qualified", "proposal", "negotiation", "won", "lost"]
    assert [stage["slug"] for stage in pipeline["stages"] if stage["is_won"]] == ["won"]
    assert [stage["slug"] for stage in pipeline["stages"] if stage["is_lost"]] == ["lost"]


def test_a_pipeline_with_its_stages(blueai: BlueAI) -> None:
    made = blueai.make("pipelines", {"name": "新規事業", "stages": STAGES})
    assert (made["name"], made["is_default"], made["sort_order"]) == ("新規事業", False, 1)
    assert [(stage["slug"], stage["probability"], stage["is_won"], stage["is_lost"]) for stage in made["stages"]] == [
        ("new", 10, False, False),
        ("lost", None, False, True),
        ("won", 100, True, False),
    ]
    assert blueai.get(f"/crm/pipelines/{made['id']}").json() == {"pipeline": made}
    renamed = blueai.patch(f"/crm/pipelines/{made['id']}", {"name": "別名"}).json()["pipeline"]
    assert (renamed["name"], renamed["stages"]) == ("別名", made["stages"])


def test_without_stages_it_gets_those_of_a_new_organization(blueai: BlueAI) -> None:
    made = blueai.make("pipelines", {"name": "x"})
    assert [stage["slug"] for stage in made["stages"]][:2] == ["lead", "qualified"]


def test_there_is_exactly_one_default(blueai: BlueAI) -> None:
    second = blueai.make("pipelines", {"name": "x", "is_default": True})
    third = blueai.make("pipelines", {"name": "y", "sort_order": 0})
    shown = blueai.get("/crm/pipelines").json()["pipelines"]
    assert [pipeline["is_default"] for pipeline in shown] == [True, False, False]
    assert [pipeline["sort_order"] for pipeline in shown] == [0, 1, 2]
    assert shown[0]["id"] == second["id"]
    assert blueai.patch(f"/crm/pipelines/{third['id']}", {"is_default": True}).json()["pipeline"]["is_default"] is True
    refused = blueai.patch(f"/crm/pipelines/{third['id']}", {"is_default": False})
    assert problem_of(refused, 400)["param"] == "is_default"
    assert blueai.make("deals", {"name": "z"})["pipeline_id"] == third["id"]


def test_a_pipeline_with_deals_stays_and_so_does_the_last_one(blueai: BlueAI) -> None:
    second = blueai.make("pipelines", {"name": "x", "stages": STAGES})
    deal = blueai.make("deals", {"name": "x", "pipeline_id": second["id"], "stage": "lost"})
    path = f"/crm/pipelines/{second['id']}"
    assert problem_of(blueai.delete(path), 409)["code"] == "CONFLICT"
    assert problem_of(blueai.patch(path, {"stages": STAGES[:2]}), 409)["type"] == "conflict_error"
    assert OpportunityStatus.objects.filter(pipeline__name="x").count() == 3
    blueai.delete(f"/crm/deals/{deal['id']}")
    assert blueai.delete(path).json() == {"success": True}
    [last] = blueai.get("/crm/pipelines").json()["pipelines"]
    problem_of(blueai.delete(f"/crm/pipelines/{last['id']}"), 409)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": "x", "stages": {}}, "stages"),
        ({"name": "x", "stages": []}, "stages"),
        ({"name": "x", "stages": [3]}, "stages"),
        ({"name": "x", "stages": [{"slug": "a"}]}, "stages.0.name"),
        ({"name": "x", "stages": [{"slug": "a", "name": "a"}, {"slug": "a", "name": "b"}]}, "stages.slug"),
        ({"name": "x", "stages": [{"slug": "a", "name": "a", "is_won": True, "is_lost": True}]}, "stages.0.is_lost"),
        ({"name": "x", "is_default": "yes"}, "is_default"),
        ({"name": "x", "sort_order": -1}, "sort_order"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(blueai: BlueAI, body: dict, param: str) -> None:
    assert problem_of(blueai.post("/crm/pipelines", body), 400)["param"] == param
    assert Pipeline.objects.count() == 1


def test_only_who_may_customize_changes_pipelines(blueai: BlueAI, membership: Membership) -> None:
    membership.role = Role.USER
    membership.save()
    problem_of(blueai.post("/crm/pipelines", {"name": "x"}), 403)
    assert blueai.get("/crm/pipelines").status_code == 200
