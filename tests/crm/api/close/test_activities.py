"""`/activity/` and the types below it."""

import pytest

from crm.ids import close_id
from crm.models import Activity
from tests import factories
from tests.crm.api.close.conftest import Close

# The least that makes one of each type.
LEAST = {
    "note": {"note": "Met Ida"},
    "call": {},
    "email": {"status": "draft"},
    "sms": {"status": "sent", "text": "On our way"},
    "meeting": {},
}


@pytest.fixture
def lead(close: Close) -> dict[str, object]:
    return close.post("/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida"}]}).json()


def make(close: Close, lead: dict[str, object], type: str = "note", **more: object) -> dict[str, object]:
    answer = close.post(f"/activity/{type}/", {"lead_id": lead["id"], **LEAST[type], **more})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def ids(answer: object) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()["data"]]


@pytest.mark.parametrize("type", LEAST)
def test_each_type_is_made_fetched_changed_and_deleted(close: Close, lead: dict[str, object], type: str) -> None:
    contact_id = lead["contact_ids"][0]
    made = make(close, lead, type, contact_id=contact_id)
    me = close.get("/me/").json()["id"]
    assert (made["lead_id"], made["contact_id"], made["user_id"]) == (lead["id"], contact_id, me)
    path = f"/activity/{type}/{made['id']}/"
    assert close.get(path).json() == made
    assert close.put(path, {"contact_id": None, "user_id": None}).json()["contact_id"] is None
    assert ids(close.get(f"/activity/{type}/")) == [made["id"]]
    for other in {*LEAST} - {type}:
        assert close.get(f"/activity/{other}/{made['id']}/").status_code == 404
        assert ids(close.get(f"/activity/{other}/")) == []
    assert close.delete(path).json() == {}
    assert close.get(path).status_code == 404


def test_a_note_is_kept_in_both_forms(close: Close, lead: dict[str, object]) -> None:
    made = close.post("/activity/note/", {"lead_id": lead["id"], "note_html": "<p>Met <b>Ida</b> &amp; Lev</p>"}).json()
    assert (made["note"], made["note_html"]) == ("Met Ida & Lev", "<p>Met <b>Ida</b> &amp; Lev</p>")
    made = close.put(f"/activity/note/{made['id']}/", {"note_html": "<p>A &amp; B</p>"}).json()
    assert made["note"] == "A & B"
    made = close.put(f"/activity/note/{made['id']}/", {"note": "plain", "title": "T"}).json()
    assert (made["note"], made["note_html"], made["title"]) == ("plain", None, "T")


def test_a_call_has_numbers_in_one_form(close: Close, lead: dict[str, object]) -> None:
    made = make(
        close, lead, "call", phone="+1 (555) 010-0123", direction="inbound", duration=40, disposition="answered"
    )
    assert (made["_type"], made["status"], made["direction"], made["duration"]) == ("Call", "completed", "inbound", 40)
    assert made["remote_phone"] == made["phone"] == "+15550100123"
    assert made["source"] == "External"


def test_the_direction_of_a_message_follows_from_its_status(close: Close, lead: dict[str, object]) -> None:
    assert make(close, lead, "sms", status="inbox")["direction"] == "inbound"
    assert make(close, lead, "sms", status="sent")["direction"] == "outbound"
    assert make(close, lead, "email", status="inbox", sender="ida@oakvale.example")["direction"] == "incoming"
    sent = make(close, lead, "email", status="sent", to=["ida@oakvale.example"], cc=["lev@oakvale.example"])
    assert (sent["direction"], sent["to"], sent["cc"]) == ("outgoing", ["ida@oakvale.example"], ["lev@oakvale.example"])
    assert sent["date_sent"] is not None
    draft = make(close, lead, "email")
    assert draft["date_sent"] is None
    logged = close.put(f"/activity/email/{draft['id']}/", {"status": "sent", "bcc": ["x@oakvale.example"]}).json()
    assert logged["date_sent"] is not None
    assert (logged["bcc"], logged["cc"]) == (["x@oakvale.example"], [])


@pytest.mark.parametrize("status", ["outbox", "scheduled"])
def test_no_text_message_is_sent_yet(close: Close, lead: dict[str, object], status: str) -> None:
    answer = close.post("/activity/sms/", {"lead_id": lead["id"], **LEAST["sms"], "status": status})
    assert answer.status_code == 400
    assert answer.json()["field-errors"] == {"status": "Not supported yet."}
    assert not Activity.objects.exists()


def test_all_that_is_wrong_is_told_at_once(close: Close, lead: dict[str, object]) -> None:
    wrong = close.post("/activity/email/", {"status": "inbox", "to": ["a", 3], "template_id": "tmpl_x", "subject": 1})
    assert wrong.status_code == 400
    assert set(wrong.json()["field-errors"]) == {"lead_id", "sender", "to", "template_id", "subject"}
    wrong = close.post("/activity/call/", {"lead_id": lead["id"], "duration": -1, "status": "x", "activity_at": "soon"})
    assert set(wrong.json()["field-errors"]) == {"duration", "status", "activity_at"}
    for status in (None, "sent-ish"):
        assert close.post("/activity/sms/", {"lead_id": lead["id"], "status": status}).status_code == 400


