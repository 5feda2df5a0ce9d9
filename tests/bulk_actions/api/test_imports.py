"""`/bulk_action/import/`: a file in, leads and contacts out; and all that can be asked of the job afterwards."""

import io
import json

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from bulk_actions import staging, uploads
from bulk_actions.models import Batch, BulkAction, ImportRow, Upload
from bulk_actions.runner import run_slice
from crm.files.writing import write_table
from crm.ids import close_id
from crm.models import Contact, CustomField, Lead, LeadStatus, Membership, OutboxMail, Permission
from tests import factories
from tests.bulk_actions.api.importing import PATH, file_of, finished, job_of, send
from tests.bulk_actions.helpers import caller_of, check_invariant, run_to_end

CSV = (
    "Company,Contact,Email,Phone,Status,Origin,Unknown\r\n"
    "Oakvale Mills,Ida Ruiz,ida@oakvale.example,+1 555 010 0123,Won,The fair,x\r\n"
    '"Fir, Sons",,info@fir.example,,,,\r\n'
)


@pytest.fixture
def won(status: LeadStatus) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=status.organization, label="Won", slug="won")


@pytest.fixture
def origin(won: LeadStatus) -> CustomField:
    return factories.CustomFieldFactory.create(organization=won.organization, name="Origin")


def test_a_csv_makes_leads_with_contacts(api: APIClient, origin: CustomField, won: LeadStatus) -> None:
    answer = send(api, CSV)
    assert answer["mapping"] == {
        "Company": "lead.name", "Contact": "contact.name", "Email": "contact.email", "Phone": "contact.phone",
        "Status": "lead.status", "Origin": f"lead.custom.cf_{origin.key}",
    }  # fmt: skip
    action = finished(answer)
    assert (action.n_leads, action.n_succeeded, action.n_failed) == (2, 2, 0)
    lead = Lead.objects.get(name="Oakvale Mills")
    assert (lead.status_id, lead.custom, lead.source_type) == (won.pk, {origin.key: "The fair"}, "import")
    contact = Contact.objects.get(lead=lead)
    assert contact.name == "Ida Ruiz"
    assert [email.email for email in contact.emails.all()] == ["ida@oakvale.example"]
    assert [phone.phone for phone in contact.phones.all()] == ["+15550100123"]
    assert Lead.objects.filter(name="Fir, Sons").exists()
    mail = OutboxMail.objects.get(purpose="notice")
    assert "Import leads from leads.csv" in mail.subject
    assert "Rows:       2" in mail.body_text


def test_xlsx_and_jsonl_are_read_as_csv_is(api: APIClient, origin: CustomField) -> None:
    header = ["Company", "Email", "Origin"]
    for number, form in enumerate(("xlsx", "jsonl")):
        out = io.BytesIO()
        write_table(out, form, header, [[f"Mill {number}", f"a@{form}.example", "=1+1"]])
        finished(send(api, out.getvalue(), name=f"leads.{form}"))
        assert Lead.objects.get(name=f"Mill {number}").custom == {origin.key: "=1+1"}


def test_rows_that_cannot_be_imported_are_told_with_line_column_value_and_reason(
    api: APIClient, origin: CustomField
) -> None:
    text = "Company,Email,Status\nA,a@a.example,\nB,nobody,\nC,c@c.example,Lost\nD,d@d.example,Won,extra\n"
    action = finished(send(api, text, max_failure_ratio=1))
    assert (action.n_succeeded, action.n_failed) == (1, 3)
    told = api.get(f"{PATH}{action.api_id}/results/?outcome=failed").json()["data"]
    assert [(row["row"], row["line"], row["code"], row["column"], row["value"]) for row in told] == [
        (2, 3, "bad_email", "Email", "nobody"),
        (3, 4, "unknown_status", "Status", "Lost"),
        (4, 5, "ragged_row", None, None),
    ]
    detail = api.get(f"{PATH}{action.api_id}/").json()
    assert detail["rows"] == {"created": 1, "updated": 0, "skipped": 0, "failed": 3}
    assert {kind["code"]: kind["n_rows"] for kind in detail["problems"]} == {
        "bad_email": 1, "unknown_status": 1, "ragged_row": 1
    }  # fmt: skip
    file = api.get(f"{PATH}{action.api_id}/results/?outcome=failed", headers={"Accept": "text/csv"})
    lines = b"".join(file.streaming_content).decode().splitlines()
    assert lines[0].startswith("row,line,outcome")
    assert len(lines) == 4


