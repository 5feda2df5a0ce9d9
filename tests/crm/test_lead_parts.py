"""What hangs on a lead, while the lead is merged or purged."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from crm.activities import create_activity
from crm.errors import FieldErrors
from crm.lead_merge import merge_leads
from crm.models import Activity, Lead, Organization, Task, User
from crm.purge import purge_deleted
from tests import factories


def test_a_purged_lead_takes_its_activities_and_tasks_along(organization: Organization) -> None:
    doomed, other = (factories.LeadFactory.create(organization=organization) for _ in range(2))
    contact = factories.ContactFactory.create(lead=doomed)
    kept = [make.create(lead=other, contact=contact) for make in (factories.ActivityFactory, factories.TaskFactory)]
    for make in (factories.ActivityFactory, factories.TaskFactory):
        make.create(lead=doomed, contact=contact)
    Lead.objects.filter(pk=doomed.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert purge_deleted(older_than=timedelta(days=30), limit=10) == 1
    connection.check_constraints()
    assert [*Activity.objects.all(), *Task.objects.all()] == kept
    for row in kept:
        row.refresh_from_db()
        assert row.contact_id is None


@pytest.mark.django_db(transaction=True)
def test_nothing_is_added_to_a_lead_that_is_just_being_merged(organization: Organization, user: User) -> None:
    factories.MembershipFactory.create(organization=organization, user=user)
    source, destination = (factories.LeadFactory.create(organization=organization) for _ in range(2))
    outcome: list[object] = []

    def add() -> None:
        try:
            columns = {"lead_id": source.pk, "text": "x"}
            outcome.append(create_activity(organization=organization, by=user, type="note", columns=columns))
        except FieldErrors as problem:
            outcome.append(problem.field_errors)
        finally:
            connection.close()

    adding = threading.Thread(target=add)
    with transaction.atomic():
        merge_leads(source_id=source.pk, destination_id=destination.pk, organization=organization, by=user)
        adding.start()
        _until_somebody_waits()
        assert outcome == []
    adding.join(timeout=10)
    assert outcome == [{"lead": "Object does not exist."}]
    assert not Activity.objects.exists()


def _until_somebody_waits() -> None:
    deadline = time.monotonic() + 10
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits for the lock")