def test_a_contact_is_one_of_the_lead_and_a_user_a_member(close: Close, lead: dict[str, object]) -> None:
    other = close.post("/lead/", {"contacts": [{"name": "Eve"}]}).json()
    stranger = close_id("user", factories.UserFactory.create().pk)
    refused = close.post(
        "/activity/note/",
        {"lead_id": lead["id"], "note": "x", "contact_id": other["contact_ids"][0], "user_id": stranger},
    )
    gone = "Object does not exist."
    assert refused.json()["field-errors"] == {"contact_id": gone, "user_id": gone}
    made = make(close, lead)
    refused = close.put(f"/activity/note/{made['id']}/", {"contact_id": other["contact_ids"][0]})
    assert refused.json()["field-errors"] == {"contact_id": gone}


def test_lists_are_filtered(close: Close, lead: dict[str, object]) -> None:
    other = close.post("/lead/", {"name": "Elm"}).json()
    old = make(close, lead, activity_at="2031-03-01T10:00:00Z", contact_id=lead["contact_ids"][0])
    new = make(close, lead, activity_at="2031-03-16T23:30:00Z")
    elsewhere = make(close, other, activity_at="2031-03-10")
    call = make(close, lead, "call", activity_at="2031-03-20")
    everything = [call["id"], new["id"], elsewhere["id"], old["id"]]
    assert ids(close.get("/activity/")) == everything
    assert ids(close.get("/activity/", _type="Note")) == everything[1:]
    assert ids(close.get("/activity/", _type__in="Call,Email")) == [call["id"]]
    assert close.get("/activity/", _type="Fax").status_code == 400
    assert ids(close.get("/activity/call/", _type="Note")) == []
    assert ids(close.get("/activity/call/", _type="Note,Call")) == [call["id"]]
    assert ids(close.get("/activity/note/", lead_id=lead["id"])) == [new["id"], old["id"]]
    assert ids(close.get("/activity/note/", contact_id=lead["contact_ids"][0])) == [old["id"]]
    assert ids(close.get("/activity/note/", id__in=f"{old['id']},{elsewhere['id']},acti_x")) == [
        elsewhere["id"],
        old["id"],
    ]
    assert ids(close.get("/activity/note/", lead_id="lead_x")) == []
    assert ids(close.get("/activity/note/", activity_at__gte="2031-03-16")) == [new["id"]]
    assert ids(close.get("/activity/note/", activity_at__lt="2031-03-10")) == [old["id"]]
    assert close.get("/activity/note/", activity_at__lt="soon").status_code == 400
    late = close.send("GET", "/activity/note/", query={"activity_at__gte": "2031-03-17"}, headers={"x-tz-offset": "2"})
    assert ids(late) == [new["id"]], "half past one on the 17th, two hours east"


def test_what_is_brought_over_keeps_its_date(close: Close, lead: dict[str, object]) -> None:
    made = make(close, lead, date_created="2020-01-01T00:00:00Z")
    assert made["date_created"] == made["activity_at"] == "2020-01-01T00:00:00.000000+00:00"


def test_a_meeting_is_written_down_and_changed(close: Close, lead: dict[str, object]) -> None:
    made = make(close, lead, "meeting", title="Demo", starts_at="2020-03-01T10:00:00Z", user_note_html="<b>Good</b>")
    assert (made["_type"], made["status"], made["note"]) == ("Meeting", "completed", "Good")
    assert made["activity_at"] == made["starts_at"] == "2020-03-01T10:00:00.000000+00:00"
    assert make(close, lead, "meeting")["status"] == "upcoming"
    assert make(close, lead, "meeting", starts_at="2020-03-01", status="canceled")["status"] == "canceled"
    path = f"/activity/meeting/{made['id']}/"
    times = {"starts_at": "2031-03-01T10:00:00Z", "ends_at": "2031-03-01T10:30:00Z"}
    changed = close.put(path, {"status": "completed", "location": "Oslo", **times}).json()
    assert (changed["duration"], changed["status"], changed["location"]) == (1800, "completed", "Oslo")
    assert close.put(path, {"ends_at": "2031-03-01T09:00:00Z"}).json()["field-errors"].keys() == {"ends_at"}


def test_activities_of_a_deleted_lead_are_gone(close: Close, lead: dict[str, object]) -> None:
    made = make(close, lead)
    close.delete(f"/lead/{lead['id']}/")
    path = f"/activity/note/{made['id']}/"
    assert ids(close.get("/activity/note/")) == ids(close.get("/activity/")) == []
    assert close.get(path).status_code == close.put(path, {}).status_code == close.delete(path).status_code == 404
    refused = close.post("/activity/note/", {"lead_id": lead["id"], "note": "x"})
    assert refused.json()["field-errors"] == {"lead_id": "Object does not exist."}


def test_their_activities_are_unknown(close: Close, stranger: Close, lead: dict[str, object]) -> None:
    made = make(close, lead)
    path = f"/activity/note/{made['id']}/"
    assert stranger.get(path).status_code == stranger.delete(path).status_code == 404
    assert stranger.put(path, {"note": 3}).status_code == 404
    assert ids(stranger.get("/activity/note/")) == ids(stranger.get("/activity/", lead_id=lead["id"])) == []
    refused = stranger.post("/activity/note/", {"lead_id": lead["id"], "note": "x"})
    assert refused.json()["field-errors"] == {"lead_id": "Object does not exist."}
    assert close.get(path).json() == made


def test_a_list_takes_few_queries(close: Close, lead: dict[str, object], django_assert_max_num_queries: object) -> None:
    for _ in range(5):
        make(close, lead)
    with django_assert_max_num_queries(10):
        assert len(ids(close.get("/activity/note/"))) == 5