@pytest.mark.parametrize("depth", [100, 900])
def test_a_line_that_is_nested_too_deeply_is_told_and_leaves_the_others_alone(
    api: APIClient, status: LeadStatus, depth: int
) -> None:
    deep = '{"contacts": [{"name": ' + "[" * depth + "]" * depth + "}]}"
    text = f'{{"name": "A"}}\n{deep}\n{{"name": "B"}}\n'
    shown = send(api, text, path=f"{PATH}preview/", name="leads.jsonl")
    assert "too_deep" in json.dumps(shown)
    finished(send(api, text, name="leads.jsonl", max_failure_ratio=1))
    assert sorted(Lead.objects.values_list("name", flat=True)) == ["A", "B"]


@pytest.mark.parametrize(
    ("policy", "counts", "names"),
    [
        ("create", (1, 0, 0, 0), ["New", "Old"]),
        ("update", (0, 1, 0, 0), ["New"]),
        ("skip", (0, 0, 1, 0), ["Old"]),
        ("fail", (0, 0, 0, 1), ["Old"]),
    ],
)
def test_a_row_about_a_lead_that_is_there_follows_the_policy(
    api: APIClient, status: LeadStatus, policy: str, counts: tuple, names: list[str]
) -> None:
    finished(send(api, "Company,Email\nOld,a@a.example\n"))
    action = finished(send(api, "Company,Email\nNew,A@a.example\n", on_duplicate=policy, max_failure_ratio=1))
    told = api.get(f"{PATH}{action.api_id}/").json()["rows"]
    assert (told["created"], told["updated"], told["skipped"], told["failed"]) == counts
    assert sorted(Lead.objects.values_list("name", flat=True)) == names


def test_a_custom_field_or_an_external_id_may_tell_records_apart(api: APIClient, origin: CustomField) -> None:
    finished(send(api, "Company,Origin,External ID\nOld,o-1,e-1\n"))
    finished(send(api, "Company,Origin\nNew,o-1\n", match=[f"custom.cf_{origin.key}"]))
    assert [lead.name for lead in Lead.objects.all()] == ["New"]
    finished(send(api, "Company,External ID\nNewest,e-1\n", match=["external_id"]))
    assert [lead.name for lead in Lead.objects.all()] == ["Newest"]


def test_a_dry_run_decides_and_changes_nothing(api: APIClient, status: LeadStatus) -> None:
    answer = send(api, "Company,Email\nA,a@a.example\nB,nope\n", dry_run=True)
    action = finished(answer)
    detail = api.get(f"{PATH}{action.api_id}/").json()
    assert detail["rows"] == {"created": 1, "updated": 0, "skipped": 0, "failed": 1}
    assert not Lead.objects.exists()
    assert api.post(f"{PATH}{action.api_id}/undo/", {}).status_code == 400


def test_an_undo_deletes_what_was_made_and_restores_what_was_changed(api: APIClient, status: LeadStatus) -> None:
    finished(send(api, "Company,Contact,Email\nOld,Ida,a@a.example\n"))
    old = Lead.objects.get()
    with override_settings(BULK_STORED_BATCH=1):  # several batches may change one lead
        action = finished(
            send(
                api,
                "Company,Contact,Email,Phone\nNew,Ida R,a@a.example,\n"
                "Made,,b@b.example,\nNewer,,a@a.example,0312345678\n"
                "Made once more,,b@b.example,\n",
            )
        )
    assert sorted(Lead.objects.values_list("name", flat=True)) == ["Made once more", "Newer"]
    undone = finished(api.post(f"{PATH}{action.api_id}/undo/", {}).json())
    assert (undone.n_leads, undone.n_succeeded) == (2, 2)
    assert [lead.pk for lead in Lead.objects.all()] == [old.pk]
    old.refresh_from_db()
    assert (old.name, Contact.objects.get(lead=old).name) == ("Old", "Ida")
    assert not Contact.objects.get(lead=old).phones.exists()
    rows = api.get(f"{PATH}{undone.api_id}/results/").json()["data"]
    assert {row["outcome"] for row in rows} == {"succeeded"}


