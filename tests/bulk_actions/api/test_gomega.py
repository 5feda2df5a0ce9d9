"""Bulk create and merge of gomega: rows, their results, the job that is left, and its undo."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bulk_actions.merges import MergeAtOnce
from bulk_actions.models import Batch, BulkAction, LeadOutcome
from bulk_actions.retention import erase
from bulk_actions.retrying import retry
from crm.api.gomega.lead_input import RowReader
from crm.errors import Invalid
from crm.merging import Row, Rules
from crm.models import (
    Contact,
    ContactEmail,
    ContactPhone,
    CustomField,
    IdempotentAnswer,
    Lead,
    LeadStatus,
    LeadStatusChange,
    LeadWebhook,
    Membership,
    Organization,
    WebhookDelivery,
)
from tests import factories
from tests.bulk_actions.helpers import caller_of, check_invariant, run_to_end
from tests.gomega import Gomega, message_of

pytestmark = pytest.mark.django_db
Person = Callable[..., Lead]


def bulk(client: Gomega, rows: list[object], **more: object) -> dict[str, object]:
    answer = client.post("/leads/bulk", {"leads": rows, **more})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    summary = told["summary"]
    assert summary["created"] + summary["updated"] + summary["skipped"] + summary["failed"] == summary["total"]
    assert len(told["results"]) == summary["total"] == len(rows)
    if told["job_id"]:
        check_invariant(BulkAction.objects.get(pk=told["job_id"]))
    return told


def statuses(told: dict[str, object]) -> list[str]:
    return [row["status"] for row in told["results"]]


def test_the_documented_example(gomega: Gomega, person: Person) -> None:
    known = person("Ida", phone="+15555550100")
    told = bulk(
        gomega,
        [
            {"row_ref": "crm-1", "contact_email": "new@oakvale.example", "custom_fields": {"fav_colour": "green"}},
            {"row_ref": "crm-2", "contact_phone": "(555) 555-0100", "contact_name": "Ida Moss"},
            {"contact_name": "Ada", "stage_slug": "negotiaton"},
        ],
        on_duplicate="update",
        dry_run=False,
    )
    made = Lead.objects.exclude(pk=known.pk).get()
    assert told == {
        "dry_run": False,
        "summary": {"total": 3, "created": 1, "updated": 1, "skipped": 0, "failed": 1},
        "results": [
            {"row_ref": "crm-1", "status": "created", "lead_id": str(made.pk), "matched_by": None, "errors": None,
             "ignored_custom_fields": ["fav_colour"]},
            {"row_ref": "crm-2", "status": "updated", "lead_id": str(known.pk), "matched_by": "phone", "errors": None,
             "ignored_custom_fields": []},
            {"row_ref": None, "status": "failed", "lead_id": None, "matched_by": None,
             "errors": ["stage_slug: no such stage: negotiaton"], "ignored_custom_fields": []},
        ],
        "unknown_custom_fields": ["fav_colour"],
        "job_id": told["job_id"],
    }  # fmt: skip
    assert (made.source_type, made.source_platform) == ("import", "direct")
    known.refresh_from_db()
    assert known.source_type == "manual"  # the first value stays


def test_rows_are_applied_in_order_so_that_a_later_one_meets_an_earlier_one(gomega: Gomega) -> None:
    rows = [
        {"contact_email": "ida@oakvale.example", "contact_name": "Ida"},
        {"contact_email": "IDA@oakvale.example", "contact_phone": "+15555550100"},
        {"contact_phone": "555-555-0100", "contact_name": "Ida Moss"},
    ]
    tried = bulk(gomega, rows, dry_run=True)
    assert statuses(tried) == ["created", "updated", "updated"]
    assert [row["lead_id"] for row in tried["results"]] == [None, None, None]
    assert (tried["dry_run"], tried["job_id"]) == (True, None)
    assert not Lead.objects.exists()
    assert not BulkAction.objects.exists()
    told = bulk(gomega, rows)
    assert statuses(told) == statuses(tried)
    assert [row["matched_by"] for row in told["results"]] == [None, "email", "phone"]
    assert len({row["lead_id"] for row in told["results"]}) == 1
    assert Contact.objects.get().name == "Ida Moss"


def test_skip_leaves_a_lead_that_is_there_untouched(gomega: Gomega, person: Person) -> None:
    known = person("Ida", "ida@oakvale.example")
    told = bulk(
        gomega,
        [{"contact_email": "ida@oakvale.example", "contact_name": "Other"}, {"contact_name": "New"}],
        on_duplicate="skip",
    )
    assert statuses(told) == ["skipped", "created"]
    assert told["results"][0]["lead_id"] == str(known.pk)
    assert known.contacts.get().name == "Ida"
    job = BulkAction.objects.get(pk=told["job_id"])
    assert (job.status, job.n_objects, job.n_succeeded, job.n_skipped) == ("done", 2, 1, 1)
    assert LeadOutcome.objects.get(action=job).code == "duplicate"


def test_a_bad_row_fails_alone_and_says_all_that_is_wrong_with_it(
    gomega: Gomega,
    organization: Organization,
) -> None:
    factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    rows = [
        "Ida",
        None,
        {},
        {"row_ref": 7, "contact_name": "Ida"},
        {"row_ref": "r", "contact_email": "no address", "owner_id": str(uuid4()), "custom_fields": {"size": "large"}},
        {"contact_name": "Ida", "source_type": "pigeon"},
        {"contact_name": "Ida", "lead_line": "renter"},
        {"contact_name": "Ada", "lead_line": "buyer"},
    ]
    told = bulk(gomega, rows)
    assert statuses(told) == ["failed"] * 7 + ["created"]
    assert [len(row["errors"] or []) for row in told["results"]] == [1, 1, 1, 1, 3, 1, 1, 0]
    assert told["results"][4]["row_ref"] == "r"
    assert Lead.objects.get().lead_line == "buyer"
    job = BulkAction.objects.get()
    assert (job.params, job.n_objects) == ({"source": "gomega", "rows": 8, "failed": 7}, 1)


def test_a_row_that_cannot_be_stored_fails_alone(gomega: Gomega) -> None:
    rows = [{"contact_name": "a\0"}, {"row_ref": "\ud800", "contact_name": "b"}, {"custom_fields": {"\0": 1}}, {}]
    deep: dict[str, object] = {}
    for _ in range(300):
        deep = {"custom_fields": deep}
    told = bulk(gomega, [*rows[:3], deep, {"contact_name": "Ida"}])
    assert statuses(told) == ["failed"] * 4 + ["created"]
    assert [row["errors"] for row in told["results"][:4]] == [
        ["The row contains a NUL character."],
        ["The row contains half a surrogate pair."],
        ["The row contains a NUL character."],
        ["The row is nested too deeply."],
    ]
    answer = gomega.post("/leads/bulk", {"leads": [{"contact_name": "Ida"}], "on_duplicate": "\0"})
    assert answer.status_code == 400


def test_a_failed_row_tells_of_unknown_fields_too(gomega: Gomega) -> None:
    told = bulk(gomega, [{"contact_email": "nobody", "custom_fields": {"fav_colour": "green", "lead_line": "buyer"}}])
    assert told["results"][0]["ignored_custom_fields"] == told["unknown_custom_fields"] == ["fav_colour"]
    assert statuses(told) == ["failed"]


def test_what_is_deleted_while_a_call_is_under_way_is_told_in_the_words_of_a_row(
    gomega: Gomega, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    read = RowReader.read

    def read_and_delete(reader: RowReader, *arguments: object, **options: object) -> Row:
        row = read(reader, *arguments, **options)
        LeadStatus.objects.filter(slug="customer").delete()
        CustomField.objects.filter(pk=field.pk).delete()
        return row

    monkeypatch.setattr(RowReader, "read", read_and_delete)
    rows = [{"contact_name": "Ida", "stage_slug": "customer"}, {"contact_name": "Ada", "custom_fields": {"size": 2}}]
    told = bulk(gomega, rows)
    gone = "refers to what is not there any more"
    assert [row["errors"] for row in told["results"]] == [[f"stage_slug: {gone}"], [f"custom_fields.size: {gone}"]]
    assert not Lead.objects.exists()


def test_a_call_of_bad_rows_alone_is_answered_too(gomega: Gomega) -> None:
    told = bulk(gomega, [{}, {}])
    assert statuses(told) == ["failed", "failed"]
    assert BulkAction.objects.get().status == "done"


def test_an_owner_is_one_of_the_team_and_the_first_one_stays(
    gomega: Gomega,
    organization: Organization,
    membership: Membership,
) -> None:
    second = factories.MembershipFactory.create(organization=organization)
    foreign = factories.MembershipFactory.create()
    row = {"contact_email": "ida@oakvale.example"}
    owners = [membership.user_id, second.user_id, foreign.user_id]
    told = bulk(gomega, [{**row, "owner_id": str(owner)} for owner in owners])
    assert statuses(told) == ["created", "updated", "failed"]
    assert told["results"][2]["errors"] == ["owner_id: no such team member"]
    assert Lead.objects.get().owner_id == membership.user_id


def test_custom_fields_are_merged_slug_by_slug(gomega: Gomega, organization: Organization) -> None:
    size = factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    origin = factories.CustomFieldFactory.create(organization=organization, slug="origin")
    row = {"contact_email": "ida@oakvale.example"}
    told = bulk(
        gomega,
        [
            {**row, "custom_fields": {"size": 1, "origin": "fair", "b": 1, "a": 2}},
            {**row, "custom_fields": {"size": 2, "origin": None, "a": 1}},
            {**row, "custom_fields": {"size": ""}},
        ],
    )
    assert Lead.objects.get().custom == {size.key: 2, origin.key: "fair"}
    assert told["unknown_custom_fields"] == ["b", "a"]
    assert [row["ignored_custom_fields"] for row in told["results"]] == [["b", "a"], ["a"], []]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "leads"),
        ({"leads": []}, "leads"),
        ({"leads": {}}, "leads"),
        ({"leads": [{}] * 501}, "leads must hold 1 to 500 rows"),
        ({"leads": [{}], "on_duplicate": "merge"}, "on_duplicate"),
        ({"leads": [{}], "on_duplicate": []}, "on_duplicate"),
        ({"leads": [{}], "dry_run": "yes"}, "dry_run"),
    ],
)
def test_a_malformed_call_is_a_400(gomega: Gomega, body: dict[str, object], named: str) -> None:
    answer = gomega.post("/leads/bulk", body)
    assert answer.status_code == 400
    assert message_of(answer).replace(":", "", 1).startswith(named)


def test_a_bulk_call_tells_no_webhook(gomega: Gomega, organization: Organization) -> None:
    LeadWebhook.objects.create(
        organization=organization, url="https://hooks.example/", event_types=["lead.created"], secret=""
    )
    bulk(gomega, [{"contact_name": "Ida"}])
    assert not WebhookDelivery.objects.exists()


def test_a_repeat_under_its_key_is_answered_and_not_carried_out(gomega: Gomega) -> None:
    body = {"leads": [{"contact_name": "Ida"}]}
    first, again = (gomega.post("/leads/bulk", body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert Lead.objects.count() == BulkAction.objects.count() == 1
    assert gomega.post("/leads/bulk", {"leads": [{}]}, **{"Idempotency-Key": "k"}).status_code == 409


def test_a_dry_run_is_not_kept(gomega: Gomega) -> None:
    body = {"leads": [{"contact_name": "Ida"}], "dry_run": True}
    for _ in range(2):
        answer = gomega.post("/leads/bulk", body, **{"Idempotency-Key": "k"})
        assert "Idempotent-Replayed" not in answer
    assert not IdempotentAnswer.objects.exists()
    assert gomega.post("/leads/bulk", {**body, "dry_run": False}, **{"Idempotency-Key": "k"}).status_code == 200


def test_another_customer_matches_and_sees_nothing(
    gomega: Gomega,
    stranger: Gomega,
    person: Person,
) -> None:
    person("Ida", "ida@oakvale.example")
    told = bulk(stranger, [{"contact_email": "ida@oakvale.example"}])
    assert statuses(told) == ["created"]
    assert gomega.get(f"/leads/bulk/{told['job_id']}").status_code == 404
    assert gomega.post(f"/leads/bulk/{told['job_id']}/undo").status_code == 404
    assert gomega.get("/leads/bulk/x").status_code == 404


@pytest.mark.parametrize(
    "said", [{"contact_email": " Info@Sakura.example"}, {"contact_phone": "+81 3-1234-5678", "contact_name": "花子"}]
)
def test_a_lead_without_a_contact_is_found_by_what_the_list_shows_of_it(
    gomega: Gomega, stranger: Gomega, status: LeadStatus, said: dict[str, str]
) -> None:
    """A company of BlueAI has an address and a number of its own."""
    company = factories.LeadFactory.create(
        status=status, organization=status.organization, email="info@sakura.example", phone="+81312345678"
    )
    [shown] = gomega.get("/leads").json()["leads"]
    assert (shown["contact_email"], shown["contact_phone"]) == ("info@sakura.example", "+81312345678")
    assert statuses(bulk(gomega, [said], dry_run=True)) == ["updated"]
    assert gomega.post("/leads", said).json()["lead"]["id"] == str(company.pk)
    told = bulk(gomega, [said, {"contact_name": "x"}, said])
    assert statuses(told) == ["updated", "created", "updated"]
    assert [row["lead_id"] == str(company.pk) for row in told["results"]] == [True, False, True]
    assert company.contacts.count() == 1
    assert statuses(bulk(stranger, [said])) == ["created"]
    Lead.objects.filter(pk=company.pk).update(deleted_at=timezone.now())
    assert statuses(bulk(gomega, [said])) == ["created"]


def test_imports_of_other_dialects_are_not_its_jobs(gomega: Gomega, membership: Membership) -> None:
    """To undo such a one takes the permission to import."""
    with transaction.atomic():
        merge = MergeAtOnce(rules=Rules(), caller=caller_of(membership), source="blueai")
        merge.merge([Row(email="ida@oakvale.example")])
        job = merge.close(n_unread=0)
    assert gomega.get(f"/leads/bulk/{job.pk}").status_code == 404
    assert gomega.post(f"/leads/bulk/{job.pk}/undo").status_code == 404
    assert Lead.objects.count() == 1


# --- speed ------------------------------------------------------------------------------------------------------------


def many(n: int, tag: str) -> list[dict[str, object]]:
    """`n` rows of people of which the first half is known when they come a second time under another tag."""
    return [
        {
            "row_ref": str(place),
            "contact_name": f"Person {place} {tag}",
            "contact_email": f"p{place if place < n // 2 else f'{place}-{tag}'}@oakvale.example",
            "stage_slug": "customer",
            "custom_fields": {"size": place},
        }
        for place in range(n)
    ]


def test_500_rows_take_as_many_statements_as_50(gomega: Gomega, organization: Organization) -> None:
    factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    counts = []
    for n in (50, 500):
        bulk(gomega, many(n, f"first-of-{n}"))
        with CaptureQueriesContext(connection) as queries:
            told = gomega.post("/leads/bulk", {"leads": many(n, f"second-of-{n}")}).json()
        assert (told["summary"]["created"], told["summary"]["updated"]) == (n // 2, n // 2)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 60


# --- undo -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def merged(gomega: Gomega, person: Person, organization: Organization) -> tuple[Lead, Lead, UUID]:
    """A lead that a call has changed in every way, one that it has made, and its job."""
    field = factories.CustomFieldFactory.create(organization=organization, slug="size", type="number")
    old = person("Ida", "ida@oakvale.example", "+15555550100", custom={field.key: 1}, lead_line="buyer")
    told = bulk(
        gomega,
        [
            {"contact_email": "ida@oakvale.example", "contact_name": "Ida Moss", "contact_phone": "+15555550199",
             "stage_slug": "customer", "lead_line": "seller", "custom_fields": {"size": 2}},
            {"contact_email": "new@oakvale.example", "contact_name": "New", "contact_phone": "+15555550111"},
        ],
    )  # fmt: skip
    assert statuses(told) == ["updated", "created"]
    return old, Lead.objects.get(pk=told["results"][1]["lead_id"]), UUID(told["job_id"])


def picture(lead: Lead) -> dict[str, object]:
    """What there is to see of a lead."""
    lead.refresh_from_db()
    return {
        "lead": (lead.name, lead.status.slug, lead.custom, lead.lead_line, lead.deleted_at is None),
        "people": list(lead.contacts.values_list("name", "emails__email", "phones__phone")),
    }


def undo_of(client: Gomega, job_id: UUID, **body: object) -> BulkAction:
    answer = client.post(f"/leads/bulk/{job_id}/undo", body)
    assert answer.status_code == 200, answer.content
    job = run_to_end(BulkAction.objects.get(pk=answer.json()["job"]["id"]))
    shown = client.get(f"/leads/bulk/{job.pk}").json()["job"]
    assert (shown["status"], shown["undo_of"]) == ("done", str(job_id))
    return job


@pytest.mark.django_db(transaction=True)
def test_an_undo_deletes_what_was_made_and_restores_what_was_changed(
    gomega: Gomega,
    person: Person,
    merged: tuple[Lead, Lead, UUID],
) -> None:
    old, new, job_id = merged
    assert picture(old)["people"] == [("Ida Moss", "ida@oakvale.example", "+15555550199")]
    job = undo_of(gomega, job_id)
    assert (job.n_succeeded, job.n_skipped) == (2, 0)
    old.refresh_from_db()
    assert old.lead_line == "buyer"
    assert list(old.custom.values()) == [1]
    assert picture(old)["people"] == [("Ida", "ida@oakvale.example", "+15555550100")]
    assert old.status.slug == "new"
    assert LeadStatusChange.objects.filter(lead=old, bulk_action_id=job.pk).count() == 1
    assert not Lead.objects.filter(pk=new.pk).exists()
    assert gomega.post(f"/leads/bulk/{job_id}/undo").status_code == 409
    assert gomega.post(f"/leads/bulk/{job.pk}/undo").status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("force", [False, True])
def test_an_undo_leaves_what_was_changed_since_but_not_by_force(
    gomega: Gomega,
    merged: tuple[Lead, Lead, UUID],
    force: bool,
) -> None:
    old, new, job_id = merged
    Contact.objects.filter(lead=old).update(name="Ida Moss-Field")
    gomega.post("/leads", {"contact_email": "new@oakvale.example", "contact_name": "Newer"})
    before = picture(old), picture(new)
    job = undo_of(gomega, job_id, force=force)
    if force:
        assert job.n_succeeded == 2
        assert picture(old)["people"][0][0] == "Ida"
        assert not Lead.objects.filter(pk=new.pk).exists()
    else:
        assert job.n_skipped == 2
        assert set(LeadOutcome.objects.filter(action=job).values_list("code", flat=True)) == {"changed_since"}
        assert (picture(old), picture(new)) == before


@pytest.mark.django_db(transaction=True)
def test_an_undo_takes_away_people_and_numbers_that_were_added(gomega: Gomega, person: Person) -> None:
    old = person("Oakvale", None, "+15555550100")
    untouched = picture(old)
    told = bulk(
        gomega,
        [{"contact_phone": "+15555550100", "contact_email": "ida@oakvale.example"}],
    )
    assert ContactEmail.objects.count() == 1
    undo_of(gomega, UUID(told["job_id"]))
    assert picture(old) == untouched
    assert (ContactEmail.objects.count(), ContactPhone.objects.count()) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_an_undo_skips_leads_that_are_gone_and_stages_that_are_gone(
    gomega: Gomega,
    merged: tuple[Lead, Lead, UUID],
) -> None:
    old, new, job_id = merged
    Lead.objects.filter(pk=new.pk).update(deleted_at=new.date_created)
    LeadStatus.objects.filter(slug="new", organization=old.organization_id).delete()
    job = undo_of(gomega, job_id, force=True)
    codes = dict(LeadOutcome.objects.filter(action=job).values_list("lead_id", "code"))
    assert codes == {old.pk: "value_gone", new.pk: "lead_gone"}


def test_an_import_is_sent_again_and_not_tried_again(merged: tuple[Lead, Lead, UUID], membership: Membership) -> None:
    with pytest.raises(Invalid, match="send it again"):
        retry(action=BulkAction.objects.get(pk=merged[2]), caller=caller_of(membership), outcomes=["failed"])


def test_what_a_removed_lead_held_leaves_the_ledger_and_the_log_of_webhooks(
    gomega: Gomega, merged: tuple[Lead, Lead, UUID], organization: Organization
) -> None:
    old, _, job_id = merged
    LeadWebhook.objects.create(
        organization=organization, url="https://hooks.example/", event_types=["lead.created"], secret=""
    )
    third = Lead.objects.get(pk=gomega.post("/leads", {"contact_name": "Ada"}).json()["lead"]["id"])
    gomega.post("/leads", {"contact_name": "Bea"}, **{"Idempotency-Key": "k"})
    for lead in (old, third, Lead.objects.get(name="Bea")):
        assert erase(lead.pk, organization.pk)[1]
    [removed, kept] = Batch.objects.get(action=job_id).before
    assert (removed, kept["created"]) == (None, True)
    assert not WebhookDelivery.objects.filter(lead_id=third.pk).exists()
    assert not IdempotentAnswer.objects.exists()


def test_the_ledger_holds_what_leads_held_in_the_order_of_the_changed_ones(
    merged: tuple[Lead, Lead, UUID],
) -> None:
    old, new, job_id = merged
    batch = Batch.objects.get(action=job_id)
    assert batch.changed_ids == [old.pk, new.pk]
    assert (batch.before[1]["created"], batch.before[1]["contacts"]) == (True, 1)
    assert {change["table"] for change in batch.before[0]["changes"]} == {"lead", "contact", "phone"}
