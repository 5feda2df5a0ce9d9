"""Whatever stands in a body is stored, or refused with a reason. Another organization's ids do not exist."""

from dataclasses import dataclass

import pytest
from pytest_django import Settings

from crm.models import Membership, Organization
from crm.setup import ensure_pipeline
from tests.crm.api.close.conftest import Close

Json = dict[str, object]
VALUES: list[object] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 10**30, 1e308, "", "x", "\0", "\ud800", "a" * 100_000, "0001-01-01",
    "9999-12-31", "9999-12-31T23:59:59-14:00", "2031-02-30", [], [[]], {}, {"a": 1}, ["x"], [None], [{"id": None}],
    "lead_" + "z" * 22,
]  # fmt: skip
_ALONE: list[object] = [True, -1, 2**63, "", "x", "9999-12-31", [[]], {"a": 1}]
_WHEN = ("date_created", "activity_at")
_ACTIVITY = ("lead_id", "contact_id", "user_id", *_WHEN, "title", "note", "status")
_CHANGE = ("new_status_id", "old_status_id", "user_id", *_WHEN)
# Address -> what its body may hold. `{task}` and the like: the id of one that is there.
BODIES: dict[str, tuple[str, ...]] = {
    "opportunity/": (
        "lead_id", "contact_id", "user_id", "status_id", "status", "pipeline_id", "value", "value_period", "confidence",
        "note", "date_won", "attachments", "custom", "custom.cf_x", "_fields",
    ),
    "task/": (
        "_type", "lead_id", "contact_id", "assigned_to", "text", "date", "due_date", "is_complete", "priority",
    ),
    "task/?id__in={task}": ("assigned_to", "date", "due_date", "is_complete"),
    "activity/note/": (*_ACTIVITY, "note_html"),
    "activity/call/": (*_ACTIVITY, "note_html", "direction", "duration", "disposition", "phone", "local_phone"),
    "activity/sms/": (*_ACTIVITY, "text", "direction", "remote_phone", "date_sent", "template_id"),
    "activity/email/": (*_ACTIVITY, "subject", "body_text", "body_html", "sender", "to", "cc", "date_sent"),
    "activity/meeting/": (*_ACTIVITY, "user_note_html", "location", "starts_at", "ends_at"),
    "activity/status_change/lead/": ("lead_id", *_CHANGE),
    "activity/status_change/opportunity/": ("opportunity_id", *_CHANGE),
    "lead/merge/": ("source", "destination"),
    "pipeline/": ("name", "statuses"),
    "status/opportunity/": ("label", "type", "pipeline_id"),
    "group/": ("name",),
    "group/{group}/member/": ("user_id",),
    "organization/{organization}/": ("name", "currency", "lead_statuses", "require_unsubscribe_link"),
    "membership/{membership}/": ("role_id", "auto_record_calls"),
}  # fmt: skip
_LEAST: dict[str, Json] = {"activity/email/": {"status": "draft"}, "activity/sms/": {"status": "sent"}}


@dataclass
class Ground:
    """The ids of one of each, by what it is called, as one member of an organization sees them."""

    close: Close
    ids: dict[str, str]

    def path(self, template: str) -> str:
        return "/" + template.format(**self.ids)


def prepared(close: Close, organization: Organization) -> Ground:
    ensure_pipeline(organization)
    me = close.get("/me/").json()
    lead = close.post("/lead/", {"contacts": [{"name": "Ida"}]}).json()
    of_lead = {"lead_id": lead["id"]}
    made = {name: close.post(f"/{name}/", of_lead).json()["id"] for name in ("opportunity", "task")}
    [shown] = me["organizations"]
    return Ground(
        close,
        {
            **made,
            "lead": lead["id"],
            "contact": lead["contact_ids"][0],
            "user": me["id"],
            "organization": shown["id"],
            "membership": me["memberships"][0]["id"],
            "lead_status": shown["lead_statuses"][0]["id"],
            "status": shown["opportunity_statuses"][0]["id"],
            "pipeline": shown["pipelines"][0]["id"],
            "group": close.post("/group/", {"name": "Sales"}).json()["id"],
        },
    )


@pytest.fixture
def ours(close: Close, organization: Organization) -> Ground:
    return prepared(close, organization)


