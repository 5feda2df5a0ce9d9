"""Any rows merged into any leads leave what a plain model of the rules says, in one call or in several."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.merging import Key, OnDuplicate, Row, Rules
from crm.models import Contact, CustomField, Lead, LeadStatus, Membership
from tests import factories
from tests.crm.merging import model
from tests.crm.merging.helpers import emails_of, merge, outcomes, phones_of

EMAILS = st.sampled_from([None, "a@x.example", "A@X.example ", "b@x.example", "straße@x.example", "STRASSE@x.example"])
PHONES = st.sampled_from([None, "+14155550100", "(415) 555-0100", "+14155550101", "555-0100", "+4915155550100"])
NAMES = st.sampled_from([None, "", "Ida", "Bo"])
EXTERNAL = st.sampled_from([None, None, "1", "2"])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    return Row(
        lead={
            "name": draw(NAMES),
            "description": draw(NAMES),
            "external_id": draw(EXTERNAL),
            "source_platform": draw(st.sampled_from([None, "zoho", "direct"])),
        },
        contact={"name": draw(NAMES), "title": draw(NAMES)},
        email=draw(EMAILS),
        phone=draw(PHONES),
        lead_custom={"field": value} if (value := draw(NAMES)) is not None else {},
    )


MATCHES = st.sampled_from(
    [(Key.EMAIL, Key.PHONE), (Key.PHONE, Key.EMAIL), (Key.EMAIL,), (Key.EXTERNAL_ID,), (Key.EXTERNAL_ID, Key.EMAIL)]
)
POLICIES = st.sampled_from([OnDuplicate.UPDATE, OnDuplicate.UPDATE, OnDuplicate.SKIP, OnDuplicate.FAIL])
CALLS = st.lists(st.tuples(st.lists(rows(), min_size=1, max_size=8), MATCHES, POLICIES), min_size=1, max_size=3)


@pytest.fixture
def field(status: LeadStatus) -> CustomField:
    return factories.CustomFieldFactory.create(organization=status.organization)


def held(field: CustomField) -> list[object]:
    leads = Lead.objects.order_by("date_created", "id")
    return [
        (lead.name, lead.description, lead.external_id, lead.source_platform, lead.custom.get(field.key),
         [(one.name, one.title, emails_of(one), phones_of(one)) for one in Contact.objects.filter(lead=lead)])
        for lead in leads
    ]  # fmt: skip


def under(key: str, custom: Mapping[str, object]) -> dict[str, object]:
    return {key: custom["field"]} if custom else {}


def told(world: model.World) -> list[object]:
    return [
        (lead.name, lead.description, lead.external_id, lead.source_platform, lead.custom.get("field"),
         [(one.name, one.title, one.emails, one.phones) for one in lead.contacts])
        for lead in world.leads
    ]  # fmt: skip


# Each example is rolled back.
@settings(max_examples=80)
@given(calls=CALLS)
def test_any_rows_leave_what_the_model_says(membership: Membership, field: CustomField, calls: list) -> None:
    with transaction.atomic():
        world = model.World()
        for wanted, match, policy in calls:
            expected = [world.apply(row, match, policy) for row in wanted]
            stored = [replace(row, lead_custom=under(field.key, row.lead_custom)) for row in wanted]
            rules = Rules(match=match, on_duplicate=policy)
            planned = merge(membership, *stored, rules=rules, dry_run=True)
            merged = merge(membership, *stored, rules=rules)
            assert outcomes(merged) == [(outcome.value, kind and kind.value) for outcome, kind in expected]
            assert outcomes(planned) == outcomes(merged)
            assert held(field) == told(world)
        transaction.set_rollback(True)
