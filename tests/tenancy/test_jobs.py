"""Jobs that are asked to work on another organization's records, carried out to their end."""

import gzip
from typing import Any

import pytest
from pytest_django import Settings

from bulk_actions.export_files import storage
from bulk_actions.models import BulkAction, ExportFile
from crm.models import Contact, Dialect, Lead
from tests.bulk_actions.helpers import run_to_end
from tests.tenancy.digest import digest
from tests.tenancy.world import V1, World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_queue(settings: Settings) -> None:
    """Both have jobs that nobody works on: a further one need not wait for these."""
    settings.BULK_MAX_RUNNING_PER_ORGANIZATION = 100


def carried_out(world: World, path: str, body: object) -> BulkAction:
    world.speaker.make(f"{V1}/{path}/", body)
    return run_to_end(BulkAction.objects.filter(organization=world.organization).latest("pk"))


def test_no_lead_of_others_is_found_by_its_id(ours: World, theirs: World) -> None:
    before = digest(theirs.organization)
    leads = [theirs.spelled(Dialect.CLOSE, kind) for kind in ("lead", "other_lead")]
    by_id = {"type": "or", "queries": [{"type": "id", "value": lead} for lead in leads]}
    status = {"type": "set_lead_status", "lead_status_id": ours.spelled(Dialect.CLOSE, "lead_status")}
    mailing = {name: ours.spelled(Dialect.CLOSE, kind) for name, kind in (
        ("template_id", "template"), ("email_account_id", "account"))}  # fmt: skip
    orders: dict[str, dict[str, Any]] = {
        "delete": {}, "edit": status, "email": mailing, "sequence_subscription": {"action_type": "pause"},
    }  # fmt: skip
    for kind, order in orders.items():
        for which in ({"s_query": by_id}, {"lead_ids": leads}, {"query": f"id:{leads[0]}"}):
            job = carried_out(ours, f"bulk_action/{kind}", {**order, **which})
            assert (job.status, job.n_leads) == ("done", 0)
    assert digest(theirs.organization) == before


def test_a_job_over_all_leads_is_over_ones_own(ours: World, theirs: World) -> None:
    before, n_own = digest(theirs.organization), Lead.objects.filter(organization=ours.organization).count()
    job = carried_out(ours, "bulk_action/delete", {"s_query": {"type": "match_all"}})
    assert (job.status, job.n_leads, job.n_succeeded) == ("done", n_own, n_own)
    assert digest(theirs.organization) == before


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_no_export_holds_anything_of_others(ours: World, theirs: World, form: str) -> None:
    before = digest(theirs.organization)
    orders = [("export/lead", {"type": type_}) for type_ in ("leads", "contacts", "lead_opps")]
    for path, order in [*orders, ("export/opportunity", {})]:
        job = carried_out(ours, path, {"format": form, **order})
        assert job.status == "done"
        file = ExportFile.objects.get(action=job, date_finished__isnull=False)
        with storage().open(file.name, "rb") as packed:
            content = gzip.decompress(packed.read())
        assert ours.mark.encode() in content
        assert theirs.mark.encode() not in content
    assert digest(theirs.organization) == before


def test_rows_of_an_import_match_nobody_elses_records(ours: World, theirs: World) -> None:
    Lead.objects.filter(pk=theirs.keys["lead"]).update(external_id="7")
    before = digest(theirs.organization)
    row = f"External id,Company,Email,Phone\n7,New,{theirs.words['contact_email']},+81312345678\n".encode()
    upload = ours.speaker.make(f"{V1}/bulk_action/import/upload/", row)["id"]
    job = carried_out(ours, "bulk_action/import", {"upload_id": upload, "match": ["external_id", "email"]})
    assert (job.status, job.n_succeeded) == ("done", 1)
    assert Lead.objects.get(organization=ours.organization, external_id="7").name == "New"
    assert Contact.objects.filter(organization=ours.organization, emails__email=theirs.words["contact_email"]).exists()
    assert digest(theirs.organization) == before
