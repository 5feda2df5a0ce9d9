"""What an organization exports it can import again: exported, wiped, imported and exported once more, a file is the
same to the byte. Ids, and who wrote what when, are given anew, so `fields` leaves them out (docs/imports.md)."""

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction
from crm.ids import close_id
from crm.models import (
    Address,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactUrl,
    CustomField,
    FieldType,
    Lead,
    LeadStatus,
    Membership,
)
from tests import factories
from tests.bulk_actions.helpers import run_to_end

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

TEXTS = (
    "株式会社「青」商事", 'He said "no", and went', "Line\nafter\nline", "Line\r\nafter\r\nline", "=SUM(A1:A9)",
    "+81 3", "-", "@cmd", "＝1+1", "－佐藤", "'quoted", "''=1+1", "'=1+1", "O'Neil", "🌊 👩‍👩‍👧‍👦 𠮷野家", "a,b;c\td|e",
    "007", "1e5", "1.50", "true", "null", "NULL", "2031-01-02", "ｶﾀｶﾅ ﾃｽﾄ", "Ünïcödé ñ ß", "[1]", "{}", "\\N", "a\\\"b",
)  # fmt: skip
# At the ends of these a text may have blanks, and begin with what spreadsheets take for a formula.
PARAGRAPHS = (*TEXTS, "\t=1+1", "\n=1+1", " blanks ", "ends with a line end\n", "\r=1", "\u3000全角")
BY_NAME = [{"direction": "asc", "field": {"type": "regular_field", "object_type": "lead", "field_name": "name"}}]
ADDRESS = ["address_label", "address_1", "address_2", "city", "state", "zipcode", "country"]
OF_LEADS = [
    "external_id", "name", "description", "url", "status_label", "contact_name", "contact_title", "contact_email",
    "contact_phone", *ADDRESS,
]  # fmt: skip
OF_CONTACTS = {
    "lead_external_id": "lead.external_id", "lead_name": "lead.name", "external_id": "contact.external_id",
    "name": "contact.name", "title": "contact.title", "email": "contact.email", "phone": "contact.phone",
    "url": "contact.urls", "other_emails": "contact.emails", "other_phones": "contact.phones",
    **{name: f"address.{name.removeprefix('address_') if name == 'address_label' else name}" for name in ADDRESS},
}  # fmt: skip


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, settings: Settings) -> None:
    backend = "django.core.files.storage.FileSystemStorage"
    own = {name: {"BACKEND": backend, "OPTIONS": {"location": tmp_path / name}} for name in ("exports", "uploads")}
    settings.STORAGES = {**settings.STORAGES, **own}


@pytest.fixture
def fields(membership: Membership) -> list[CustomField]:
    """One of each type whose values hold outside of the records that are wiped, of leads and of contacts."""
    types = [
        (FieldType.TEXT, {}), (FieldType.NUMBER, {}), (FieldType.DATE, {}), (FieldType.DATETIME, {}),
        (FieldType.USER, {}), (FieldType.TEXTAREA, {}),
        (FieldType.CHOICES, {"choices": ["青", 'a "b", c', "=c"], "accepts_multiple_values": True}),
    ]  # fmt: skip
    return [
        factories.CustomFieldFactory.create(
            organization=membership.organization, object_type=of, type=type_, name=f"{of} 欄 {type_}", **more
        )
        for of in ("lead", "contact")
        for type_, more in types
    ]


def values_of(fields: list[CustomField], of: str, n: int, user: object) -> dict[str, object]:
    """Of every third record some are missing."""
    values = {
        FieldType.TEXT: TEXTS[n % len(TEXTS)],
        FieldType.NUMBER: (n, -n / 4 - 0.125, 10**14 + n)[n % 3],
        FieldType.DATE: f"2031-01-{n % 28 + 1:02}",
        FieldType.DATETIME: f"2031-01-02T03:04:{n % 60:02}.00{n % 10}000+00:00",
        FieldType.USER: str(user),
        FieldType.TEXTAREA: PARAGRAPHS[n % len(PARAGRAPHS)],
        FieldType.CHOICES: [["青"], ['a "b", c', "=c"], ["=c", "青"]][n % 3],
    }
    mine = [field for field in fields if field.object_type == of]
    return {field.key: values[field.type] for field in (mine if n % 3 else mine[: n % len(mine)])}


