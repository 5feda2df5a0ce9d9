"""`/export/` (close-api.md 4.13): what is asked for, what is in the file, and who may fetch it."""

import csv
import errno
import gzip
import io
import json
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from openpyxl import load_workbook
from pytest_django import Settings
from rest_framework.test import APIClient

from bulk_actions import exports, loading, retention, slots
from bulk_actions.doorbell import WRITER
from bulk_actions.export_columns import Reader
from bulk_actions.export_files import file_of_link, storage
from bulk_actions.export_smart import FIELDS
from bulk_actions.models import Batch, BulkAction, ExportFile, LeadOutcome
from bulk_actions.retrying import retry
from bulk_actions.runner import Slice, run_slice, write_file
from bulk_actions.services import cancel, pause, resume
from bulk_actions.states import Status
from bulk_actions.undoing import undo
from crm.api.close.conventions import close_datetime
from crm.auth import make_api_key
from crm.errors import Invalid, NotFound
from crm.ids import close_id
from crm.models import Lead, LeadStatus, Membership, Organization, OutboxMail, User
from tests import factories
from tests.bulk_actions.helpers import Elsewhere, caller_of, check_invariant, make_leads, run_to_end
from tests.conftest import client_with
from tests.contract import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

LEADS, OPPORTUNITIES = "/api/v1/export/lead/", "/api/v1/export/opportunity/"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings) -> Path:
    exports = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "exports": exports}
    return tmp_path


def ask(api: APIClient, path: str = LEADS, **body: Any) -> BulkAction:
    given = {"format": "csv", **({"type": "leads"} if path == LEADS else {}), **body}
    answer = api.post(path, given, format="json")
    assert answer.status_code == 200, answer.content
    check(path.removeprefix("/api/v1"), "post", 200, answer.json())
    return BulkAction.objects.latest("pk")


def shown(api: APIClient, action: BulkAction) -> dict[str, Any]:
    answer = api.get(f"/api/v1/export/{action.api_id}/")
    assert answer.status_code == 200
    check("/export/{id}/", "get", 200, answer.json())
    return answer.json()


def path_of(api: APIClient, action: BulkAction) -> str:
    """Of the link, which is good without a key."""
    url = shown(api, action)["download_url"]
    return url[url.index("/api/") :]


def answer_of(api: APIClient, action: BulkAction) -> Any:
    answer = Client().get(path_of(api, action))
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["X-Content-Type-Options"] == "nosniff"
    return answer


def fetch(api: APIClient, action: BulkAction) -> bytes:
    """The file as it comes through the link, uncompressed."""
    return unpacked(answer_of(api, action))


def unpacked(answer: Any) -> bytes:
    content = b"".join(answer.streaming_content)
    return gzip.decompress(content) if answer.headers.get("Content-Encoding") == "gzip" else content


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def exported(api: APIClient, path: str = LEADS, **body: Any) -> bytes:
    action = run_to_end(ask(api, path, **body))
    assert action.status == Status.DONE
    return fetch(api, action)


@pytest.fixture
def lead(status: LeadStatus) -> Lead:
    field = factories.CustomFieldFactory.create(organization=status.organization, name="起源")
    lead = factories.LeadFactory.create(
        organization=status.organization, status=status, name='株式会社"青"', description="=1+1\nnext 🌊",
        custom={field.key: "展示会"},
    )  # fmt: skip
    contact = factories.ContactFactory.create(lead=lead, name="Ida Moss", title="CEO")
    for place, name in enumerate(("ida", "moss")):
        contact.emails.create(organization=lead.organization, email=f"{name}@oakvale.example", position=place)
    contact.phones.create(organization=lead.organization, phone="+81312345678")
    factories.ContactFactory.create(lead=lead, name="Bo", position=1)
    lead.addresses.create(organization=lead.organization, city="Osaka", country="JP")
    return lead


def test_leads_as_csv_have_their_columns_and_no_formula(api: APIClient, lead: Lead) -> None:
    [row] = table(exported(api, include_addresses=True))
    assert row["id"] == close_id("lead", lead.pk)
    assert row["name"] == row["display_name"] == lead.name
    assert row["description"] == "'=1+1\nnext 🌊"
    assert (row["contact_name"], row["contact_email"], row["contact_phone"]) == (
        "Ida Moss", "ida@oakvale.example", "+81312345678",
    )  # fmt: skip
    assert (row["city"], row["country"], row["custom.起源"]) == ("Osaka", "JP", "展示会")
    assert row["status_label"] == lead.status.label


def test_columns_are_those_asked_for_in_that_order(api: APIClient, lead: Lead) -> None:
    content = exported(api, fields=["custom.起源", "name", "id"])
    assert content.decode().splitlines()[0] == "custom.起源,name,id"


@pytest.mark.parametrize(
    ("dates", "shown_as"),
    [("original", "2031-01-02T03:04:05.000000+00:00"), ("iso8601", "2031-01-02T03:04:05Z"),
     ("excel", "2031-01-02 03:04:05")],
)  # fmt: skip
def test_dates_are_written_as_asked(api: APIClient, lead: Lead, dates: str, shown_as: str) -> None:
    Lead.objects.update(date_created="2031-01-02T03:04:05Z")
    [row] = table(exported(api, date_format=dates))
    assert row["date_created"] == shown_as