def test_an_undo_leaves_a_lead_that_was_changed_since(api: APIClient, status: LeadStatus) -> None:
    action = finished(send(api, "Company,Email\nA,a@a.example\nB,b@b.example\n"))
    lead = Lead.objects.get(name="A")
    assert api.put(f"/api/v1/lead/{close_id('lead', lead.pk)}/", {"name": "Mine"}).status_code == 200
    undone = finished(api.post(f"{PATH}{action.api_id}/undo/", {}).json())
    assert (undone.n_succeeded, undone.n_skipped) == (1, 1)
    assert [one.name for one in Lead.objects.all()] == ["Mine"]


def test_contacts_without_a_lead_are_imported_and_taken_back(api: APIClient, status: LeadStatus) -> None:
    finished(send(api, "Name,Email\nIda,a@a.example\n", records="contacts"))
    with override_settings(BULK_STORED_BATCH=1):
        text = "Name,Email,Phone\nIda Ruiz,a@a.example,0312345678\nMax,m@m.example,\nMax M,m@m.example,\n"
        action = finished(send(api, text, records="contacts"))
    assert sorted(Contact.objects.values_list("name", flat=True)) == ["Ida Ruiz", "Max M"]
    assert not Lead.objects.exists()
    undone = finished(api.post(f"{PATH}{action.api_id}/undo/", {}).json())
    assert (undone.n_leads, undone.n_succeeded) == (2, 2)
    contact = Contact.objects.get()
    assert (contact.name, contact.phones.count()) == ("Ida", 0)


def test_a_retry_reads_the_failed_rows_again(api: APIClient, status: LeadStatus) -> None:
    action = finished(send(api, "Company,Status\nA,\nB,Later\n", max_failure_ratio=1))
    assert action.n_failed == 1
    factories.LeadStatusFactory.create(organization=status.organization, label="Later", slug="later")
    again = finished(api.post(f"{PATH}{action.api_id}/retry/", {}).json())
    assert (again.n_leads, again.n_succeeded) == (1, 1)
    assert sorted(Lead.objects.values_list("name", flat=True)) == ["A", "B"]


