"""Calls that meet each other, and writers of other dialects."""

import pytest
from django.db import connection, transaction
from django.http import HttpResponse

from crm.ids import parse_hex_id
from crm.models import Activity, Contact, Lead, Opportunity, OpportunityStatus
from tests.blueai import BlueAI, problem_of
from tests.sessions import other_session, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


def held_lead(company: dict[str, object]) -> Lead:
    return Lead.objects.select_for_update(no_key=True).get(pk=parse_hex_id("comp", company["id"]))


def test_a_change_of_a_deal_keeps_the_stage_that_others_have_moved_it_to(blueai: BlueAI) -> None:
    made = blueai.make("deals", {"name": "更新", "stage": "proposal"})
    with other_session() as start:
        with transaction.atomic():
            deal = Opportunity.objects.select_for_update(no_key=True).get(pk=parse_hex_id("deal", made["id"]))
            deal.status = OpportunityStatus.objects.get(pipeline=deal.status.pipeline_id, slug="won")
            deal.save()
            patch = start(lambda: blueai.patch(f"/crm/deals/{made['id']}", {"name": "別名"}))
            wait_until_blocked(patch)
        changed = patch.result(20).json()["deal"]
    assert (changed["name"], changed["stage"]) == ("別名", "won")


def test_a_contact_that_joins_a_company_waits_for_its_lead_before_it_is_held_itself(blueai: BlueAI) -> None:
    """As merges do: else each would wait for what the other holds."""
    company = blueai.make("companies", {"name": "桜"})
    contact = blueai.make("contacts", {"first_name": "花子", "last_name": "佐藤"})
    with other_session() as start:
        with transaction.atomic():
            held_lead(company)
            patch = start(lambda: blueai.patch(f"/crm/contacts/{contact['id']}", {"company_id": company["id"]}))
            wait_until_blocked(patch)
            Contact.objects.select_for_update(no_key=True, nowait=True).get()
        assert patch.result(20).json()["contact"]["company_id"] == company["id"]


def test_an_activity_waits_for_the_lead_before_it_holds_the_contact(blueai: BlueAI) -> None:
    """As merges of leads do."""
    company = blueai.make("companies", {"name": "桜"})
    contact = blueai.make("contacts", {"first_name": "花子", "last_name": "佐藤", "company_id": company["id"]})
    call = {"type": "call", "content": "電話", "contact_id": contact["id"]}
    lead = parse_hex_id("comp", company["id"])
    with other_session() as start:
        with transaction.atomic():
            Lead.objects.select_for_update().get(pk=lead)
            post = start(lambda: blueai.post("/crm/activities", call))
            wait_until_blocked(post)
            Contact.objects.select_for_update(no_key=True, nowait=True).get()
        assert post.result(20).status_code == 201
    assert Activity.objects.get().lead_id == lead


def test_what_others_are_in_the_way_of_is_a_conflict(blueai: BlueAI) -> None:
    company = blueai.make("companies", {"name": "桜"})
    contact = blueai.make("contacts", {"first_name": "花子", "last_name": "佐藤"})

    def impatient() -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        return blueai.patch(f"/crm/contacts/{contact['id']}", {"company_id": company["id"]})

    with other_session() as start, transaction.atomic():
        held_lead(company)
        problem_of(start(impatient).result(20), 409)