@pytest.mark.parametrize(
    ("dates", "date", "moments"),
    [("original", "2031-01-02", ["2031-01-02T03:04:05.000000+00:00", "2031-01-02T03:04:05.250000+00:00"]),
     ("iso8601", "2031-01-02", ["2031-01-02T03:04:05Z", "2031-01-02T03:04:05.250000Z"]),
     ("excel", "2031-01-02", ["2031-01-02 03:04:05", "2031-01-02 03:04:05"])],
)  # fmt: skip
def test_custom_dates_are_written_as_asked_too(
    api: APIClient, status: LeadStatus, dates: str, date: str, moments: list[str]
) -> None:
    new = factories.CustomFieldFactory.create
    day, one = (new(organization=status.organization, type=type_, name=type_) for type_ in ("date", "datetime"))
    some = new(organization=status.organization, type="datetime", name="some", accepts_multiple_values=True)
    stored = [f"2031-01-02T03:04:05.{fraction:06}+00:00" for fraction in (0, 250_000)]
    custom = {day.key: "2031-01-02", one.key: stored[0], some.key: stored}
    factories.LeadFactory.create(organization=status.organization, status=status, custom=custom)
    fields = ["custom.date", "custom.datetime", "custom.some"]
    [row] = table(exported(api, date_format=dates, fields=fields))
    assert [row["custom.date"], row["custom.datetime"], json.loads(row["custom.some"])] == [date, moments[0], moments]
    book = load_workbook(io.BytesIO(exported(api, format="xlsx", date_format=dates, fields=fields)))
    cell = book.worksheets[0]["B2"].value
    assert cell == (datetime(2031, 1, 2, 3, 4, 5) if dates == "excel" else moments[0])


def test_programs_get_texts_as_they_are_and_the_file_says_so(api: APIClient, lead: Lead) -> None:
    for format in ("csv", "xlsx"):
        action = run_to_end(ask(api, format=format, raw=True, fields=["description"]))
        assert shown(api, action)["raw"]
        answer = answer_of(api, action)
        assert f'filename="leads_{action.date_created:%Y%m%d}_raw.{format}"' in answer["Content-Disposition"]
        content = unpacked(answer)
        text = (
            table(content)[0]["description"]
            if format == "csv"
            else load_workbook(io.BytesIO(content)).worksheets[0]["A2"].value
        )
        assert text == lead.description == "=1+1\nnext 🌊"


def test_a_spreadsheet_gets_a_byte_order_mark_and_programs_none(api: APIClient, lead: Lead) -> None:
    marked, plain = (exported(api, fields=["name"], bom=bom) for bom in (True, False))
    assert marked == b"\xef\xbb\xbf" + plain
    assert plain == exported(api, fields=["name"])


