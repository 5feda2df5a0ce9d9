"""What people send to `/bulk_action/import/`, whatever program has made it, and how they say what is in it."""

import csv
import io
import json
import zipfile

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from bulk_actions.import_results import counts_of
from bulk_actions.models import BulkAction, Upload
from bulk_actions.retention import erase
from crm.files.writing import write_table
from crm.ids import close_id
from crm.models import Contact, CustomField, FieldType, Lead, LeadStatus, Membership
from tests import factories
from tests.bulk_actions.api.importing import PATH, file_of, finished, send

COMPANY, PERSON = "株式会社「青」商事", "山田 太郎"
TABLE = f"会社名,氏名,メール\r\n{COMPANY},{PERSON},taro@test.example\r\n"


def zipped(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", bytes(size))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "encoding", "delimiter"),
    [
        (TABLE.encode(), "utf-8", ","),
        (TABLE.encode("utf-8-sig"), "utf-8", ","),
        (TABLE.encode("utf-16"), "utf-16-le", ","),
        ("\ufeff".encode("utf-16-be") + TABLE.encode("utf-16-be"), "utf-16-be", ","),
        (TABLE.encode("cp932"), "cp932", ","),
        (TABLE.replace(",", "\t").encode(), "utf-8", "\t"),
        (TABLE.replace(",", ";").encode(), "utf-8", ";"),
        (TABLE.replace("\r\n", "\n").encode(), "utf-8", ","),
    ],
)
def test_a_file_is_read_however_it_was_saved(
    api: APIClient, status: LeadStatus, data: bytes, encoding: str, delimiter: str
) -> None:
    shown = send(api, data, path=f"{PATH}preview/")
    assert (shown["encoding"], shown["delimiter"]) == (encoding, delimiter)
    finished(send(api, data))
    contact = Contact.objects.get()
    assert (contact.lead.name, contact.name, contact.emails.get().email) == (COMPANY, PERSON, "taro@test.example")


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (b"Company,Email\nA\0B,a@x.example\n", "nul_character", "byte 15"),
        ("Company\nA\n".encode("utf-16-le"), "nul_character", "byte 1"),
        (zipped(5_000_000), "zip_bomb", ""),
        (",".join(f"c{i}" for i in range(2_000)).encode() + b"\n", "too_many_columns", "1,000 columns"),
        (b"Company," + b"x" * 500_000, "line_too_long", "Line 1"),
        (b"Company\nA\x81\n", "unknown_encoding", "byte 9"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "unknown_format", "Save it as XLSX or CSV"),
        (b"Company,,Email\nA,,a@x.example\n", "unnamed_column", "Column 2"),
    ],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}preview/"])
def test_a_file_that_cannot_be_read_is_refused_at_once_with_its_reason_and_not_kept(
    api: APIClient, status: LeadStatus, data: bytes, code: str, told: str, path: str
) -> None:
    response = api.post(path, {"file": file_of(data)}, format="multipart")
    assert response.status_code == 400
    problem = response.json()["field-errors"]["file"]
    assert problem.startswith(f"{code}: ")
    assert told in problem
    assert not Upload.objects.exists()
    assert not BulkAction.objects.exists()


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(api: APIClient, status: LeadStatus) -> None:
    with override_settings(FILE_MAX_BYTES=1_000):
        response = api.post(PATH, {"file": file_of("Company\n" + "A\n" * 600)}, format="multipart")
        assert (response.status_code, "file_too_large" in response.json()["field-errors"]["file"]) == (400, True)
        huge = api.post(PATH, {"file": file_of("Company\n" + "A" * 2_000_000)}, format="multipart")
        assert (huge.status_code, "1,000 bytes" in str(huge.json())) == (400, True)
    assert not Upload.objects.exists()