def build(membership: Membership, statuses: list[LeadStatus], fields: list[CustomField], n: int, contacts: int) -> None:
    """`n` leads with up to two addresses, and `contacts` contacts with up to three addresses, numbers and URLs each."""
    organization, user = membership.organization, membership.user_id
    texts, paragraphs = cycle(TEXTS), cycle(PARAGRAPHS)
    Lead.objects.bulk_create(
        (
            Lead(
                organization=organization, status=statuses[i % len(statuses)], external_id=f"e-{i}",
                name=f"{next(texts)} {i:05}", description=next(paragraphs) if i % 5 else None,
                url=f"https://x.example/{i}?a=1&b=青" if i % 4 else None, custom=values_of(fields, "lead", i, user),
            )
            for i in range(n)
        ),
        batch_size=2_000,
    )  # fmt: skip
    leads = list(Lead.objects.order_by("external_id").values_list("pk", flat=True))
    Address.objects.bulk_create(
        (
            Address(
                organization=organization, lead_id=lead, position=place, label=("business", None, "mailing")[i % 3],
                address_1=next(texts), address_2=next(texts) if i % 2 else None, city="大阪市", zipcode=f"{i:07}",
                state=next(texts) if i % 7 else None, country=("JP", "US", None)[i % 3],
            )
            for i, lead in enumerate(leads)
            for place in range(i % 3)
        ),
        batch_size=2_000,
    )  # fmt: skip
    Contact.objects.bulk_create(
        (
            Contact(
                organization=organization, lead_id=lead, position=place, name=f"{next(texts)} {place}",
                title=next(texts) if i % 3 else None, external_id=f"c-{i}-{place}",
                custom=values_of(fields, "contact", i + place, user),
            )
            for i, lead in enumerate(leads)
            for place in range(contacts)
        ),
        batch_size=2_000,
    )  # fmt: skip
    people = list(Contact.objects.order_by("external_id").values_list("pk", flat=True))
    for model, column, text, kinds in (
        (ContactEmail, "email", "p{i}.{place}@Oakvale.example", ("office", "home", "青")),
        (ContactPhone, "phone", "+8190{i:07}{place}", ("mobile", "office", "fax")),
        (ContactUrl, "url", "https://p{i}.example/{place}", ("url", "home", "url")),
    ):
        model.objects.bulk_create(
            (
                model(
                    organization=organization, contact_id=person, position=place, type=kinds[place],
                    **{column: text.format(i=i, place=place)},
                )
                for i, person in enumerate(people)
                for place in range(i % 4)
            ),
            batch_size=5_000,
        )  # fmt: skip


def wipe() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE crm_lead, crm_contact, crm_contactemail, crm_contactphone, crm_contacturl, crm_address CASCADE"
        )


def exported(api: APIClient, **body: object) -> bytes:
    answer = api.post("/api/v1/export/lead/", {"sort": BY_NAME, "type": "leads", **body})
    assert answer.status_code == 200, answer.json()
    action = run_to_end(BulkAction.objects.latest("pk"))
    shown = api.get(f"/api/v1/export/{action.api_id}/").json()
    assert shown["status"] == "done", shown["error"]
    url = shown["download_url"]
    file = Client().get(url[url.index("/api/") :])
    content = b"".join(file.streaming_content)
    return gzip.decompress(content) if file.headers.get("Content-Encoding") == "gzip" else content


def imported(api: APIClient, content: bytes, form: str, **more: object) -> BulkAction:
    fields = {key: value if isinstance(value, str) else json.dumps(value) for key, value in more.items()}
    file = SimpleUploadedFile(f"again.{form}", content)
    answer = api.post("/api/v1/bulk_action/import/", {"file": file, **fields}, format="multipart")
    assert answer.status_code == 200, answer.json()
    action = run_to_end(BulkAction.objects.latest("pk"))
    told = api.get(f"/api/v1/bulk_action/import/{action.api_id}/").json()
    assert (told["status"], told["problems"]) == ("done", [])
    return action


def content_of(file: bytes, form: str) -> object:
    """Its bytes; of XLSX, which says when it was written, those of all else."""
    if form != "xlsx":
        return file
    with ZipFile(BytesIO(file)) as parts:
        return {name: parts.read(name) for name in parts.namelist() if not name.startswith("docProps/")}


def custom_names(fields: list[CustomField], of: str) -> list[str]:
    return [f"custom.{field.name}" for field in fields if field.object_type == of]


@pytest.mark.parametrize(("form", "n"), [("csv", 10_000), ("xlsx", 1_000)])
def test_leads_come_back_to_the_byte(
    api: APIClient, membership: Membership, fields: list[CustomField], form: str, n: int
) -> None:
    statuses = factories.LeadStatusFactory.create_batch(3, organization=membership.organization)
    build(membership, statuses, fields, n, contacts=1)
    asked = {"format": form, "fields": [*OF_LEADS, *custom_names(fields, "lead")]}
    before = exported(api, **asked)
    wipe()
    action = imported(api, before, form)
    assert (action.n_succeeded, Lead.objects.count()) == (n, n)
    assert content_of(exported(api, **asked), form) == content_of(before, form)