@pytest.mark.parametrize(
    ("format", "media_type", "packed"),
    [("csv", "text/csv; charset=utf-8", "gzip"), ("json", "application/json", "gzip"),
     ("jsonl", "application/x-ndjson", "gzip"),
     ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", None)],
)  # fmt: skip
def test_a_file_comes_packed_and_as_what_it_is(
    api: APIClient, lead: Lead, format: str, media_type: str, packed: str | None
) -> None:
    action = run_to_end(ask(api, format=format))
    answer = answer_of(api, action)
    assert (answer["Content-Type"], answer.headers.get("Content-Encoding")) == (media_type, packed)
    assert f'filename="leads_{action.date_created:%Y%m%d}.{format}"' in answer["Content-Disposition"]
    assert int(answer["Content-Length"]) == len(b"".join(answer.streaming_content)) == ExportFile.objects.get().size
    assert answer["Cache-Control"] == "private, no-store"


def test_there_are_no_custom_objects_and_json_has_the_dates_of_the_api(api: APIClient, lead: Lead) -> None:
    assert exported(api, include_custom_objects=True) == exported(api)
    [found] = json.loads(exported(api, format="json", date_format="excel"))
    assert found == api.get(f"/api/v1/lead/{found['id']}/").json()


def test_leads_as_json_are_what_the_api_answers_and_their_activities(api: APIClient, lead: Lead) -> None:
    note = factories.ActivityFactory.create(lead=lead)
    [found] = json.loads(exported(api, format="json", include_activities=True))
    [activity] = found.pop("activities")
    assert activity["id"] == close_id("acti", note.pk)
    assert found == api.get(f"/api/v1/lead/{found['id']}/").json()


def test_leads_as_json_have_the_smart_fields_that_searches_know(api: APIClient, lead: Lead, user: User) -> None:
    factories.OpportunityFactory.create(lead=lead, value=250050)
    call = factories.ActivityFactory.create(lead=lead, type="call", user=user)
    call.refresh_from_db()
    make_leads(lead.status, 1)
    found = json.loads(exported(api, format="json", include_smart_fields=True))
    mine, other = sorted(found, key=lambda shown: -shown["num_contacts"])
    assert (mine["num_contacts"], mine["num_calls"], mine["primary_contact_name"]) == (2, 1, "Ida Moss")
    assert mine["last_activity_date"] == close_datetime(call.activity_at)
    assert mine["last_call_user_id"] == close_id("user", user.pk)
    assert mine["total_active_opportunity_value"] == 250050
    assert (other["num_contacts"], other["last_activity_date"], other["primary_email"]) == (0, None, None)
    assert set(FIELDS) <= set(other)
    plain = api.get(f"/api/v1/lead/{mine['id']}/").json()
    assert {key: value for key, value in mine.items() if key not in set(FIELDS) - set(plain)} == plain
    chosen = exported(api, format="jsonl", include_smart_fields=True, fields=["name", "num_contacts"])
    assert {len(json.loads(line)) for line in chosen.splitlines()} == {2}


def test_jsonl_has_one_object_in_each_line_with_the_keys_asked_for(api: APIClient, status: LeadStatus) -> None:
    make_leads(status, 3)
    lines = exported(api, format="jsonl", fields=["name"]).decode().splitlines()
    assert sorted(json.loads(line)["name"] for line in lines) == ["Lead 0", "Lead 1", "Lead 2"]
    assert {len(json.loads(line)) for line in lines} == {1}


def test_xlsx_has_the_same_table(api: APIClient, lead: Lead) -> None:
    book = load_workbook(io.BytesIO(exported(api, format="xlsx", fields=["name", "description"])))
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert rows == [("name", "description"), (lead.name, "'=1+1\nnext 🌊")]


def test_contacts_are_those_of_the_leads_found(api: APIClient, lead: Lead, status: LeadStatus) -> None:
    factories.ContactFactory.create(lead=make_leads(status, 1)[0], name="Somebody")
    query = {"type": "id", "value": close_id("lead", lead.pk)}
    rows = table(exported(api, type="contacts", s_query=query))
    assert [row["name"] for row in rows] == ["Ida Moss", "Bo"]
    assert (rows[0]["email"], rows[0]["other_emails"], rows[0]["lead_name"]) == (
        "ida@oakvale.example", "moss@oakvale.example", lead.name,
    )  # fmt: skip
    objects = json.loads(exported(api, type="contacts", s_query=query, format="json"))
    assert objects == [api.get(f"/api/v1/contact/{row['id']}/").json() for row in rows]


CONTACTS_CALLED_BO = {
    "type": "and",
    "queries": [
        {"type": "object_type", "object_type": "contact"},
        {
            "type": "field_condition",
            "field": {"type": "regular_field", "object_type": "contact", "field_name": "name"},
            "condition": {"type": "text", "mode": "exact_value", "value": "Bo"},
        },
    ],
}


def test_a_query_for_contacts_gives_those_contacts_and_no_others_of_their_leads(api: APIClient, lead: Lead) -> None:
    bo = lead.contacts.get(name="Bo")
    [row] = table(exported(api, type="contacts", s_query=CONTACTS_CALLED_BO, include_addresses=True))
    assert (row["id"], row["name"], row["lead_name"], row["city"]) == (
        close_id("cont", bo.pk), "Bo", lead.name, "Osaka",
    )  # fmt: skip
    [found] = json.loads(exported(api, type="contacts", s_query=CONTACTS_CALLED_BO, format="json"))
    assert found == api.get(f"/api/v1/contact/{row['id']}/").json()
    [whole] = table(exported(api, s_query=CONTACTS_CALLED_BO))
    assert whole["id"] == close_id("lead", lead.pk), "an export of leads has the leads of what was found"


def test_a_contact_that_was_deleted_after_it_was_found_is_skipped(api: APIClient, lead: Lead) -> None:
    bo = lead.contacts.get(name="Bo")
    action = ask(api, type="contacts", s_query=CONTACTS_CALLED_BO)
    run_slice(action.pk)
    bo.delete()
    action = run_to_end(action)
    assert (action.n_succeeded, action.n_skipped) == (0, 1)
    assert table(fetch(api, action)) == []


def test_a_query_for_opportunities_gives_those_opportunities(api: APIClient, lead: Lead) -> None:
    big, small = (factories.OpportunityFactory.create(lead=lead, value=value) for value in (250000, 1))
    query = {"type": "and", "queries": [
        {"type": "object_type", "object_type": "opportunity"},
        {"type": "field_condition",
         "field": {"type": "regular_field", "object_type": "opportunity", "field_name": "value"},
         "condition": {"type": "number_range", "gt": 5}},
    ]}  # fmt: skip
    [row] = table(exported(api, type="lead_opps", s_query=query))
    assert row["id"] == close_id("oppo", big.pk)
    [found] = json.loads(exported(api, type="lead_opps", s_query=query, format="json"))
    assert found == api.get(f"/api/v1/opportunity/{row['id']}/").json()
    leads = {"type": "id", "value": close_id("lead", lead.pk)}
    assert len(table(exported(api, type="lead_opps", s_query=leads))) == 2
    assert small.pk != big.pk


def test_external_ids_are_columns_for_those_who_ask(api: APIClient, lead: Lead) -> None:
    Lead.objects.filter(pk=lead.pk).update(external_id="acme-7")
    lead.contacts.filter(name="Bo").update(external_id="p-9")
    assert not any("external" in name for name in table(exported(api))[0])
    assert table(exported(api, fields=["external_id"])) == [{"external_id": "acme-7"}]
    fields = ["external_id", "lead_external_id"]
    rows = table(exported(api, type="contacts", s_query=CONTACTS_CALLED_BO, fields=fields))
    assert rows == [{"external_id": "p-9", "lead_external_id": "acme-7"}]


def test_opportunities_of_leads_and_by_the_filters_of_their_list(api: APIClient, lead: Lead) -> None:
    big = factories.OpportunityFactory.create(lead=lead, value=250000, confidence=80)
    factories.OpportunityFactory.create(lead=lead, value=1)
    rows = table(exported(api, type="lead_opps"))
    assert [row["value"] for row in rows] == ["250000", "1"]
    assert (rows[0]["lead_name"], rows[0]["value_currency"]) == (lead.name, lead.organization.currency)
    chosen = {"params": {"status_id": close_id("stat", big.status_id)}}
    assert [row["id"] for row in table(exported(api, OPPORTUNITIES, **chosen))] == [close_id("oppo", big.pk)]
    [found] = json.loads(exported(api, OPPORTUNITIES, format="json", **chosen))
    assert found == api.get(f"/api/v1/opportunity/{found['id']}/").json()


def test_opportunities_are_found_sorted_and_of_the_leads_as_in_their_list(api: APIClient, lead: Lead) -> None:
    other = factories.LeadFactory.create(organization=lead.organization, status=lead.status, name="Oakvale")
    one, two, three = (
        factories.OpportunityFactory.create(lead=of, value=value, confidence=50)
        for of, value in ((lead, 200), (other, 300), (other, 100))
    )
    made = api.post("/api/v1/saved_search/", {"type": "lead", "name": "x", "query": "name:oakvale"}, format="json")
    view = made.json()["id"]
    for params, wanted in (
        ({}, [one, two, three]),
        ({"_order_by": "-value"}, [two, one, three]),
        ({"query": "value > 150 sort:value"}, [one, two]),
        ({"lead_query": "name:oakvale"}, [two, three]),
        ({"lead_saved_search_id": view, "_order_by": "value"}, [three, two]),
        ({"status_label__in": [one.status.label, three.status.label], "query": "value < 250"}, [one, three]),
    ):
        rows = table(exported(api, OPPORTUNITIES, params=params, fields=["id"]))
        assert [row["id"] for row in rows] == [close_id("oppo", deal.pk) for deal in wanted], params
        asked = {name: ",".join(value) if isinstance(value, list) else value for name, value in params.items()}
        listed = api.get("/api/v1/opportunity/", asked)
        assert {row["id"] for row in listed.json()["data"]} == {row["id"] for row in rows}


def test_the_order_and_the_limit_are_those_asked_for(api: APIClient, status: LeadStatus) -> None:
    make_leads(status, 30)
    sort = [{"direction": "desc", "field": {"type": "regular_field", "object_type": "lead", "field_name": "name"}}]
    rows = table(exported(api, sort=sort, results_limit=2))
    assert [row["name"] for row in rows] == ["Lead 9", "Lead 8"]


def test_an_export_of_nothing_is_a_header(api: APIClient, membership: Membership) -> None:
    assert exported(api, fields=["id", "name"]) == b"id,name\r\n"
    assert json.loads(exported(api, format="json")) == []


def test_the_words_of_exports_stand_for_those_of_the_engine(api: APIClient, lead: Lead) -> None:
    action = ask(api)
    words = {}
    for status in Status:
        BulkAction.objects.filter(pk=action.pk).update(status=status)
        words[status.value] = shown(api, action)["status"]
    assert words == {
        "created": "created", "loading": "started", "processing": "in_progress", "paused": "in_progress",
        "resuming": "in_progress", "done": "done", "error": "error",
    }  # fmt: skip


def test_lists_have_the_newest_first_and_lead_exports_their_own(api: APIClient, lead: Lead) -> None:
    first, second = ask(api), ask(api, OPPORTUNITIES)
    assert [one["id"] for one in api.get("/api/v1/export/").json()["data"]] == [second.api_id, first.api_id]
    assert [one["id"] for one in api.get(LEADS).json()["data"]] == [first.api_id]
    assert [one["id"] for one in api.get(OPPORTUNITIES).json()["data"]] == [second.api_id]
    assert api.get(f"{LEADS}{first.api_id}/").json()["id"] == first.api_id


def test_a_request_that_is_repeated_starts_one_export(api: APIClient, lead: Lead) -> None:
    body, key = {"format": "csv", "type": "leads"}, {"Idempotency-Key": "once"}
    answers = [api.post(LEADS, body, format="json", headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["id"] for answer in answers} == {BulkAction.objects.get().api_id}


def test_an_export_is_of_one_moment(
    api: APIClient, status: LeadStatus, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_STORED_BATCH = 10
    leads = make_leads(status, 25)
    action = ask(api, fields=["name"])
    part_done = exports.Steps.part_done

    def rename_all(self: exports.Steps, *args: object) -> None:
        side = self._session
        with side.cursor() as cursor:
            cursor.execute("UPDATE crm_lead SET name = 'changed'")
        part_done(self, *args)

    monkeypatch.setattr(exports.Steps, "part_done", rename_all)
    run_to_end(action)
    assert {row["name"] for row in table(fetch(api, action))} == {lead.name for lead in leads}


def test_a_pause_stops_between_parts_and_resuming_makes_a_whole_file(
    api: APIClient, status: LeadStatus, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path,
    membership: Membership,
) -> None:  # fmt: skip
    settings.BULK_STORED_BATCH = 10
    make_leads(status, 35)
    action = ask(api)
    rows, n_parts = Reader.rows, 0

    def pause_at_third(self: Reader, keys: Any) -> Any:
        nonlocal n_parts
        n_parts += 1
        if n_parts == 3:
            Elsewhere(pause, action=action, by=membership.user).join()
        return rows(self, keys)

    monkeypatch.setattr(Reader, "rows", pause_at_third)
    run_slice(action.pk)
    write_file(action.pk)
    action.refresh_from_db()
    assert (action.status, n_parts) == (Status.PAUSED, 3)
    assert shown(api, action)["download_url"] is None
    assert shown(api, action)["n_docs_processed"] == 20
    assert list(folder.iterdir()) == []
    check_invariant(action)
    resume(action=action, by=membership.user)
    action = run_to_end(action)
    assert len(table(fetch(api, action))) == 35
    assert (shown(api, action)["n_docs"], action.n_succeeded) == (35, 35)
    assert len(list(folder.iterdir())) == 1


def test_a_cancel_stops_between_parts_and_leaves_no_file(
    api: APIClient, status: LeadStatus, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path,
    membership: Membership,
) -> None:  # fmt: skip
    settings.BULK_STORED_BATCH = 10
    make_leads(status, 35)
    action = ask(api)
    run_slice(action.pk)
    rows, n_parts = Reader.rows, 0

    def cancel_at_second(self: Reader, keys: Any) -> Any:
        nonlocal n_parts
        n_parts += 1
        if n_parts == 2:
            Elsewhere(cancel, action=action, by=membership.user).join()
        return rows(self, keys)

    monkeypatch.setattr(Reader, "rows", cancel_at_second)
    write_file(action.pk)
    action.refresh_from_db()
    assert (action.status, action.error_code, action.n_succeeded, n_parts) == (Status.ERROR, "cancelled", 10, 2)
    assert shown(api, action)["download_url"] is None
    assert list(folder.iterdir()) == []
    check_invariant(action)


def test_a_crash_leaves_nothing_that_is_given_away_and_the_next_try_begins_anew(
    api: APIClient, status: LeadStatus, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    settings.BULK_STORED_BATCH = 10
    make_leads(status, 25)
    action = ask(api)
    run_slice(action.pk)
    with monkeypatch.context() as patched:
        # As after a kill: nothing of what would tidy up is run.
        patched.setattr(exports, "write_table", lambda out, *args, **kwargs: out.write(b"half a file") and kill())
        patched.setattr("django.core.files.storage.FileSystemStorage.delete", lambda self, name: None)
        with pytest.raises(KeyboardInterrupt):
            write_file(action.pk)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"half a file"]
    assert shown(api, action)["download_url"] is None
    action = run_to_end(action)
    assert len(table(fetch(api, action))) == 25
    assert len(list(folder.iterdir())) == ExportFile.objects.count() == 1


def test_a_file_whose_end_was_noted_is_given_away_though_nobody_heard_of_that(
    api: APIClient, status: LeadStatus, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    make_leads(status, 5)
    action = ask(api)
    run_slice(action.pk)
    end = exports.Steps.end

    def end_and_lose_the_answer(self: exports.Steps, *args: int) -> None:
        end(self, *args)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(exports.Steps, "end", end_and_lose_the_answer)
        write_file(action.pk)
    action = run_to_end(action)
    assert action.status == Status.DONE
    assert len(table(fetch(api, action))) == 5
    assert len(list(folder.iterdir())) == 1


def test_a_bulk_worker_finds_the_targets_and_leaves_the_file_to_who_writes_files(
    api: APIClient, lead: Lead, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[list[int]] = []
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda key, numbers=(0,), **_: rings.append(list(numbers)))
    action = ask(api)
    rings.clear()
    assert run_slice(action.pk) is Slice.NOTHING
    action.refresh_from_db()
    assert (action.status, action.n_leads, rings) == (Status.PROCESSING, 1, [[WRITER]])
    assert not ExportFile.objects.exists()
    assert run_to_end(action).status == Status.DONE


def test_two_who_write_the_same_file_make_one(
    api: APIClient, lead: Lead, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    action, rows, beside = ask(api), Reader.rows, []
    run_slice(action.pk)

    def with_another(self: Reader, keys: Any) -> Any:
        if not beside:
            beside.append(Elsewhere(write_file, action.pk).join())
        return rows(self, keys)

    monkeypatch.setattr(Reader, "rows", with_another)
    write_file(action.pk)
    assert len(beside) == ExportFile.objects.count() == len(list(folder.iterdir())) == 1
    assert len(table(fetch(api, action))) == 1
    check_invariant(action)


def test_a_worker_that_is_asked_to_end_leaves_the_file_to_the_next_one(
    api: APIClient, status: LeadStatus, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    settings.BULK_STORED_BATCH = 10
    make_leads(status, 25)
    action = ask(api)
    run_slice(action.pk)
    rows, n_parts = Reader.rows, 0

    def end_at_second(self: Reader, keys: Any) -> Any:
        nonlocal n_parts
        n_parts += 1
        if n_parts == 2:
            exports.stop_all()
        return rows(self, keys)

    with monkeypatch.context() as patched:
        patched.setattr(exports, "_ending", threading.Event())
        patched.setattr(Reader, "rows", end_at_second)
        write_file(action.pk)
    action.refresh_from_db()
    assert (action.status, action.unfinished_starts, n_parts) == (Status.PROCESSING, 0, 2)
    assert list(folder.iterdir()) == []
    assert len(table(fetch(api, run_to_end(action)))) == 25


def kill() -> None:
    raise KeyboardInterrupt


def test_an_export_that_kills_its_workers_ends(api: APIClient, lead: Lead) -> None:
    action = ask(api)
    run_slice(action.pk)
    BulkAction.objects.filter(pk=action.pk).update(unfinished_starts=10)
    write_file(action.pk)
    action.refresh_from_db()
    assert (action.status, action.error_code) == (Status.ERROR, "crashed_worker")


def test_a_cancelled_export_has_no_file(api: APIClient, lead: Lead, folder: Path) -> None:
    action = ask(api)
    assert api.post(f"/api/v1/export/{action.api_id}/cancel/").json()["status"] == "error"
    write_file(action.pk)
    assert shown(api, action)["download_url"] is None
    assert list(folder.iterdir()) == []


def test_what_was_deleted_meanwhile_is_skipped(api: APIClient, status: LeadStatus, membership: Membership) -> None:
    leads = make_leads(status, 5)
    action = ask(api)
    pause(action=action, by=membership.user)
    resume(action=action, by=membership.user)
    action.refresh_from_db()
    slots.start_if_free(action)
    loading.load(action.pk)
    Lead.objects.filter(pk=leads[2].pk).update(deleted_at=timezone.now())
    action = run_to_end(action)
    assert (action.n_succeeded, action.n_skipped) == (4, 1)
    assert len(table(fetch(api, action))) == 4
    assert LeadOutcome.objects.get(action=action.pk).lead_id == leads[2].pk


def test_a_storage_is_whatever_the_settings_say(api: APIClient, lead: Lead, settings: Settings, folder: Path) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "exports": memory}
    action = run_to_end(ask(api))
    assert [row["name"] for row in table(fetch(api, action))] == [lead.name]
    assert ExportFile.objects.get().size == storage().size(ExportFile.objects.get().name) > 0
    ExportFile.objects.update(date_created=timezone.now() - timedelta(days=8))
    retention.purge()
    assert (storage().listdir("")[1], list(folder.iterdir())) == ([], [])


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "xlsx"])
def test_an_object_store_holds_files_as_well(
    api: APIClient, status: LeadStatus, settings: Settings, folder: Path, format: str
) -> None:
    """Nobody can go back in what is written there."""
    make_leads(status, 300)
    plain = exported(api, format=format, fields=["id", "name"])
    store = {"BACKEND": "tests.bulk_actions.storages.ObjectStore"}
    settings.STORAGES = {**settings.STORAGES, "exports": store}
    there = exported(api, format=format, fields=["id", "name"])
    if format == "xlsx":
        books = [load_workbook(io.BytesIO(content)) for content in (plain, there)]
        first, second = (list(book.worksheets[0].values) for book in books)
        assert first == second
    else:
        assert plain == there
    assert storage().listdir("")[1] == [ExportFile.objects.latest("date_created").name]


def refuse(settings: Settings, *what: str) -> None:
    store = {"BACKEND": "tests.bulk_actions.storages.RefusingStore", "OPTIONS": {"refused": what}}
    settings.STORAGES = {**settings.STORAGES, "exports": store}


def test_a_storage_that_refuses_the_file_ends_the_job(api: APIClient, lead: Lead, settings: Settings) -> None:
    refuse(settings, "write", "delete")
    action = run_to_end(ask(api))
    assert (action.status, action.error_code) == (Status.ERROR, "storage_failed")
    assert action.error_message == "The file could not be written to its storage: it refused, or did not answer."
    check_invariant(action)


def test_a_storage_that_does_not_answer_is_told_to_who_fetches_a_file(
    api: APIClient, lead: Lead, settings: Settings
) -> None:
    action = run_to_end(ask(api))
    refuse(settings, "read")
    answer = Client().get(path_of(api, action))
    assert (answer.status_code, answer.json()) == (503, {"error": "The file cannot be read at the moment. Try again."})
    settings.STORAGES = {**settings.STORAGES, "exports": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    assert Client().get(path_of(api, action)).status_code == 404, "it is no longer there"


def test_a_storage_that_keeps_old_files_is_asked_again(api: APIClient, lead: Lead, settings: Settings) -> None:
    refuse(settings, "delete")
    run_to_end(ask(api))
    ExportFile.objects.update(date_created=timezone.now() - timedelta(days=8))
    retention.purge()
    [name] = ExportFile.objects.values_list("name", flat=True)
    storage().refused = ()
    retention.purge()
    assert not storage().exists(name)
    assert not ExportFile.objects.exists()


def test_a_text_too_long_for_a_spreadsheet_ends_the_job_and_says_where(
    api: APIClient, lead: Lead, folder: Path
) -> None:
    Lead.objects.filter(pk=lead.pk).update(description="x" * 32_768)
    action = run_to_end(ask(api, format="xlsx"))
    assert (action.status, action.error_code) == (Status.ERROR, "cell_too_long")
    assert "Row 1, column description" in shown(api, action)["error"]
    assert list(folder.iterdir()) == []
    assert len(table(exported(api, fields=["description"]))[0]["description"]) == 32_768


def test_a_full_disk_ends_the_job_and_leaves_no_file(
    api: APIClient, lead: Lead, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exports, "write_table", refuse)
    action = run_to_end(ask(api))
    assert (action.status, action.error_code) == (Status.ERROR, "storage_failed")
    assert "No space left" in shown(api, action)["error"]
    assert list(folder.iterdir()) == []


def test_the_done_mail_has_a_link_that_works(api: APIClient, lead: Lead) -> None:
    action = run_to_end(ask(api))
    body = OutboxMail.objects.get(source_id=action.pk).body_text
    url = next(word for word in body.split() if "token=" in word)
    answer = Client().get(url[url.index("/api/") :])
    assert answer.status_code == 200
    assert lead.name.replace('"', '""') in gzip.decompress(b"".join(answer.streaming_content)).decode()


def test_a_link_expires_and_is_issued_again(api: APIClient, lead: Lead, settings: Settings) -> None:
    action = run_to_end(ask(api))
    url = shown(api, action)["download_url"]
    settings.EXPORT_LINK_SECONDS = -1
    answer = Client().get(url[url.index("/api/") :])
    assert answer.status_code == 404
    assert "may have expired" in answer.json()["error"]
    settings.EXPORT_LINK_SECONDS = 60
    assert fetch(api, action)


def test_a_link_opens_its_own_export_alone(api: APIClient, lead: Lead) -> None:
    one, other = run_to_end(ask(api)), run_to_end(ask(api))
    token = shown(api, one)["download_url"].partition("token=")[2]
    assert Client().get(f"/api/v1/export/{other.api_id}/file/", {"token": token}).status_code == 404
    for wrong in ("", "x", token[:-1], signing.dumps("0" * 32, salt="bulk_actions.results")):
        assert Client().get(f"/api/v1/export/{one.api_id}/file/", {"token": wrong}).status_code == 404
    with pytest.raises(NotFound):
        file_of_link(None, token)


def test_another_organization_sees_no_export_and_none_of_the_data(api: APIClient, lead: Lead) -> None:
    action = run_to_end(ask(api))
    stranger = client_with(make_api_key(membership=factories.MembershipFactory.create())[1])
    assert stranger.get(f"/api/v1/export/{action.api_id}/").status_code == 404
    assert stranger.post(f"/api/v1/export/{action.api_id}/cancel/").status_code == 404
    assert stranger.put(f"/api/v1/export/{action.api_id}/", {"status": "paused"}, format="json").status_code == 404
    assert stranger.get("/api/v1/export/").json()["data"] == []
    theirs = run_to_end(ask(stranger))
    token = shown(stranger, theirs)["download_url"].partition("token=")[2]
    assert Client().get(f"/api/v1/export/{action.api_id}/file/", {"token": token}).status_code == 404
    assert table(fetch(stranger, theirs)) == table(exported(stranger, type="contacts")) == []
    assert table(exported(stranger, OPPORTUNITIES)) == []


def test_it_takes_the_permission_to_export(organization: Organization) -> None:
    restricted = factories.MembershipFactory.create(organization=organization, role="restricteduser")
    api = client_with(make_api_key(membership=restricted)[1])
    assert api.post(LEADS, {"format": "csv", "type": "leads"}, format="json").status_code == 403
    assert api.get("/api/v1/export/").status_code == 403


def test_files_are_removed_after_seven_days(api: APIClient, lead: Lead, folder: Path) -> None:
    action = run_to_end(ask(api))
    ExportFile.objects.update(date_created=timezone.now() - timedelta(days=6, hours=23))
    retention.purge()
    assert fetch(api, action)
    ExportFile.objects.update(date_created=timezone.now() - timedelta(days=7, minutes=1))
    retention.purge()
    assert list(folder.iterdir()) == []
    assert shown(api, action)["download_url"] is None
    assert Batch.objects.filter(action=action.pk).exists()


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"type": "leads"}, "format"),
        ({"format": "pdf", "type": "leads"}, "format"),
        ({"format": "csv"}, "type"),
        ({"format": "csv", "type": "opps"}, "type"),
        ({"format": ["csv"], "type": {}}, "type"),
        ({"format": "csv", "type": "leads", "date_format": "unix"}, "date_format"),
        ({"format": "csv", "type": "leads", "fields": ["nme"]}, "fields"),
        ({"format": "csv", "type": "leads", "fields": "name"}, "fields"),
        ({"format": "json", "type": "leads", "fields": ["n" * 301]}, "fields"),
        ({"format": "json", "type": "leads", "fields": ["name"] * 2_001}, "fields"),
        ({"format": "csv", "type": "leads", "include_activities": True}, "include_activities"),
        ({"format": "json", "type": "contacts", "include_activities": True}, "include_activities"),
        ({"format": "csv", "type": "leads", "include_smart_fields": True}, "include_smart_fields"),
        ({"format": "json", "type": "lead_opps", "include_smart_fields": True}, "include_smart_fields"),
        ({"format": "csv", "type": "leads", "include_addresses": 1}, "include_addresses"),
        ({"format": "csv", "type": "leads", "send_done_email": "no"}, "send_done_email"),
        ({"format": "csv", "type": "leads", "results_limit": "many"}, "results_limit"),
        ({"format": "csv", "type": "leads", "formt": "csv"}, "formt"),
        ({"format": "csv", "type": "leads", "raw": "yes"}, "raw"),
        ({"format": "json", "type": "leads", "raw": True}, "raw"),
        ({"format": "xlsx", "type": "leads", "bom": True}, "bom"),
    ],
)
def test_what_is_wrong_is_named(api: APIClient, body: dict[str, Any], key: str) -> None:
    answer = api.post(LEADS, body, format="json")
    assert answer.status_code == 400
    assert key in answer.json()["field-errors"]
    assert not BulkAction.objects.exists()


