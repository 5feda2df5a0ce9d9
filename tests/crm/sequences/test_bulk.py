"""Statements of bulk jobs: what becomes of each contact of some leads."""

import json
from uuid import uuid4

import pytest
from django.db import connection

from crm.models import SequenceSubscription
from crm.sequences import bulk
from tests import factories
from tests.crm.sequences.conftest import World


def run(world: World, statement: bulk.Statement, leads: list[object], **parameters: object) -> list[tuple]:
    """(contact, outcome, code) of each row, by contact."""
    return sorted(((row[1], row[4], row[5]) for row in answers(world, statement, leads, **parameters)), key=str)


def answers(world: World, statement: bulk.Statement, leads: list[object], **parameters: object) -> list[tuple]:
    known = {
        "leads": [lead.pk for lead in leads],
        "organization": world.membership.organization_id,
        "by": world.membership.user_id,
        "job": uuid4(),
        "sequence": None,
        "account": world.account.pk,
        "sender_name": "Jo Field",
        "sender_email": "jo@oakvale.example",
        "calls_assigned_to": None,
    }
    columns = "lead_id, contact_id, email, subscription_id, outcome, code, before"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH wanted AS (SELECT unnest(%(leads)s::uuid[]) AS lead_id), {statement.looking}, {statement.doing}"
            f" SELECT {columns} FROM answer",
            {**known, **parameters},
        )
        return cursor.fetchall()


def people(world: World, *addresses: str | None) -> object:
    """A lead with a contact for each address; None: a contact without one."""
    lead = factories.LeadFactory.create(organization=world.membership.organization)
    for position, address in enumerate(addresses):
        contact = factories.ContactFactory.create(lead=lead, position=position)
        for place, each in enumerate([address, f"second-{address}"] if address else []):
            contact.emails.create(organization=lead.organization, email=each, position=place)
    return lead


def test_a_lead_is_written_to_at_the_first_address_of_its_first_contact_with_one(world: World) -> None:
    several, none = people(world, None, "ida@x.example", "bo@x.example"), people(world)
    _, ida, bo = several.contacts.all()
    reached = {}
    for preference, statement in bulk.SUBSCRIBE.items():
        sequence = world.sequence({})
        steps = bulk.first_step(sequence)
        rows = answers(world, statement, [several, none], sequence=sequence.pk, **steps)
        reached[preference] = {(row[0], row[1], row[2]) for row in rows}
    nobody = (none.pk, None, None)
    assert reached == {
        "lead": {(several.pk, ida.pk, "ida@x.example"), nobody},
        "contact": {(several.pk, ida.pk, "ida@x.example"), (several.pk, bo.pk, "bo@x.example"), nobody},
    }


def test_subscribing_takes_those_who_never_had_the_sequence(world: World) -> None:
    sequence = world.sequence({})
    lead, empty = people(world, None, "ida@x.example", "bo@x.example"), people(world)
    _, ida, bo = lead.contacts.all()
    world.subscribe(sequence, ida, contact_email="ida@x.example", status="finished")
    steps = bulk.first_step(sequence)
    rows = run(world, bulk.SUBSCRIBE["contact"], [lead, empty], sequence=sequence.pk, **steps)
    assert rows == sorted(
        [
            (ida.pk, "skipped", "already_subscribed"),
            (bo.pk, "succeeded", None),
            (None, "skipped", "no_address"),
        ],
        key=str,
    )
    made = SequenceSubscription.objects.get(contact=bo)
    assert (made.status, made.contact_email, made.next_step_id, made.lead_id) == (
        "active", "bo@x.example", steps["next_step"], lead.pk,
    )  # fmt: skip
    assert made.bulk_action_id is not None
    again = run(world, bulk.SUBSCRIBE["lead"], [lead], sequence=sequence.pk, **steps)
    assert again == [(ida.pk, "skipped", "already_subscribed")]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            bulk.PAUSE,
            {"active": ("succeeded", None), "paused": ("unchanged", None), "finished": ("skipped", "wrong_status")},
        ),
        (
            bulk.RESUME,
            {"active": ("unchanged", None), "paused": ("succeeded", None), "finished": ("skipped", "wrong_status")},
        ),
        (
            bulk.RESUME_FINISHED,
            {"active": ("unchanged", None), "paused": ("skipped", "wrong_status"), "finished": ("succeeded", None)},
        ),
        (
            bulk.REASSIGN,
            {"active": ("succeeded", None), "paused": ("succeeded", None), "finished": ("skipped", "wrong_status")},
        ),
    ],
)
def test_each_statement_changes_those_that_it_is_for(
    world: World, statement: bulk.Statement, expected: dict[str, tuple[str, str | None]]
) -> None:
    sequence, other = world.sequence({}, {"delay": 60}), world.sequence({})
    wanted = []
    for status, outcome in expected.items():
        lead = people(world, f"{status}@x.example")
        contact = lead.contacts.get()
        over = {"next_step": None, "next_at": None, "steps_done": 1} if status == "finished" else {}
        world.subscribe(sequence, contact, contact_email="x@x.example", status=status, **over)
        world.subscribe(other, contact, contact_email="x@x.example", status=status, **over)
        wanted.append((lead, (contact.pk, *outcome)))
    stranger = people(world, "eve@x.example")
    leads = [lead for lead, _ in wanted]
    rows = run(world, statement, [*leads, stranger], sequence=sequence.pk, sender_name="Bo")
    assert rows == sorted([*(row for _, row in wanted), (None, "skipped", "not_subscribed")], key=str)
    assert len(run(world, statement, leads, sequence=None, sender_name="Bo")) == 6, "of every sequence"
    again = run(world, statement, leads, sequence=sequence.pk, sender_name="Bo")
    assert not [row for row in again if row[1] == "succeeded"], "a second run changes nothing"


def test_resuming_says_why_it_did_not(world: World) -> None:
    sequence = world.sequence({}, status="paused")
    lead, done = people(world, "ida@x.example"), people(world, "bo@x.example")
    world.subscribe(sequence, lead.contacts.get(), contact_email="x@x.example", status="paused")
    assert run(world, bulk.RESUME, [lead]) == [(lead.contacts.get().pk, "skipped", "sequence_not_active")]
    over = {"next_step": None, "next_at": None, "steps_done": 1, "status": "finished"}
    world.subscribe(world.sequence({}), done.contacts.get(), contact_email="x@x.example", **over)
    assert run(world, bulk.RESUME_FINISHED, [done]) == [(done.contacts.get().pk, "skipped", "nothing_to_come")]


def test_what_was_before_is_told_for_an_undo(world: World) -> None:
    one = world.subscribe(world.sequence({}))
    [(*_, before)] = answers(world, bulk.PAUSE, [one.lead])
    before = json.loads(before) if isinstance(before, str) else before
    assert (before["status"], before["next_step_id"]) == ("active", str(one.next_step_id))