def test_whoever_knows_the_encoding_says_it(api: APIClient, status: LeadStatus) -> None:
    """These bytes are CP932 too, of which nobody would see any sense."""
    data = "Company\nChérie\n".encode("cp1252")
    assert send(api, data, path=f"{PATH}preview/")["rows"][0]["values"] != {"lead.name": "Chérie"}
    shown = send(api, data, path=f"{PATH}preview/", encoding="Windows-1252")
    assert (shown["encoding"], shown["rows"][0]["values"]) == ("cp1252", {"lead.name": "Chérie"})
    finished(send(api, data, encoding="windows-1252"))
    assert Lead.objects.get().name == "Chérie"
    refused = api.post(PATH, {"file": file_of(data), "encoding": "utf-8"}, format="multipart")
    assert "UTF-8: see byte 10" in refused.json()["field-errors"]["file"]
    unknown = api.post(PATH, {"file": file_of(data), "encoding": "klingon"}, format="multipart")
    assert "shift_jis" in unknown.json()["field-errors"]["encoding"]


def test_the_first_five_rows_of_each_kind_of_problem_are_told_and_all_are_counted(
    api: APIClient, status: LeadStatus
) -> None:
    text = "Company,Email,Status\n" + "A,nobody,\n" * 7 + "B,b@x.example,Lost\n" * 2 + "C,c@x.example,\n"
    action = finished(send(api, text, max_failure_ratio=1))
    problems = api.get(f"{PATH}{action.api_id}/").json()["problems"]
    assert [(one["code"], one["n_rows"], [row["line"] for row in one["first"]]) for one in problems] == [
        ("bad_email", 7, [2, 3, 4, 5, 6]),
        ("unknown_status", 2, [9, 10]),
    ]
    assert problems[0]["first"][0] == {
        "row": 1, "line": 2, "column": "Email", "value": "nobody", "message": "This is no email address."
    }  # fmt: skip


def test_a_preview_shows_lists_as_the_api_spells_them(
    api: APIClient, membership: Membership, status: LeadStatus
) -> None:
    field = factories.CustomFieldFactory.create(
        organization=status.organization, object_type="contact", type=FieldType.USER, name="Buddy"
    )
    buddy = close_id("user", membership.user_id)
    contact = {"name": "Ida", "phones": [{"phone": "0311111111", "type": "home"}], f"custom.cf_{field.key}": buddy}
    said = {"name": "A", "contacts": [contact], "addresses": [{"city": "Fir"}]}
    shown = send(api, json.dumps(said), path=f"{PATH}preview/", name="leads.jsonl")
    assert shown["rows"][0]["values"] == {
        "lead.name": "A", "lead.contacts": [contact], "lead.addresses": [{"city": "Fir"}]
    }  # fmt: skip
    shown = send(api, "Company,Email,Other emails\nA,a@x.example,b@x.example\n", path=f"{PATH}preview/")
    assert shown["rows"][0]["values"]["contact.emails"] == [{"email": "b@x.example", "type": "office"}]


def test_an_import_is_paused_and_resumed_over_the_api(api: APIClient, status: LeadStatus) -> None:
    answer = send(api, TABLE)
    address = f"{PATH}{answer['id']}/"
    assert api.put(address, {"status": "paused"}).json()["status"] == "paused"
    assert not Lead.objects.exists()
    assert api.put(address, {"status": "resuming"}).status_code == 200
    assert (finished(answer).n_succeeded, Lead.objects.count()) == (1, 1)


def test_a_forced_undo_takes_back_what_was_changed_since(api: APIClient, status: LeadStatus) -> None:
    action = finished(send(api, TABLE))
    Lead.objects.get()
    assert api.put(f"/api/v1/lead/{close_id('lead', Lead.objects.get().pk)}/", {"name": "Mine"}).status_code == 200
    undone = finished(api.post(f"{PATH}{action.api_id}/undo/", {"force": True}).json())
    assert (undone.n_succeeded, undone.n_skipped, Lead.objects.count()) == (1, 0, 0)


# --- how a column is read ---------------------------------------------------------------------------------------------


@pytest.fixture
def tags(status: LeadStatus) -> CustomField:
    return factories.CustomFieldFactory.create(
        organization=status.organization, name="Tags", type=FieldType.CHOICES, choices=["a", "b", "c; d"],
        accepts_multiple_values=True,
    )  # fmt: skip