@pytest.mark.parametrize(
    "filters",
    [{"no_such": "x"}, {"date_won__gte": "soon"}, {"status_type": "maybe"}, {"value": 1},
     {"status_label__in": ["a, b"]}, {"status_label": ["a"]},
     {"lead_id": {"a": 1}}, {"_order_by": "id"}, {"_group_by": "user_id"}, {"query": "colour:red"},
     {"lead_query": "(a"}, {"lead_saved_search_id": "save_x"}, [], "x"],
)  # fmt: skip
def test_wrong_filters_of_opportunities_are_named(api: APIClient, filters: object) -> None:
    answer = api.post(OPPORTUNITIES, {"format": "csv", "params": filters}, format="json")
    assert answer.status_code == 400
    assert "params" in answer.json()["field-errors"]


def test_an_export_has_its_pages_in_the_admin(api: APIClient, lead: Lead, admin_client: Client) -> None:
    action = run_to_end(ask(api))
    page = admin_client.get(f"/admin/bulk_actions/bulkaction/{action.pk}/change/")
    assert page.status_code == 200
    assert "Export leads as CSV" in page.content.decode()
    assert "kept until" in page.content.decode()
    assert admin_client.get("/admin/bulk_actions/bulkaction/").status_code == 200


def test_the_pages_of_an_export_say_what_a_row_is_and_what_was_found(
    api: APIClient, lead: Lead, admin_client: Client
) -> None:
    deal = factories.OpportunityFactory.create(lead=lead, value=250000)
    shown = {}
    for name, action in {
        "lead_opps": run_to_end(ask(api, type="lead_opps")),
        "contacts": run_to_end(ask(api, type="contacts", s_query=CONTACTS_CALLED_BO)),
        "opps": run_to_end(ask(api, OPPORTUNITIES, params={"status_type": "active"})),
    }.items():
        under = f"/admin/bulk_actions/bulkaction/{action.pk}"
        pages = [admin_client.get(f"{under}/{page}/") for page in ("change", "results")]
        assert [page.status_code for page in pages] == [200, 200]
        shown[name] = "".join(page.content.decode() for page in pages)
    assert "an opportunity of the leads found" in shown["lead_opps"]
    assert close_id("lead", lead.pk) in shown["lead_opps"]
    assert close_id("cont", lead.contacts.get(name="Bo").pk) in shown["contacts"]
    assert "status_type = active" in shown["opps"]
    assert close_id("oppo", deal.pk) in shown["opps"]


def test_only_an_export_of_leads_can_be_spoken_of_in_queries(api: APIClient, lead: Lead) -> None:
    by_leads = run_to_end(ask(api, type="contacts"))
    by_contacts = run_to_end(ask(api, type="contacts", s_query=CONTACTS_CALLED_BO))
    node = {"type": "bulk_action", "outcome": ["succeeded"]}
    assert len(table(exported(api, s_query={**node, "bulk_action_id": by_leads.api_id}))) == 1
    body = {"format": "csv", "type": "leads", "s_query": {**node, "bulk_action_id": by_contacts.api_id}}
    answer = api.post(LEADS, body, format="json")
    assert (answer.status_code, answer.json()["field-errors"]) == (
        400, {"s_query.bulk_action_id": "Object does not exist."},
    )  # fmt: skip


def test_an_export_is_neither_retried_nor_undone(api: APIClient, lead: Lead, membership: Membership) -> None:
    action = run_to_end(ask(api))
    with pytest.raises(Invalid):
        undo(action=action, caller=caller_of(membership))
    with pytest.raises(Invalid):
        retry(action=action, outcomes=["skipped"], caller=caller_of(membership))