def test_a_job_cut_off_while_it_stages_or_merges_doubles_no_row(
    api: APIClient, status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PIECE", 3)
    text = "Company\n" + "".join(f"Lead {number}\n" for number in range(10))
    with override_settings(BULK_STORED_BATCH=2):
        action = job_of(send(api, text, leads_per_minute=60))
        write, n = staging._write, []

        def cut_off(*given: object) -> bool:
            n.append(1)
            if len(n) == 3:
                raise KeyboardInterrupt
            return write(*given)

        monkeypatch.setattr(staging, "_write", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run_slice(action.pk)
        assert ImportRow.objects.filter(action=action.pk).count() == 6
        monkeypatch.setattr(staging, "_write", write)
        BulkAction.objects.filter(pk=action.pk).update(leads_per_minute=None)
        run_to_end(action)
    assert sorted(Lead.objects.values_list("name", flat=True)) == [f"Lead {number}" for number in range(10)]
    assert Batch.objects.filter(action=action.pk).count() >= 5
    check_invariant(action)


def test_a_file_that_ends_badly_imports_nothing(api: APIClient, status: LeadStatus) -> None:
    action = job_of(send(api, 'Company\nA\n"B\n' + "x" * 500_000))
    run_slice(action.pk)
    action.refresh_from_db()
    assert (action.status, action.error_code) == ("error", "line_too_long")
    assert not Lead.objects.exists()


def test_a_kept_file_is_previewed_and_imported_by_its_id_and_known_again(
    api: APIClient, origin: CustomField, won: LeadStatus
) -> None:
    kept = send(api, CSV, path=f"{PATH}upload/")
    assert (kept["name"], kept["size"], kept["imported_by"]) == ("leads.csv", len(CSV), [])
    shown = api.post(f"{PATH}preview/", {"upload_id": kept["id"]}).json()
    assert (shown["format"], shown["encoding"], shown["delimiter"]) == ("csv", "utf-8", ",")
    assert {"name": "Unknown", "field": None} in shown["columns"]
    assert shown["rows"][0]["values"] == {
        "lead.name": "Oakvale Mills", "contact.name": "Ida Ruiz", "contact.email": "ida@oakvale.example",
        "contact.phone": "+15550100123", "lead.status": close_id("stat", won.pk),
        f"lead.custom.cf_{origin.key}": "The fair",
    }  # fmt: skip
    finished(api.post(PATH, {"upload_id": kept["id"]}).json())
    again = send(api, CSV)
    assert len(again["imported_by"]) == 1


def test_japanese_headers_and_shift_jis_are_understood(api: APIClient, status: LeadStatus) -> None:
    finished(send(api, "会社名,氏名,メールアドレス\n株式会社テスト,山田 太郎,taro@test.example\n".encode("cp932")))
    assert Lead.objects.get().name == "株式会社テスト"
    assert Contact.objects.get().name == "山田 太郎"


@pytest.mark.parametrize(
    ("text", "more", "key"),
    [
        ("", {}, "file"),
        ("Company,Company\nA,B\n", {}, "file"),
        ("Company\nA\n", {"mapping": {"Firm": "lead.name"}}, "mapping.Firm"),
        ("Company\nA\n", {"mapping": {"Company": "lead.nothing"}}, "mapping.Company"),
        ("Stuff\nA\n", {}, "mapping"),
        ("Company\nA\n", {"match": ["nothing"]}, "match"),
        ("Company\nA\n", {"match": ["email", "external_id"]}, "match"),
        ("Company\nA\n", {"on_duplicate": "perhaps"}, "on_duplicate"),
        ("Company\nA\n", {"records": "deals"}, "records"),
        ("Company\nA\n", {"dry_run": "{"}, "dry_run"),
        ("Company\nA\n", {"dry_run": "perhaps"}, "dry_run"),
        ("Company\nA\n", {"mapping": "Company"}, "mapping"),
        ("Company\nA\n", {"leads_per_minute": "many"}, "leads_per_minute"),
        ("Company\nA\n", {"nonsense": "1"}, "nonsense"),
    ],
)
def test_what_is_wrong_is_told_at_once_and_nothing_is_kept(
    api: APIClient, status: LeadStatus, text: str, more: dict, key: str
) -> None:
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in more.items()}
    response = api.post(PATH, {"file": file_of(text), **fields}, format="multipart")
    assert response.status_code == 400
    assert key in response.json()["field-errors"], response.json()
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mapping", r'{"\ud800": "lead.name"}'),
        ("mapping", r'{"Email": {"field": "contact.emails", "separator": "\u0000"}}'),
        ("match", r'["\ud800"]'),
        ("canary", '{"leads": NaN}'),
        ("mapping", '{"a":' * 500),
    ],
)
def test_a_part_of_the_form_that_cannot_be_stored_is_refused(
    api: APIClient, status: LeadStatus, name: str, text: str
) -> None:
    answer = api.post(PATH, {"file": file_of(CSV), name: text}, format="multipart")
    assert answer.status_code == 400, answer.content
    assert name in answer.content.decode()
    assert not Upload.objects.exists()


def test_another_organizations_file_is_not_there(api: APIClient, status: LeadStatus) -> None:
    other = factories.MembershipFactory.create()
    upload = uploads.store(file_of("Company\nA\n"), caller_of(other))
    response = api.post(PATH, {"upload_id": uploads.spelled(upload)})
    assert response.status_code == 400
    assert "upload_id" in response.json()["field-errors"]


def test_whoever_may_not_import_is_refused(api: APIClient, membership: Membership, status: LeadStatus) -> None:
    membership.withheld_permissions = [Permission.IMPORT]
    membership.save()
    response = api.post(PATH, {"file": file_of("Company\nA\n")}, format="multipart")
    assert response.status_code == 403
