"""`/crm/bulk/…/export` and `/crm/bulk/contacts/import`."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bulk_actions.api import blueai_exports, blueai_import
from bulk_actions.models import Batch, BulkAction, LeadOutcome
from bulk_actions.retention import erase
from bulk_actions.undoing import undo
from crm.auth import make_api_key
from crm.ids import hex_id, parse_hex_id
from crm.models import Contact, ContactEmail, Dialect, Lead, Membership, Organization, OutboxMail, Role
from crm.setup import create_organization
from tests import factories
from tests.blueai import BlueAI, problem_of
from tests.bulk_actions.helpers import caller_of, check_invariant, make_leads, run_to_end

HEADERS = {
    "deals": "id,name,customer_name,company_id,contact_id,amount,stage,expected_close_date,assigned_member_id,"
    "created_at,updated_at",
    "contacts": "id,company_id,name,email,phone,position,notes,created_at,updated_at",
    "companies": "id,name,name_kana,department,industry,employee_count,website_url,postal_code,address,phone,email,"
    "notes,created_at,updated_at",
}


@pytest.fixture
def organization(db: None) -> Organization:
    return create_organization("Sakura")


@pytest.fixture
def blueai(membership: Membership) -> BlueAI:
    return BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])


def exported(blueai: BlueAI, what: str, **query: object) -> list[dict[str, str]]:
    answer = blueai.get(f"/crm/bulk/{what}/export", **query)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert text.startswith(HEADERS[what] + "\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def imported(blueai: BlueAI, content: str | bytes, query: str = "", **headers: str) -> HttpResponse:
    raw = content.encode() if isinstance(content, str) else content
    upload = SimpleUploadedFile("people.csv", raw, content_type="text/csv")
    key = {"Authorization": f"Bearer {blueai.secret}", **headers}
    return blueai.client.post(f"/api/v1/crm/bulk/contacts/import{query}", {"file": upload}, headers=key)


# --- exports ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", HEADERS)
def test_an_empty_export_has_a_mark_a_header_and_a_name(blueai: BlueAI, what: str) -> None:
    answer = blueai.get(f"/crm/bulk/{what}/export")
    assert b"".join(answer.streaming_content) == f"\ufeff{HEADERS[what]}\r\n".encode()
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    day = timezone.now().strftime("%Y%m%d")
    assert answer["Content-Disposition"] == f'attachment; filename="{what}_{day}.csv"'
    assert "X-RateLimit-Limit" in answer


def test_the_cells_of_each_kind(blueai: BlueAI) -> None:
    full = {
        "name": "桜商事", "website": "https://a.example", "phone": "+81312345678", "address": "東京都,千代田区",
        "industry": "商社", "email": "a@a.example", "note": "一行\n二行", "name_kana": "サクラ", "department": "営業",
        "employee_count": 5, "postal_code": "100-0001",
    }  # fmt: skip
    company = blueai.make("companies", full)
    person = {
        "first_name": "花子",
        "last_name": "佐藤",
        "email": "h@a.example",
        "phone": "+81901234567",
        "position": "長",
    }
    contact = blueai.make("contacts", {**person, "note": "常連", "company_id": company["id"]})
    deal = blueai.make(
        "deals", {"name": "案件", "amount": 12, "company_id": company["id"], "expected_close_date": "2026-06-30"}
    )
    of_person = blueai.make("deals", {"name": "別件", "contact_id": contact["id"]})
    of_nobody = blueai.make("deals", {"name": "空"})
    [row] = exported(blueai, "companies")
    expected = {
        **full,
        "id": company["id"],
        "website_url": full["website"],
        "notes": full["note"],
        "employee_count": "5",
    }
    del expected["website"], expected["note"]
    assert row == {**expected, "created_at": company["created_at"], "updated_at": company["updated_at"]}
    [row] = exported(blueai, "contacts")
    assert (row["name"], row["email"], row["phone"], row["notes"]) == (
        "佐藤 花子",
        "h@a.example",
        "+81901234567",
        "常連",
    )
    assert (row["id"], row["company_id"], row["position"]) == (contact["id"], company["id"], "長")
    rows = exported(blueai, "deals")
    assert [row["id"] for row in rows] == [deal["id"], of_person["id"], of_nobody["id"]]
    assert [row["customer_name"] for row in rows] == ["桜商事", "佐藤 花子", ""]
    assert (rows[0]["amount"], rows[0]["expected_close_date"], rows[0]["stage"]) == ("12", "2026-06-30", "lead")
    assert rows[2]["amount"] == rows[2]["assigned_member_id"] == ""


def test_formulas_are_made_harmless_unless_asked_otherwise(blueai: BlueAI) -> None:
    blueai.make("contacts", {"first_name": "x", "last_name": "=1+1", "phone": "+81312345678", "position": "@SUM(A1)"})
    [guarded], [raw] = exported(blueai, "contacts"), exported(blueai, "contacts", raw=1)
    assert (guarded["name"], guarded["position"], guarded["phone"]) == ("'=1+1 x", "'@SUM(A1)", "+81312345678")
    assert (raw["name"], raw["position"]) == ("=1+1 x", "@SUM(A1)")
    answer = blueai.get("/crm/bulk/contacts/export", raw=1)
    assert answer["Content-Disposition"].endswith('_raw.csv"')


def test_all_records_come_once_in_order_page_by_page(
    blueai: BlueAI, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blueai_exports, "_FIRST_PAGE", 2)
    monkeypatch.setattr(blueai_exports, "_PAGE", 3)
    status = organization.lead_statuses.first()
    make_leads(status, 9)  # one statement: all have the same date
    Lead.objects.filter(name="Lead 4").update(deleted_at=timezone.now())
    names = [row["name"] for row in exported(blueai, "companies")]
    assert names == [f"Lead {i}" for i in range(9) if i != 4]


def test_what_is_deleted_and_what_hangs_on_it_is_not_exported(blueai: BlueAI) -> None:
    company = blueai.make("companies", {"name": "x"})
    blueai.make("contacts", {"first_name": "a", "last_name": "b", "company_id": company["id"]})
    blueai.make("deals", {"name": "x", "company_id": company["id"]})
    gone = blueai.make("deals", {"name": "y"})
    blueai.post("/crm/bulk/deals/delete", {"ids": [gone["id"]]})
    Lead.objects.update(deleted_at=timezone.now())
    assert [exported(blueai, what) for what in HEADERS] == [[], [], []]


def test_the_first_bytes_come_before_the_table_is_read_and_rows_by_pages(
    blueai: BlueAI, organization: Organization
) -> None:
    make_leads(organization.lead_statuses.first(), 11_000)
    stream = iter(blueai.get("/crm/bulk/companies/export").streaming_content)
    with CaptureQueriesContext(connection) as queries:
        header = next(stream)
    assert (header, len(queries)) == (f"\ufeff{HEADERS['companies']}\r\n".encode(), 0)
    with CaptureQueriesContext(connection) as queries:
        assert next(stream).count(b"\r\n") == 500
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        assert sum(piece.count(b"\r\n") for piece in stream) == 11_000 - 500
    assert len(queries) == 3, "pages of 5,000"


@pytest.mark.parametrize(("value", "amount"), [(250, 3), (249, 2), (-250, -3), (0, 0), (99_999_999_999_950, 10**12)])
def test_half_a_yen_is_rounded_alike_in_file_and_answer(
    blueai: BlueAI, membership: Membership, value: int, amount: int
) -> None:
    lead = factories.LeadFactory.create(organization=membership.organization)
    deal = factories.OpportunityFactory.create(lead=lead, value=value)
    assert blueai.get(f"/crm/deals/{hex_id('deal', deal.pk)}").json()["deal"]["amount"] == amount
    [row] = exported(blueai, "deals")
    assert row["amount"] == str(amount)


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_is_slow_holds_no_transaction_open(organization: Organization) -> None:
    caller = factories.MembershipFactory.create(organization=organization)
    blueai = BlueAI(make_api_key(membership=caller, dialect=Dialect.BLUEAI)[1])
    make_leads(organization.lead_statuses.first(), 1_000)
    stream = iter(blueai.get("/crm/bulk/companies/export").streaming_content)
    next(stream)
    next(stream)
    assert not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_start = statement_timestamp() FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == (True,)  # it began with this very statement


@pytest.mark.parametrize("what", HEADERS)
def test_who_may_not_export_gets_nothing(blueai: BlueAI, membership: Membership, what: str) -> None:
    membership.role = Role.RESTRICTED_USER
    membership.save()
    problem_of(blueai.get(f"/crm/bulk/{what}/export"), 403)
    assert blueai.send("HEAD", f"/crm/bulk/{what}/export").status_code == 403


# --- import -----------------------------------------------------------------------------------------------------------
def test_the_documented_import(blueai: BlueAI) -> None:
    company = blueai.make("companies", {"name": "桜"})
    file = (
        "first_name,last_name,email,phone,position,company_id,note\n"
        f"花子,佐藤,hanako@example.jp,+81312345678,部長,{company['id']},常連\n"
        "太郎,山田,nobody,,,,\n"
    )
    answer = imported(blueai, file)
    assert (answer.status_code, answer.json()) == (
        200,
        {"processed": 1, "errors": ["row 2: email: not an email address"]},
    )
    [made] = blueai.get("/crm/contacts").json()["items"]
    assert (made["first_name"], made["last_name"], made["company_id"]) == ("花子", "佐藤", company["id"])
    assert (made["email"], made["phone"], made["position"]) == ("hanako@example.jp", "+81312345678", "部長")
    assert Contact.objects.get().note == "常連"


@pytest.mark.parametrize(
    "raw",
    [
        "first_name,last_name\n花子,佐藤\n".encode("utf-8-sig"),
        "LAST_NAME ; First_Name\r\n佐藤;花子\r\n".encode("utf-16"),
        "last_name\tfirst_name\n佐藤\t花子\n".encode("cp932"),
        '"first_name","last_name"\n\n花子,"佐藤"\n\n'.encode(),
    ],
)
def test_encodings_delimiters_headers_and_blank_lines(blueai: BlueAI, raw: bytes) -> None:
    assert imported(blueai, raw).json() == {"processed": 1, "errors": []}
    assert Contact.objects.get().name == "花子 佐藤"


def test_what_is_wrong_with_a_row_is_told_by_its_number(blueai: BlueAI) -> None:
    file = (
        "first_name,last_name,email,company_id,age,shoe\n"
        "a,,x@example.jp,,1,2\n"
        "a,b\n"
        f"a,b,,comp_{'1' * 32},,\n"
        "a,b,,nonsense,,\n"
        '"a\nb",c,,,,\n'
    )
    assert imported(blueai, file).json() == {
        "processed": 1,
        "errors": [
            "unknown columns were ignored: age, shoe",
            "row 1: last_name: is required",
            "row 2: The row has 2 cells, the header has 6.",
            "row 3: company_id: not found",
            "row 4: company_id: not found",
        ],
    }


def test_a_row_does_what_was_asked_where_its_email_is_known(blueai: BlueAI) -> None:
    file = "first_name,last_name,email,position\n花子,佐藤,hanako@example.jp,部長\n"
    assert imported(blueai, file).json()["processed"] == 1
    assert imported(blueai, file.replace("部長", "社長"), "?on_duplicate=skip").json()["processed"] == 1
    assert list(Contact.objects.values_list("title", flat=True)) == ["部長"]
    assert imported(blueai, file.replace("部長", "社長"), "?on_duplicate=update").json()["processed"] == 1
    assert list(Contact.objects.values_list("title", flat=True)) == ["社長"]
    assert imported(blueai, file).json()["processed"] == 1
    assert ContactEmail.objects.count() == 2, "without a wish each row makes a contact"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"first_name,email\na,b\n", "no column last_name"),
        (b"first_name,FIRST_NAME,last_name\n", "the column first_name twice"),
        (b"first_name,last_name\na,\x81\x20\n", "unknown encoding"),
        (b"first_name,last_name\na,\0\n", ""),
        (b"PK\x03\x04 no table", ""),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(blueai: BlueAI, raw: bytes, said: str) -> None:
    error = problem_of(imported(blueai, raw), 400)
    assert said in error["message"]
    assert not Contact.objects.exists()
    assert not BulkAction.objects.exists()


def test_without_a_file_or_with_an_unknown_wish_it_is_refused(blueai: BlueAI) -> None:
    key = {"Authorization": f"Bearer {blueai.secret}"}
    path = "/api/v1/crm/bulk/contacts/import"
    assert problem_of(blueai.client.post(path, {}, headers=key), 400)["param"] == "file"
    problem_of(blueai.client.post(path, {"file": "text"}, headers=key), 400)
    problem_of(blueai.post("/crm/bulk/contacts/import", {}), 415)
    broken = blueai.client.generic("POST", path, b"x", content_type="multipart/form-data", headers=key)
    problem_of(broken, 400)
    file = "first_name,last_name\na,b\n"
    assert problem_of(imported(blueai, file, "?on_duplicate=maybe"), 400)["param"] == "on_duplicate"


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_BYTES"])
def test_what_is_too_large_for_a_request_becomes_a_job(
    blueai: BlueAI, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    company = blueai.post("/crm/companies", {"name": "Sakura"}).json()["company"]["id"]
    monkeypatch.setattr(blueai_import, limit, 3)
    text = "first_name,last_name,company_id,position\na,b,{company},CEO\nc,d,,\ne,,,\nf,g,comp_1,\n"
    answer = imported(blueai, text.format(company=company))
    assert answer.status_code == 202, answer.content
    assert not Contact.objects.exists()
    job = BulkAction.objects.get(kind="import")
    assert answer.json() == {"processed": 0, "errors": [], "job_id": hex_id("job", job.pk)}
    run_to_end(job)
    assert (job.status, job.n_succeeded, job.n_failed) == ("done", 2, 2)
    made = Contact.objects.order_by("first_name").values_list("first_name", "last_name", "title", "lead__name")
    assert list(made) == [("a", "b", "CEO", "Sakura"), ("c", "d", None, None)]
    assert blueai.get(f"/crm/bulk/jobs/{hex_id('job', job.pk)}").json()["job"]["processed"] == 2


def test_the_done_mail_of_its_undo_counts_contacts(
    blueai: BlueAI, membership: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blueai_import, "MOST_ROWS", 1)
    told = imported(blueai, "first_name,last_name\na,b\nc,d\n").json()
    job = run_to_end(BulkAction.objects.get(pk=parse_hex_id("job", told["job_id"])))
    taken_back = run_to_end(undo(action=job, caller=caller_of(membership)))
    assert taken_back.n_succeeded == 2
    assert "Rows:       2\n" in OutboxMail.objects.get(source_id=job.pk).body_text
    assert "Contacts:   2\n" in OutboxMail.objects.get(source_id=taken_back.pk).body_text
    assert not Contact.objects.exists()


def test_no_more_than_a_thousand_errors_are_listed(blueai: BlueAI) -> None:
    errors = imported(blueai, "first_name,last_name\n" + "a,\n" * 1_200 + "a,b\n").json()["errors"]
    assert (len(errors), errors[-1]) == (1_001, "and 200 more rows with errors")


def test_a_file_sent_again_with_its_key_is_imported_once(blueai: BlueAI) -> None:
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        assert imported(blueai, "first_name,last_name\na,b\n", **key).json() == {"processed": 1, "errors": []}
    assert Contact.objects.count() == 1
    assert problem_of(imported(blueai, "first_name,last_name\na,c\n", **key), 409)["code"] == "CONFLICT"


@pytest.fixture
def people(blueai: BlueAI, monkeypatch: pytest.MonkeyPatch) -> BulkAction:
    """What an import in pieces has left: a contact that it changed in two of them, one that it made and then changed,
    and a row that cannot be read."""
    monkeypatch.setattr(blueai_import, "LARGEST_CALL", 2)
    blueai.make("contacts", {"first_name": "花子", "last_name": "佐藤", "email": "h@x.example", "position": "部長"})
    file = (
        "first_name,last_name,email,phone,position\n"
        "花,佐藤,h@x.example,,\n"
        "太郎,山田,t@x.example,,\n"
        "花,田中,h@x.example,+81312345678,社長\n"
        "名,,,,\n"
        "太郎,山田,T@x.example,+81312345679,\n"
    )
    told = imported(blueai, file, "?on_duplicate=update&detail=1").json()
    assert (told["processed"], len(told["errors"])) == (4, 1)
    job = BulkAction.objects.get(pk=parse_hex_id("job", told["job_id"]))
    check_invariant(job)
    return job


def shown_people(blueai: BlueAI) -> list[tuple[str, ...]]:
    rows = blueai.get("/crm/contacts", order="asc").json()["items"]
    return [tuple(row[key] for key in ("first_name", "last_name", "email", "phone", "position")) for row in rows]


def test_an_import_within_the_request_is_a_finished_job(blueai: BlueAI, people: BulkAction) -> None:
    assert shown_people(blueai) == [
        ("花", "田中", "h@x.example", "+81312345678", "社長"),
        ("太郎", "山田", "t@x.example", "+81312345679", None),
    ]
    assert people.params == {"source": "blueai", "rows": 5, "failed": 1, "records": "contacts"}
    assert (people.status, people.n_objects, people.n_succeeded) == ("done", 2, 2)
    shown = blueai.get(f"/crm/bulk/jobs/{hex_id('job', people.pk)}").json()["job"]
    assert (shown["kind"], shown["processed"], shown["changed"]) == ("import", 2, 2)


def test_its_undo_takes_contacts_away_and_gives_back_what_they_held(blueai: BlueAI, people: BulkAction) -> None:
    undone_by = blueai.post(f"/crm/bulk/jobs/{hex_id('job', people.pk)}/undo").json()["job"]
    job = run_to_end(BulkAction.objects.get(pk=parse_hex_id("job", undone_by["id"])))
    assert (job.n_succeeded, job.n_skipped) == (2, 0)
    assert shown_people(blueai) == [("花子", "佐藤", "h@x.example", None, "部長")]


def test_its_undo_leaves_what_was_changed_since(blueai: BlueAI, people: BulkAction) -> None:
    [first, _] = blueai.get("/crm/contacts", order="asc").json()["items"]
    blueai.patch(f"/crm/contacts/{first['id']}", {"position": "会長"})
    undone_by = blueai.post(f"/crm/bulk/jobs/{hex_id('job', people.pk)}/undo").json()["job"]
    job = run_to_end(BulkAction.objects.get(pk=parse_hex_id("job", undone_by["id"])))
    assert (job.n_succeeded, job.n_skipped) == (1, 1)
    assert shown_people(blueai) == [("花", "田中", "h@x.example", "+81312345678", "会長")]


def test_contacts_that_are_passed_over_are_skipped_targets(blueai: BlueAI) -> None:
    file = "first_name,last_name,email\na,b,a@x.example\n"
    imported(blueai, file)
    told = imported(blueai, file + "c,d,c@x.example\n", "?on_duplicate=skip&detail=1").json()
    job = BulkAction.objects.get(pk=parse_hex_id("job", told["job_id"]))
    check_invariant(job)
    assert (told["processed"], job.n_succeeded, job.n_skipped) == (2, 1, 1)
    assert LeadOutcome.objects.get(action=job).code == "duplicate"


def test_what_a_removed_lead_s_contact_held_leaves_the_ledger_of_its_import_and_of_the_undo(
    blueai: BlueAI, people: BulkAction, organization: Organization
) -> None:
    company = blueai.make("companies", {"name": "桜"})
    [first, _] = blueai.get("/crm/contacts", order="asc").json()["items"]
    blueai.patch(f"/crm/contacts/{first['id']}", {"company_id": company["id"]})
    job = run_to_end(undo(action=people, caller=caller_of(Membership.objects.get())))
    assert "部長" in str(list(Batch.objects.values_list("before", "given")))
    assert erase(parse_hex_id("comp", company["id"]), organization.pk)[1]
    assert "部長" not in str(list(Batch.objects.values_list("before", "given")))
    made, _ = Batch.objects.get(action=people).before[::-1]
    assert made["made"], "that of another contact stays"
    assert Batch.objects.filter(action=job).exists()


def test_our_export_of_a_formula_is_imported_as_it_was(blueai: BlueAI) -> None:
    file = "first_name,last_name,position\na,b,'=SUM(A1)\n"
    imported(blueai, file)
    assert Contact.objects.get().title == "=SUM(A1)"


def test_who_may_not_import_imports_nothing(blueai: BlueAI, membership: Membership) -> None:
    membership.role = Role.USER
    membership.save()
    problem_of(imported(blueai, "first_name,last_name\na,b\n"), 403)
    assert not Contact.objects.exists()