@pytest.fixture
def theirs(stranger: Close, organization: Organization) -> Ground:
    [other] = Membership.objects.exclude(organization=organization)
    return prepared(stranger, other.organization)


def body_of(template: str, ours: Ground) -> Json:
    """One that is accepted, where something is needed."""
    needed: Json = dict(_LEAST.get(template, {}))
    if "lead_id" in BODIES[template]:
        needed["lead_id"] = ours.ids["lead"]
    if "opportunity_id" in BODIES[template]:
        needed["opportunity_id"] = ours.ids["opportunity"]
    return needed


@pytest.mark.parametrize("template", BODIES)
def test_any_value_of_any_key_is_stored_or_refused_with_a_reason(
    ours: Ground, settings: Settings, template: str
) -> None:
    settings.API_REQUESTS_PER_SECOND = 100_000
    method = "PUT" if template.startswith(("task/?", "organization", "membership")) else "POST"
    keys, least = BODIES[template], body_of(template, ours)
    bodies = [dict.fromkeys(keys, value) for value in VALUES]
    bodies += [{**least, key: value} for key in keys for value in _ALONE]
    for body in bodies:
        answer = ours.close.send(method, ours.path(template), body)
        assert answer.status_code in (200, 201, 400), (body, answer.content)
        if answer.status_code == 400:
            told = answer.json()
            assert told.get("error") or told["errors"] or told["field-errors"], body


FOREIGN = [
    ("opportunity/", "lead_id", "lead"),
    ("opportunity/", "contact_id", "contact"),
    ("opportunity/", "user_id", "user"),
    ("opportunity/", "status_id", "status"),
    ("opportunity/", "status_id", "lead_status"),
    ("opportunity/", "pipeline_id", "pipeline"),
    ("task/", "lead_id", "lead"),
    ("task/", "contact_id", "contact"),
    ("task/", "assigned_to", "user"),
    *(
        (f"activity/{name}/", f"{key}_id", key)
        for name in ("note", "call", "email", "sms", "meeting")
        for key in ("lead", "contact", "user")
    ),
    ("activity/status_change/lead/", "lead_id", "lead"),
    ("activity/status_change/lead/", "new_status_id", "lead_status"),
    ("activity/status_change/opportunity/", "opportunity_id", "opportunity"),
    ("activity/status_change/opportunity/", "new_status_id", "status"),
    ("lead/merge/", "source", "lead"),
    ("lead/merge/", "destination", "lead"),
    ("status/opportunity/", "pipeline_id", "pipeline"),
    ("group/{group}/member/", "user_id", "user"),
]


@pytest.mark.parametrize(("template", "key", "kind"), FOREIGN)
def test_the_ids_of_others_do_not_exist(ours: Ground, theirs: Ground, template: str, key: str, kind: str) -> None:
    body = {"note": "x", "label": "New", **body_of(template, ours)}
    body |= {"activity/status_change/lead/": {"new_status_id": ours.ids["lead_status"]}}.get(template, {})
    body |= {"activity/status_change/opportunity/": {"new_status_id": ours.ids["status"]}}.get(template, {})
    body |= {"lead/merge/": {"source": ours.ids["lead"], "destination": ours.ids["lead"]}}.get(template, {})
    answer = ours.close.post(ours.path(template), {**body, key: theirs.ids[kind]})
    assert answer.status_code == 400
    assert answer.json()["field-errors"] == {key: "Object does not exist."}


@pytest.mark.parametrize(
    "template",
    [
        "opportunity/{opportunity}/", "task/{task}/", "pipeline/{pipeline}/", "status/opportunity/{status}/",
        "status/lead/{lead_status}/", "group/{group}/", "organization/{organization}/", "user/{user}/",
        "membership/{membership}/",
    ],
)  # fmt: skip
def test_the_addresses_of_others_are_not_found(ours: Ground, theirs: Ground, template: str) -> None:
    path = theirs.path(template)
    if not template.startswith("membership"):
        before = theirs.close.get(path).json()
        assert ours.close.get(path).status_code == 404
    if not template.startswith("user"):
        assert ours.close.put(path, {"name": 3, "label": 3, "text": 3}).status_code == 404
    if not template.startswith(("user", "organization", "membership")):
        assert ours.close.delete(path).status_code == 404
    if not template.startswith("membership"):
        assert theirs.close.get(path).json() == before
