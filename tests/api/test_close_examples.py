"""Every request that Close's documentation shows, with ids filled in, and what it says is answered (close-api.md)."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from bulk_actions.models import BulkAction
from crm.ids import close_id
from crm.models import Membership, Organization
from crm.setup import create_organization
from tests.crm.api.close.conftest import Close, basic
from tests.published import NAIVE, TEXT, ZONED, Every, close, shows

pytestmark = pytest.mark.django_db

Json = dict[str, Any]
NOBODY = "A" * 22
SHARED = {"n_leads": None, "n_leads_processed": 0, "n_objects": None, "n_objects_processed": 0}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda *args, **kwargs: None)
    settings.ALLOW_PRIVATE_SMTP_HOSTS = True


@pytest.fixture
def organization(db: None) -> Organization:
    return create_organization("Oakvale Sales")


@pytest.fixture
def jo(membership: Membership, api_key_secret: str) -> Close:
    return Close(api_key_secret)


@pytest.fixture
def ids(organization: Organization, membership: Membership, jo: Close) -> Json:
    """The ids that the examples name."""
    me = jo.get("/me/").json()
    lead = jo.post("/lead/", {"name": "Oakvale Mills", "contacts": [
        {"name": "Ida Moss", "title": "Founder", "emails": [{"type": "office", "email": "ida@oakvale.example"}]},
    ]}).json()  # fmt: skip
    account = jo.post("/connected_account/", {
        "identities": [{"name": "Jo Field", "email": "jo@oakvale.example"}],
        "smtp": {"host": "mail.oakvale.example", "port": 587, "use_ssl": True, "username": "jo", "password": "x"},
    }).json()  # fmt: skip
    template = {
        "name": "Hello", "subject": "Hello {{ contact.first_name }}", "is_shared": True,
        "body": "<p>Hello {{ contact.first_name }}, how is {{ lead.display_name }}?</p>",
    }  # fmt: skip
    return {
        "organization": close_id("orga", organization.pk),
        "user": me["id"],
        "lead": lead["id"],
        "contact": lead["contact_ids"][0],
        "status": me["organizations"][0]["lead_statuses"][1]["id"],
        "account": account["id"],
        "template": jo.post("/email_template/", template).json()["id"],
    }


def answered(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def by(ids: Json) -> Json:
    return {"organization_id": ids["organization"], "created_by": ids["user"], "updated_by": ids["user"]}


def dated(form: object) -> Json:
    return {"date_created": form, "date_updated": form}


# --- 1. what all of them have -----------------------------------------------------------------------------------------


def test_a_key_that_is_none(client: Any, db: None) -> None:
    answer = client.get("/api/v1/me/", headers={"Authorization": basic("api_demo.invented")})
    assert shows(answered(answer, 401), {"error": TEXT})


def test_an_id_that_is_not_there(jo: Close) -> None:
    answer = jo.post("/contact/", {"lead_id": "lead_doesNotExist", "name": "Ida Moss"})
    assert answered(answer, 400) == {"errors": [], "field-errors": {"lead": "Object does not exist."}}


def test_too_many_requests(jo: Close, settings: Settings) -> None:
    settings.API_REQUESTS_PER_SECOND = 1
    answer = next(answer for answer in (jo.get("/me/") for _ in range(50)) if answer.status_code == 429)
    told = {"error": TEXT, "rate_limit": 1, "rate_limit_type": "key", "rate_reset": TEXT, "rate_window": 1}
    assert shows(answer.json(), told)
    assert answer["RateLimit"].startswith("limit=1, remaining=0, reset=")
    assert int(answer["Retry-After"]) >= 1


def test_a_long_get_as_a_post(jo: Close, ids: Json) -> None:
    task = jo.post("/task/", {"lead_id": ids["lead"], "text": "Call back"}).json()
    body = {"_params": {"id__in": f"{task['id']},task_{NOBODY}", "_fields": "id,text"}}
    answer = jo.send("POST", "/task/", body, headers={"x-http-method-override": "GET"})
    assert answered(answer) == {"data": [{"id": task["id"], "text": "Call back"}], "has_more": False}


# --- 2. bulk actions --------------------------------------------------------------------------------------------------


def test_a_bulk_delete(jo: Close, ids: Json) -> None:
    nobody = {"type": "field_condition",
              "field": {"type": "regular_field", "object_type": "lead", "field_name": "num_contacts"},
              "condition": {"type": "number_range", "lte": 0, "gte": 0}}  # fmt: skip
    s_query = {"type": "and", "queries": [{"type": "object_type", "object_type": "lead"}, nobody]}
    body = {"s_query": s_query, "results_limit": 250, "send_done_email": False}
    assert shows(
        answered(jo.post("/bulk_action/delete/", body)),
        {"id": close("bulkdelete"), "bulk_object_type": "lead", **by(ids), **dated(ZONED), "query": None, **body,
         "sort": [], "status": "created", **SHARED},
    )  # fmt: skip


def test_a_bulk_edit_pause_and_resume(jo: Close, ids: Json) -> None:
    field = jo.post("/custom_field/lead/", {"name": "Origin", "type": "choices", "accepts_multiple_values": True,
                                            "choices": ["Spring fair", "Referral"]}).json()  # fmt: skip
    s_query = {"query": {"type": "object_type", "object_type": "lead"}}
    view = jo.post("/saved_search/", {"name": "Leads", "s_query": s_query}).json()["id"]
    body = {
        "s_query": {"type": "saved_search", "saved_search_id": view}, "type": "set_custom_field",
        "custom_field_id": field["id"], "custom_field_values": ["Spring fair", "Referral"],
        "custom_field_operation": "add",
    }  # fmt: skip
    job = answered(jo.post("/bulk_action/edit/", body))
    assert shows(
        job,
        {"id": close("bulkedit"), "type": "set_custom_field", "lead_status_id": None, "custom_field_name": "Origin",
         "custom_field_value": None, "status": "created", "s_query": body["s_query"], "send_done_email": True,
         **SHARED, **by(ids), **dated(ZONED)},
    )  # fmt: skip
    path = f"/bulk_action/edit/{job['id']}/"
    assert shows(answered(jo.put(path, {"status": "paused"})), {"id": job["id"], "status": "paused"})
    BulkAction.objects.update(date_paused=timezone.now() - timedelta(days=8))
    refused = answered(jo.put(path, {"status": "resuming"}), 400)
    assert refused == {"errors": [], "field-errors": {"status": "Cannot resume: paused more than 7 days ago."}}


def test_a_bulk_email(jo: Close, ids: Json) -> None:
    condition = {"type": "reference", "reference_type": "status.lead", "object_ids": [ids["status"]]}
    field = {"type": "regular_field", "object_type": "lead", "field_name": "status_id"}
    body = {
        "s_query": {"type": "and", "queries": [
            {"type": "object_type", "object_type": "lead"},
            {"type": "field_condition", "field": field, "condition": condition}]},
        "template_id": ids["template"], "contact_preference": "lead", "email_account_id": ids["account"],
        "sender": "jo@oakvale.example",
    }  # fmt: skip
    documented = {"id": close("bulkemail"), **body, "status": "created", **SHARED}
    assert shows(answered(jo.post("/bulk_action/email/", body)), {**documented, "sender": TEXT})


def test_a_bulk_subscription(jo: Close, ids: Json) -> None:
    step = {"step_type": "email", "delay": 0, "email_template_id": ids["template"]}
    sequence = jo.post("/sequence/", {"name": "Warm hello", "timezone": "Europe/Riga", "steps": [step]}).json()["id"]
    body = {
        "action_type": "pause", "sequence_id": sequence, "send_done_email": False,
        "s_query": {"type": "and", "queries": [{"type": "object_type", "object_type": "lead"}]},
    }  # fmt: skip
    none = ("calls_assigned_to", "contact_preference", "from_phone_number_id", "sender_account_id", "sender_email",
            "sender_name")  # fmt: skip
    documented = {"id": close("bulkseqsub"), **body, **dict.fromkeys(none), "status": "created", **SHARED}
    assert shows(answered(jo.post("/bulk_action/sequence_subscription/", body)), documented)


# --- 3. searches ------------------------------------------------------------------------------------------------------


def test_a_search(jo: Close, ids: Json) -> None:
    jo.post("/contact/", {"lead_id": ids["lead"], "name": "Lev Adler", "title": "Co-Founder"})
    title = {"type": "regular_field", "object_type": "contact", "field_name": "title"}
    founder = {"type": "text", "mode": "full_words", "value": "Founder"}
    answer = jo.post("/data/search/", {
        "query": {"type": "and", "queries": [
            {"type": "object_type", "object_type": "contact"},
            {"type": "field_condition", "field": title, "condition": founder}]},
        "_fields": {"contact": ["id", "name", "emails"]}, "_limit": 2, "include_counts": True, "results_limit": 500,
    })  # fmt: skip
    told = answered(answer)
    ida = {"__object_type": "contact", "id": ids["contact"], "name": "Ida Moss"}
    found = {contact["name"]: contact for contact in told["data"]}
    assert shows(found["Ida Moss"], {**ida, "emails": [{"email": "ida@oakvale.example", "type": "office"}]})
    assert shows(found["Lev Adler"], {"__object_type": "contact", "id": close("cont"), "emails": []})
    assert told["count"] == {"limited": 2, "total": 2}
    assert told["cursor"] is None


# --- 4. records -------------------------------------------------------------------------------------------------------


def test_a_lead(jo: Close, ids: Json) -> None:
    status = jo.post("/status/lead/", {"label": "Trial"}).json()["id"]
    field = jo.post("/custom_field/lead/", {"name": "Class", "type": "text"}).json()["id"]
    ida = {"name": "Ida Moss", "title": "Founder", "emails": [{"type": "office", "email": "ida@oakvale.example"}]}
    body = {"name": "Oakvale Mills", "status_id": status, "url": "https://oakvale.example", f"custom.{field}": "Gold"}
    lead = answered(jo.post("/lead/", {**body, "contacts": [ida]}))
    assert shows(
        lead,
        {"id": close("lead"), **body, "display_name": "Oakvale Mills", "status_label": "Trial", "description": None,
         "addresses": [], "contact_ids": [close("cont")],
         "contacts": [{"id": lead["contact_ids"][0], "name": "Ida Moss"}],
         "opportunities": [], "tasks": [], "html_url": TEXT, **by(ids), **dated(ZONED)},
    )  # fmt: skip


def test_a_contact(jo: Close, ids: Json) -> None:
    body = {"lead_id": ids["lead"], "name": "Lev Adler", "phones": [{"phone": "+15550100123", "type": "mobile"}]}
    phone = {"phone": "+15550100123", "phone_formatted": TEXT, "type": "mobile", "country": "US"}
    assert shows(
        answered(jo.post("/contact/", body)),
        {"id": close("cont"), "lead_id": ids["lead"], "name": "Lev Adler", "display_name": "Lev Adler", "title": None,
         "emails": [], "phones": [phone], "urls": [], "integration_links": [], **by(ids), **dated(ZONED)},
    )  # fmt: skip


def test_an_opportunity(jo: Close, ids: Json) -> None:
    [pipeline] = jo.get("/pipeline/").json()["data"]
    status = next(status["id"] for status in pipeline["statuses"] if status["label"] == "Proposal")
    body = {"lead_id": ids["lead"], "status_id": status, "value": 250000, "value_period": "annual", "confidence": 40}
    assert shows(
        answered(jo.post("/opportunity/", body)),
        {"id": close("oppo"), **body, "status_label": "Proposal", "status_type": "active",
         "pipeline_id": pipeline["id"], "pipeline_name": "Sales", "value_currency": "USD",
         "value_formatted": "$2,500 annually", "annualized_value": 250000, "expected_value": 100000, "date_won": None,
         "date_lost": None, "note": None, "contact_id": None, "user_id": ids["user"]},
    )  # fmt: skip


def test_statuses_and_pipelines(jo: Close, ids: Json) -> None:
    nurture = {"id": close("stat"), "label": "Nurture", "organization_id": ids["organization"]}
    assert shows(answered(jo.post("/status/lead/", {"label": "Nurture"})), nurture)
    [pipeline] = answered(jo.get("/pipeline/"))["data"]
    documented = {"id": close("pipe"), "name": "Sales", "organization_id": ids["organization"], **dated(NAIVE)}
    statuses = Every({"id": close("stat"), "label": TEXT, "type": TEXT})
    assert shows(pipeline, {**documented, "statuses": statuses})
    assert {"created_by", "updated_by"} <= pipeline.keys()
    assert {"Proposal": "active", "Won": "won"}.items() <= {s["label"]: s["type"] for s in pipeline["statuses"]}.items()


def test_tasks_in_bulk(jo: Close, ids: Json) -> None:
    tasks = [jo.post("/task/", {"lead_id": ids["lead"], "text": text}).json()["id"] for text in "ab"]
    assert answered(jo.put("/task/", {"is_complete": True}, id__in=",".join(tasks))) == {}
    assert all(jo.get(f"/task/{task}/").json()["is_complete"] for task in tasks)


def test_a_custom_field(jo: Close, ids: Json) -> None:
    choices = ["Spring fair", "Referral", "Web"]
    body = {"name": "Origin", "type": "choices", "accepts_multiple_values": True, "choices": choices}
    documented = {"id": close("cf"), **body, "description": None, "editable_with_roles": [], **by(ids)}
    assert shows(answered(jo.post("/custom_field/lead/", body)), documented)


def test_a_template_rendered(jo: Close, ids: Json) -> None:
    path = f"/email_template/{ids['template']}/render/"
    assert shows(
        answered(jo.get(path, lead_id=ids["lead"], contact_id=ids["contact"])),
        {"subject": "Hello Ida", "body": "<p>Hello Ida, how is Oakvale Mills?</p>", "email": "ida@oakvale.example",
         "contact_id": ids["contact"], "contact_display_name": "Ida Moss", "lead_id": ids["lead"],
         "lead_display_name": "Oakvale Mills"},
    )  # fmt: skip


def test_connected_accounts(jo: Close, ids: Json) -> None:
    [account] = answered(jo.get("/connected_account/", user_id=ids["user"]))["data"]
    assert shows(
        account,
        {"id": ids["account"], "_type": "custom_email", "user_id": ids["user"], "organization_id": ids["organization"],
         "identities": [{"name": "Jo Field", "email": "jo@oakvale.example"}], "send_status": "ok",
         "receive_status": None,
         "smtp": {"host": "mail.oakvale.example", "port": 587, "use_ssl": True, "username": "jo"}},
    )  # fmt: skip


def test_a_sequence_and_a_subscription(jo: Close, ids: Json) -> None:
    mail = {"step_type": "email", "delay": 0, "email_template_id": ids["template"], "threading": "new_thread"}
    call = {"step_type": "call", "delay": 172800, "required": False}
    body = {"name": "Warm hello", "timezone": "Europe/Riga", "steps": [mail, call]}
    sequence = answered(jo.post("/sequence/", body))
    steps = [
        {"id": close("seqstep"), **mail, "required": True},
        {"id": close("seqstep"), **call, "email_template_id": None, "threading": None},
    ]
    documented = {**body, "status": "active", "schedule": None, "steps": steps, **dated(NAIVE)}
    assert shows(sequence, {"id": close("seq"), **documented})
    order = {
        "sequence_id": sequence["id"], "contact_id": ids["contact"], "contact_email": "ida@oakvale.example",
        "sender_account_id": ids["account"], "sender_name": "Jo Field", "sender_email": "jo@oakvale.example",
    }  # fmt: skip
    assert shows(
        answered(jo.post("/sequence_subscription/", order), 201),
        {"id": close("sub"), **order, "lead_id": ids["lead"], "calls_assigned_to": None, "status": "active",
         "status_reason": None, "start_date": NAIVE, "organization_id": ids["organization"]},
    )  # fmt: skip


def test_an_email(jo: Close, ids: Json) -> None:
    who = {"lead_id": ids["lead"], "contact_id": ids["contact"], "status": "outbox", "to": ["ida@oakvale.example"]}
    body = {**who, "sender": "Jo Field <jo@oakvale.example>", "template_id": ids["template"]}
    none = ("bulk_email_action_id", "sequence_subscription_id", "date_sent")
    assert shows(
        answered(jo.post("/activity/email/", body)),
        {"_type": "Email", "id": close("acti"), **who, "direction": "outgoing", "subject": "Hello Ida", "cc": [],
         "bcc": [], **dict.fromkeys(none), "opens": [], "has_reply": False},
    )  # fmt: skip


def test_a_smart_view(jo: Close, ids: Json) -> None:
    field = {"type": "regular_field", "object_type": "lead", "field_name": "times_communicated"}
    quiet = {"type": "field_condition", "field": field, "condition": {"type": "number_range", "lte": 0, "gte": 0}}
    query = {"type": "and", "queries": [{"type": "object_type", "object_type": "lead"}, quiet]}
    s_query = {"query": query, "results_limit": None, "sort": []}
    body = {"name": "Quiet trials", "type": "lead", "is_shared": True, "s_query": s_query}
    assert shows(
        answered(jo.post("/saved_search/", body)),
        {"id": close("save"), **body, "is_user_dependent": False, "query": None, "selected_fields": None,
         "shared_with": [], "user_id": ids["user"], "organization_id": ids["organization"]},
    )  # fmt: skip


def test_an_export(jo: Close, ids: Json) -> None:
    body = {
        "format": "csv", "type": "leads", "date_format": "iso8601", "send_done_email": False,
        "s_query": {"type": "and", "queries": [{"type": "object_type", "object_type": "lead"}]},
    }  # fmt: skip
    documented = {"id": close("expo"), "status": "created", "download_url": None, "n_docs": None, "n_docs_processed": 0}
    assert shows(answered(jo.post("/export/lead/", body)), {**documented, **body})


def test_who_the_caller_is(jo: Close, ids: Json) -> None:
    told = answered(jo.get("/me/"))
    membership = {"id": close("memb"), "organization_id": ids["organization"], "role_id": "admin"}
    documented = {"id": ids["user"], "email": TEXT, "first_name": "Jo", "last_name": "Field", "image": None}
    organization = {"id": ids["organization"], "name": "Oakvale Sales"}
    assert shows(told, {**documented, "organizations": [organization], "memberships": [membership]})
    assert {"bulk_edit", "export"} <= set(told["memberships"][0]["permissions_granted"])
    assert isinstance(told["email_accounts"], list)


def test_an_unsubscribed_address(jo: Close, ids: Json) -> None:
    answer = answered(jo.post("/unsubscribe/email/", {"email": "ida@oakvale.example"}), 201)
    documented = {"email": "ida@oakvale.example", "organization_id": ids["organization"], "date_created": ZONED}
    assert shows(answer, documented)


@pytest.mark.parametrize(("method", "path"), [("GET", "/event/"), ("GET", "/webhook/"), ("POST", "/webhook/")])
def test_webhooks_and_the_event_log_of_close_are_no_part_of_this(jo: Close, method: str, path: str) -> None:
    assert jo.client.generic(method, f"/api/v1{path}", headers={"Authorization": basic(jo.secret)}).status_code == 404
