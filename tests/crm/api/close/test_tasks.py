"""`/task/`, and the tasks of a lead."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.ids import close_id, parse_close_id
from crm.models import Organization, Task
from tests import factories
from tests.crm.api.close.conftest import Close

TODAY = datetime.now(UTC).date()


@pytest.fixture
def lead(close: Close) -> dict[str, object]:
    return close.post("/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida"}]}).json()


def make(close: Close, lead: dict[str, object], **more: object) -> str:
    answer = close.post("/task/", {"lead_id": lead["id"], "text": "Call back", **more})
    assert answer.status_code == 200, answer.json()
    return answer.json()["id"]


def ids(close: Close, **query: object) -> list[str]:
    answer = close.get("/task/", **query)
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()["data"]]


def test_a_task_is_made_fetched_changed_and_deleted(close: Close, lead: dict[str, object]) -> None:
    task_id = make(close, lead, contact_id=lead["contact_ids"][0], date="2031-03-16", priority="high")
    task = close.get(f"/task/{task_id}/").json()
    assert (task["_type"], task["text"], task["date"], task["due_date"]) == (
        "lead",
        "Call back",
        "2031-03-16",
        "2031-03-16",
    )
    assert (task["lead_name"], task["contact_name"], task["assigned_to_name"]) == ("Oakvale", "Ida", "Jo Field")
    assert (task["view"], task["priority"], task["is_complete"]) == ("future", "high", False)
    changed = close.put(f"/task/{task_id}/", {"date": "2031-03-16T10:00:00+02:00", "priority": None, "text": None})
    assert changed.json()["date"] == "2031-03-16T08:00:00.000000+00:00"
    assert (changed.json()["priority"], changed.json()["text"]) == (None, "")
    done = close.put(f"/task/{task_id}/", {"is_complete": True, "date": None}).json()
    assert (done["view"], done["date"], done["is_dateless"]) == ("archive", None, True)
    assert close.delete(f"/task/{task_id}/").json() == {}
    assert close.get(f"/task/{task_id}/").status_code == 404


def test_what_is_wrong_is_told_at_once(close: Close, lead: dict[str, object]) -> None:
    wrong = close.post("/task/", {"_type": "voicemail", "date": "soon", "priority": "low", "is_complete": "yes"})
    assert set(wrong.json()["field-errors"]) == {"lead_id", "_type", "date", "priority", "is_complete"}
    stranger = close_id("user", factories.UserFactory.create().pk)
    wrong = close.post("/task/", {"lead_id": lead["id"], "assigned_to": stranger, "contact_id": lead["id"]})
    assert set(wrong.json()["field-errors"]) == {"contact_id"}
    wrong = close.post("/task/", {"lead_id": lead["id"], "assigned_to": stranger})
    assert wrong.json()["field-errors"] == {"assigned_to": "Object does not exist."}


def test_the_list_holds_other_types_only_when_asked(close: Close, lead: dict[str, object]) -> None:
    plain = make(close, lead)
    call = make(close, lead, _type="outgoing_call")
    assert ids(close) == [plain]
    assert ids(close, _type="all") == [call, plain]
    assert ids(close, _type="outgoing_call") == ids(close, _type__in="outgoing_call,voicemail") == [call]
    assert close.get("/task/", _type="fax").status_code == 400


def test_the_list_is_filtered_and_ordered(close: Close, lead: dict[str, object]) -> None:
    early = make(close, lead, date="2031-03-15")
    late = make(close, lead, date="2031-03-16T22:30:00Z", is_complete=True)
    never = make(close, lead, assigned_to=None)
    assert ids(close) == [never, late, early]
    assert ids(close, _order_by="date") == [early, late, never]
    assert ids(close, _order_by="-date") == [late, early, never]
    assert close.get("/task/", _order_by="text").status_code == 400
    assert ids(close, is_complete="true") == [late]
    assert ids(close, id=early) == ids(close, id__in=f"{early},task_x") == [early]
    assert ids(close, assigned_to=close.get("/me/").json()["id"]) == [late, early]
    assert ids(close, lead_id="lead_x") == []
    assert ids(close, date="2031-03-16") == ids(close, due_date__gt="2031-03-15") == [late]
    assert ids(close, date__lte="2031-03-16") == [late, early]
    assert ids(close, date__lt="2031-03-16T22:30:00Z") == [early]
    assert ids(close, date__gte="2031-03-15T00:00:00Z") == [late, early]
    assert ids(close, date__gte="2031-03-15T00:00:01Z") == [late]
    assert ids(close, date_created__lt="2020-01-01") == ids(close, date_updated__gte="2100-01-01") == []
    east = close.send("GET", "/task/", query={"date": "2031-03-17"}, headers={"x-tz-offset": "2"})
    assert [row["id"] for row in east.json()["data"]] == [late]
    for wrong in ({"date": "soon"}, {"is_complete": "perhaps"}, {"view": "attic"}):
        assert close.get("/task/", **wrong).status_code == 400


def test_views_go_by_the_day_of_the_caller(close: Close, lead: dict[str, object]) -> None:
    due = make(close, lead, date=TODAY.isoformat())
    dateless = make(close, lead)
    far = make(close, lead, date=(TODAY + timedelta(days=3)).isoformat())
    done = make(close, lead, is_complete=True)
    assert ids(close, view="inbox") == [dateless, due]
    assert ids(close, view="future") == [far]
    assert ids(close, view="archive") == [done]
    for view in ("inbox", "future", "archive"):
        assert {row["view"] for row in close.get("/task/", view=view).json()["data"]} == {view}


def test_many_tasks_are_changed_by_one_statement(close: Close, lead: dict[str, object]) -> None:
    tasks = [make(close, lead) for _ in range(4)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = close.put("/task/", {"is_complete": True, "date": "2031-01-01"}, id__in=",".join(tasks[:3]))
    assert (answer.status_code, answer.json()) == (200, {})
    assert len([query for query in queries if query["sql"].startswith('UPDATE "crm_task"')]) == 1
    assert sorted(ids(close, is_complete="true")) == sorted(tasks[:3])
    assert close.get(f"/task/{tasks[0]}/").json()["date"] == "2031-01-01"
    assert close.put("/task/", {"assigned_to": None}, view="archive").json() == {}
    assert Task.objects.filter(assigned_to=None).count() == 3


@pytest.mark.parametrize(
    "query",
    [{}, {"_type": "all"}, {"_fields": "id"}, {"id__in": ""}, {"id__in": "", "is_complete": "false"}, {"_limit": "1"},
     {"is_complete": "false", "lead": "x"}],
)  # fmt: skip
def test_a_bulk_update_without_a_clear_filter_is_refused(
    close: Close, lead: dict[str, object], query: dict[str, str]
) -> None:
    make(close, lead)
    answer = close.put("/task/", {"is_complete": True}, **query)
    assert answer.status_code == 400
    assert answer.json()["errors"] or answer.json()["field-errors"]
    assert not Task.objects.filter(is_complete=True).exists()


@pytest.mark.parametrize("body", [{}, {"text": "x"}, {"is_complete": None}, {"date": "soon"}, {"assigned_to": "x"}])
def test_a_bulk_update_refuses_what_it_cannot_change(
    close: Close, lead: dict[str, object], body: dict[str, object]
) -> None:
    task_id = make(close, lead)
    assert close.put("/task/", body, id__in=task_id).status_code == 400


def test_a_bulk_update_reaches_no_other_type_and_nothing_deleted(close: Close, lead: dict[str, object]) -> None:
    call = make(close, lead, _type="outgoing_call")
    close.put("/task/", {"is_complete": True}, id__in=call)
    assert not Task.objects.get(pk=parse_close_id("task", call)).is_complete
    close.delete(f"/lead/{lead['id']}/")
    close.put("/task/", {"is_complete": True}, id__in=call, _type="all")
    assert not Task.objects.get(pk=parse_close_id("task", call)).is_complete


def test_a_lead_shows_its_incomplete_tasks(close: Close, lead: dict[str, object]) -> None:
    first, _, call = make(close, lead), make(close, lead, is_complete=True), make(close, lead, _type="outgoing_call")
    shown = close.get(f"/lead/{lead['id']}/").json()["tasks"]
    assert [task["id"] for task in shown] == [first, call]
    assert shown[0] == close.get(f"/task/{first}/").json()


def test_their_tasks_are_unknown(close: Close, stranger: Close, lead: dict[str, object]) -> None:
    task_id = make(close, lead)
    path = f"/task/{task_id}/"
    assert stranger.get(path).status_code == stranger.delete(path).status_code == 404
    assert stranger.put(path, {"text": 3}).status_code == 404
    assert ids(stranger) == ids(stranger, lead_id=lead["id"]) == []
    assert stranger.put("/task/", {"is_complete": True}, id__in=task_id).json() == {}
    refused = stranger.post("/task/", {"lead_id": lead["id"]})
    assert refused.json()["field-errors"] == {"lead_id": "Object does not exist."}
    assert close.get(path).json()["is_complete"] is False


def test_tasks_of_a_deleted_lead_are_gone(close: Close, lead: dict[str, object], organization: Organization) -> None:
    task_id = make(close, lead)
    close.delete(f"/lead/{lead['id']}/")
    assert ids(close) == []
    assert close.get(f"/task/{task_id}/").status_code == 404
    assert Task.objects.filter(organization=organization).count() == 1