@pytest.fixture
def since(status: LeadStatus) -> CustomField:
    return factories.CustomFieldFactory.create(organization=status.organization, name="Since", type=FieldType.DATE)


def test_an_empty_cell_empties_the_field_of_a_column_that_says_so(
    api: APIClient, status: LeadStatus, tags: CustomField
) -> None:
    header = "Company,Email,Website,City,Title,Tags\n"
    finished(send(api, f"{header}A,a@x.example,https://a.example,Fir,Boss,a;b\n"))
    lead = Lead.objects.get()
    held = (lead.url, lead.custom, lead.addresses.get().city, lead.contacts.get().title)
    assert held == ("https://a.example", {tags.key: ["a", "b"]}, "Fir", "Boss")
    finished(send(api, f"{header}A,a@x.example,,,,\n"))
    lead.refresh_from_db()
    assert (lead.url, lead.custom) == held[:2], "unless it is asked for, nothing is lost"
    mapping = {
        "Company": "lead.name", "Email": "contact.email", "Website": {"field": "lead.url", "empty": "clear"},
        "City": {"field": "address.city", "empty": "clear"}, "Title": {"field": "contact.title", "empty": "clear"},
        "Tags": {"field": f"custom.cf_{tags.key}", "empty": "clear"},
    }  # fmt: skip
    answer = send(api, f"{header}A,a@x.example,,,,\nNew,new@x.example,,,,\n", mapping=mapping)
    assert answer["mapping"]["Tags"] == {"field": f"lead.custom.cf_{tags.key}", "empty": "clear"}
    action = finished(answer)
    lead.refresh_from_db()
    assert (lead.url, lead.custom, lead.addresses.get().city, lead.contacts.get().title) == (None, {}, None, None)
    new = Lead.objects.get(name="New")
    assert (new.url, new.custom, new.addresses.count()) == (None, {}, 0)
    undone = finished(api.post(f"{PATH}{action.api_id}/undo/", {}).json())
    assert (undone.n_succeeded, undone.n_skipped) == (2, 0)
    lead.refresh_from_db()
    assert (lead.url, lead.custom, lead.addresses.get().city, lead.contacts.get().title) == held


def test_an_undo_leaves_a_lead_whose_emptied_field_was_filled_since(
    api: APIClient, status: LeadStatus, tags: CustomField
) -> None:
    finished(send(api, "Company,Email,Tags\nA,a@x.example,a\n"))
    mapping = {"Email": "contact.email", "Tags": {"field": f"custom.cf_{tags.key}", "empty": "clear"}}
    action = finished(send(api, "Email,Tags\na@x.example,\n", mapping=mapping))
    Lead.objects.update(custom={tags.key: ["b"]})
    undone = finished(api.post(f"{PATH}{action.api_id}/undo/", {}).json())
    assert (undone.n_skipped, Lead.objects.get().custom) == (1, {tags.key: ["b"]})


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2031/3/4", None, "2031-03-04"),
        ("2031年3月4日", None, "2031-03-04"),
        ("2031-03-04 00:00:00", None, "2031-03-04"),
        ("04.03.2031", "dmy", "2031-03-04"),
        ("3/4/2031", "mdy", "2031-03-04"),
        ("2031-03-04", "mdy", "2031-03-04"),
    ],
)
def test_dates_are_read_as_spreadsheets_write_them(
    api: APIClient, since: CustomField, text: str, order: str | None, day: str
) -> None:
    field = f"custom.cf_{since.key}"
    mapping = {"Company": "lead.name", "Since": {"field": field, "date_format": order}}
    finished(send(api, f"Company,Since\nA,{text}\n", mapping=mapping))
    assert Lead.objects.get().custom == {since.key: day}


@pytest.mark.parametrize(("text", "code"), [("3/4/2031", "ambiguous_date"), ("2031-02-30", "bad_value")])
def test_a_date_that_nobody_can_know_is_told(api: APIClient, since: CustomField, text: str, code: str) -> None:
    action = finished(send(api, f"Company,Since\nA,{text}\n", max_failure_ratio=1))
    [problem] = api.get(f"{PATH}{action.api_id}/").json()["problems"]
    assert (problem["code"], problem["first"][0]["column"]) == (code, "Since")