@pytest.mark.parametrize(("form", "n"), [("csv", 1_000), ("xlsx", 300)])
def test_all_contacts_of_leads_come_back_to_the_byte(
    api: APIClient, membership: Membership, fields: list[CustomField], form: str, n: int
) -> None:
    status = factories.LeadStatusFactory.create(organization=membership.organization)
    build(membership, [status], fields, n, contacts=3)
    mapping = OF_CONTACTS | {
        f"custom.{field.name}": f"contact.custom.cf_{field.key}" for field in fields if field.object_type == "contact"
    }
    asked = {"format": form, "type": "contacts", "fields": list(mapping)}
    before = exported(api, **asked)
    wipe()
    imported(api, before, form, mapping=mapping, match=["external_id"])
    assert (Lead.objects.count(), Contact.objects.count()) == (n, 3 * n)
    assert content_of(exported(api, **asked), form) == content_of(before, form)


# Numbers and URLs with what an import would cut a list at, or take for one.
PHONES = (
    "+81312345678;ext=5", "+81312345679", "03-1234-5671, then 2", "0312345672; ask", "call\nme", "[1]", '["2"]', '"3"',
    "a\\b", ";ext=", "x;ext=5;y", ",", "代表　03-1234-5673", "=1+1", "'5",
)  # fmt: skip
URLS = ("https://x.example/a b", "https://x.example/a\u3000b", "[x]", '["x"]', "https://x.example/?a=1,2;3", "=x")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_numbers_and_urls_come_back_whole_whatever_they_hold(api: APIClient, status: LeadStatus, form: str) -> None:
    pairs = [(first, second) for first in PHONES for second in PHONES if first != second]
    for number, phones in enumerate(pairs):
        lead = factories.LeadFactory.create(
            organization=status.organization, status=status, name=f"L{number}", external_id=f"e-{number}"
        )
        person = factories.ContactFactory.create(lead=lead, external_id=f"c-{number}")
        for place, phone in enumerate(("0120-000-000", *phones)):
            person.phones.create(organization=lead.organization, position=place, phone=phone)
        person.urls.create(organization=lead.organization, url=URLS[number % len(URLS)], position=0)
    names = ("lead_external_id", "lead_name", "external_id", "name", "phone", "url", "other_phones")
    mapping = {name: OF_CONTACTS[name] for name in names}
    asked = {"format": form, "type": "contacts", "fields": list(mapping)}
    before = exported(api, **asked)
    wipe()
    imported(api, before, form, mapping=mapping, match=["external_id"])
    assert content_of(exported(api, **asked), form) == content_of(before, form)
    stored = ContactPhone.objects.filter(position__gt=0).order_by("contact__external_id", "position")
    assert sorted(set(stored.values_list("phone", flat=True))) == sorted(PHONES)


# What every record gets anew, and what is computed.
NEW = {"id", "lead_id", "organization_id", "html_url", "contact_ids"} | {
    f"{word}_{end}" for word in ("created", "updated") for end in ("by", "by_name")
} | {"date_created", "date_updated"}  # fmt: skip


def objects(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.decode().splitlines():
        yield without_new(json.loads(line))


def without_new(found: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key not in NEW}
    return kept | ({"contacts": [without_new(one) for one in kept["contacts"]]} if "contacts" in kept else {})


def test_whole_leads_with_contacts_and_addresses_come_back_from_jsonl(
    api: APIClient, membership: Membership, fields: list[CustomField]
) -> None:
    statuses = factories.LeadStatusFactory.create_batch(2, organization=membership.organization)
    build(membership, statuses, fields, 500, contacts=3)
    before = exported(api, format="jsonl")
    wipe()
    imported(api, before, "jsonl", on_duplicate="create")
    after = exported(api, format="jsonl")
    assert list(objects(after)) == list(objects(before))
    first = next(objects(before))
    assert {"contacts", "addresses", "description", "status_label"} <= first.keys()


def test_an_export_that_is_imported_where_it_came_from_changes_nothing(
    api: APIClient, membership: Membership, fields: list[CustomField]
) -> None:
    status = factories.LeadStatusFactory.create(organization=membership.organization)
    build(membership, [status], fields, 100, contacts=3)
    before = exported(api, format="jsonl")
    imported(api, before, "jsonl")
    assert list(objects(exported(api, format="jsonl"))) == list(objects(before))
    assert (Lead.objects.count(), Contact.objects.count()) == (100, 300)


def test_ids_of_people_are_those_of_the_organization(
    api: APIClient, membership: Membership, fields: list[CustomField], status: LeadStatus
) -> None:
    """A stranger's file may name anybody."""
    stranger = factories.MembershipFactory.create()
    field = next(one for one in fields if one.type == FieldType.USER and one.object_type == "lead")
    text = f"Name,custom.{field.name}\nA,{close_id('user', stranger.user_id)}\n"
    file = SimpleUploadedFile("leads.csv", text.encode())
    api.post("/api/v1/bulk_action/import/", {"file": file}, format="multipart")
    action = run_to_end(BulkAction.objects.latest("pk"))
    assert (action.n_failed, Lead.objects.count()) == (1, 0)