@pytest.mark.parametrize(
    ("cell", "separator", "values"),
    [("a;b", None, ["a", "b"]), ("c; d", None, ["c; d"]), ("a | b", "|", ["a", "b"]), ('"[""b""]"', "|", ["b"])],
)
def test_several_values_stand_in_one_cell(
    api: APIClient, tags: CustomField, cell: str, separator: str | None, values: list[str]
) -> None:
    mapping = {"Company": "lead.name", "Tags": {"field": f"custom.cf_{tags.key}", "separator": separator}}
    finished(send(api, f"Company,Tags\nA,{cell}\n", mapping=mapping))
    assert Lead.objects.get().custom == {tags.key: values}


@pytest.mark.parametrize(
    ("mapped", "key", "told"),
    [
        ({"field": "lead.name", "empty": "clear"}, "mapping.Company.empty", "cannot be emptied"),
        ({"field": "lead.url", "empty": "perhaps"}, "mapping.Company.empty", "skip or clear"),
        ({"field": "lead.url", "date_format": "dmy"}, "mapping.Company.date_format", "holds no date"),
        ({"field": "lead.url", "separator": ";"}, "mapping.Company.separator", "one value"),
        ({"field": "lead.url", "colour": "red"}, "mapping.Company.colour", "Unknown key"),
        ({"empty": "clear"}, "mapping.Company", "no such field"),
        ("lead.nme", "mapping.Company", "Did you mean lead.name?"),
        ([], "mapping.Company", "no such field"),
    ],
)
def test_what_is_wrong_with_a_column_is_told_by_its_name(
    api: APIClient, status: LeadStatus, mapped: object, key: str, told: str
) -> None:
    kept = send(api, "Company\nA\n", path=f"{PATH}upload/")
    response = api.post(PATH, {"upload_id": kept["id"], "mapping": {"Company": mapped}})
    assert response.status_code == 400
    assert told in response.json()["field-errors"][key]


# --- the next file ----------------------------------------------------------------------------------------------------


def test_what_records_are_known_again_by_is_not_emptied(api: APIClient, since: CustomField) -> None:
    field = f"custom.cf_{since.key}"
    kept = send(api, "Company,Since\nA,2031-01-02\n", path=f"{PATH}upload/")["id"]
    mapping = {"Company": "lead.name", "Since": {"field": field, "empty": "clear"}}
    response = api.post(PATH, {"upload_id": kept, "mapping": mapping, "match": [field]})
    assert "empty cells" in response.json()["field-errors"]["match"]


def test_the_next_file_is_imported_like_the_one_before(api: APIClient, tags: CustomField) -> None:
    tagged = {"field": f"custom.cf_{tags.key}", "separator": "/"}
    mapping = {"Firma": "lead.name", "Nr": "lead.external_id", "Marken": tagged}
    asked = {"mapping": mapping, "match": ["external_id"], "on_duplicate": "skip", "encoding": "cp1252"}
    first = finished(send(api, "Nr;Firma;Marken\n1;Äpfel;a/b\n".encode("cp1252"), **asked))
    again = send(api, "Nr;Firma;Marken\n1;Birnen;a\n2;Öl;b/a\n".encode("cp1252"), like=first.api_id)
    assert (again["match"], again["on_duplicate"]) == (["external_id"], "skip")
    assert counts_of(finished(again)) == {"created": 1, "updated": 0, "skipped": 1, "failed": 0}
    assert sorted(Lead.objects.values_list("name", flat=True)) == ["Äpfel", "Öl"]
    assert Lead.objects.get(name="Öl").custom == {tags.key: ["b", "a"]}
    finished(send(api, "Nr;Firma;Marken\n1;Birnen;a\n", like=first.api_id, on_duplicate="update"))
    assert Lead.objects.filter(name="Birnen").exists(), "what the body says wins"
    shown = send(api, "Nr;Firma;Marken\n1;Birnen;a\n", path=f"{PATH}preview/", like=first.api_id)
    assert shown["columns"][2]["field"] == {"field": f"lead.custom.cf_{tags.key}", "separator": "/"}
    missing = api.post(PATH, {"file": file_of("Nr;Firma\n1;Birnen\n"), "like": first.api_id}, format="multipart")
    assert "mapping.Marken" in missing.json()["field-errors"]


def test_only_an_import_of_a_file_can_be_done_again(api: APIClient, status: LeadStatus) -> None:
    action = finished(send(api, "Company\nA\n"))
    undo = api.post(f"{PATH}{action.api_id}/undo/", {}).json()["id"]
    for like in ("nonsense", close_id("bulkedit", action.pk), undo):
        response = api.post(PATH, {"file": file_of("Company\nA\n"), "like": like}, format="multipart")
        assert response.json()["field-errors"] == {"like": "Object does not exist."}


def test_failed_rows_come_back_as_they_were_sent_to_be_mended_and_sent_again(
    api: APIClient, status: LeadStatus
) -> None:
    text = (
        "Firm,Email,Remark,Status\r\n"
        'A,a@x.example,good,\r\n"B, Sons",nobody,=1+1,\r\nC,c@x.example,"two\r\nlines",Lost\r\nD,d@x.example\r\n'
    )
    mapping = {"Firm": "lead.name", "Email": "contact.email", "Status": "lead.status"}
    action = finished(send(api, text, mapping=mapping, max_failure_ratio=1))
    file = api.get(f"{PATH}{action.api_id}/failed_rows/")
    assert file.headers["Content-Disposition"] == f'attachment; filename="{action.api_id}-failed.csv"'
    content = b"".join(file.streaming_content)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert rows == [
        ["Firm", "Email", "Remark", "Status", "import_line", "import_problem"],
        ["B, Sons", "nobody", "'=1+1", "", "3", "Email: This is no email address."],
        ["C", "c@x.example", "two\r\nlines", "Lost", "4", "Status: There is no such lead status."],
        ["", "", "", "", "6", "The row has 2 cells, the header has 4."],
    ]
    mended = content.decode("utf-8-sig").replace("nobody", "b@x.example").replace("Lost", "")
    again = finished(send(api, mended, like=action.api_id, max_failure_ratio=1))
    assert counts_of(again) == {"created": 2, "updated": 0, "skipped": 0, "failed": 1}
    header = next(iter(api.get(f"{PATH}{again.api_id}/failed_rows/").streaming_content)).decode("utf-8-sig")
    assert header.strip() == "Firm,Email,Remark,Status,import_line,import_problem"


def test_failed_rows_are_given_of_every_format(api: APIClient, status: LeadStatus) -> None:
    for form, cell in (("xlsx", "4"), ("jsonl", "4")):
        out = io.BytesIO()
        write_table(out, form, ["Company", "Email", "Employees"], [["A", "nobody", 4]])
        action = finished(send(api, out.getvalue(), name=f"leads.{form}", max_failure_ratio=1))
        content = b"".join(api.get(f"{PATH}{action.api_id}/failed_rows/").streaming_content).decode("utf-8-sig")
        assert content.splitlines()[1].split(",")[:3] == ["A", "nobody", cell]


def test_failed_rows_about_an_erased_lead_and_of_a_file_that_is_gone_are_not_given(
    api: APIClient, status: LeadStatus
) -> None:
    finished(send(api, "Company,Email\nErased,gone@x.example\nKept,kept@x.example\n"))
    text = "Company,Email\nErased,gone@x.example\nKept,kept@x.example\n"
    action = finished(send(api, text, on_duplicate="fail", max_failure_ratio=1))
    lead = Lead.objects.get(name="Erased")
    erase(lead.pk, lead.organization_id)
    content = b"".join(api.get(f"{PATH}{action.api_id}/failed_rows/").streaming_content).decode()
    assert ("Erased" in content, "Kept" in content) == (False, True)
    Upload.objects.all().delete()
    response = api.get(f"{PATH}{action.api_id}/failed_rows/")
    assert (response.status_code, "file_gone" in response.json()["field-errors"]["file"]) == (400, True)
