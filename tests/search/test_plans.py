"""Plans: where few leads match and an index leads to them, no search and no count reads all leads."""

from collections.abc import Iterator
from datetime import UTC

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from bench.queries import Ids, Query, queries
from crm.auth import Caller
from crm.demo_data import seed_leads
from crm.ids import close_id
from crm.models import ContactEmail, CustomField, LeadStatus, OpportunityStatus
from search.compiler import found, matching
from search.resolve import resolve
from tests.factories import LeadStatusFactory, MembershipFactory
from tests.search.helpers import caller_of, settle, sort_in

pytestmark = pytest.mark.django_db
LEADS = 20_000
WRITTEN = "crm_lead, crm_address, crm_contact, crm_contactemail, crm_contactphone, crm_contacturl"


@pytest.fixture(scope="module")
def crowd(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Caller]:
    with django_db_blocker.unblock(), transaction.atomic():
        caller = caller_of(MembershipFactory.create())
        for _ in range(4):
            LeadStatusFactory.create(organization=caller.organization)
        _fill(caller)
        yield caller
        transaction.set_rollback(True)


def _fill(caller: Caller) -> None:
    """Demo leads, and their index at once instead of by its triggers."""
    tables = [table.strip() for table in WRITTEN.split(",")]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        list(seed_leads(organization=caller.organization, leads=LEADS, seed=1))
        settle()  # what is still to be checked would keep the tables from being altered
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        cursor.execute("INSERT INTO search_leadwords SELECT * FROM search_words_of(ARRAY(SELECT id FROM crm_lead))")
        sort_in()
        cursor.execute("ANALYZE")


def _queries(caller: Caller) -> list[Query]:
    mine = {"organization": caller.organization}
    fields = CustomField.objects.filter(**mine, object_type="lead")
    ids = Ids(
        lead_status=close_id("stat", LeadStatus.objects.filter(**mine).first().pk),
        opportunity_status=close_id("stat", OpportunityStatus.objects.filter(**mine).first().pk),
        fields={field.name: close_id("cf", field.pk) for field in fields},
    )
    return queries(ids, email=ContactEmail.objects.filter(**mine, email__contains="-").earliest("pk").email)


def _plans(caller: Caller, query: Query) -> tuple[str, str]:
    """That of the first page, and that of the count."""
    resolved = resolve(
        query=query.query, sort=list(query.sort), caller=caller, tz=UTC, now=timezone.now(), for_bulk=False
    )
    page = matching(resolved, caller.organization.pk)[:101].explain()
    with connection.cursor() as cursor:
        sql, parameters = found(resolved, caller.organization.pk).values_list("pk").query.sql_with_params()
        cursor.execute(f"EXPLAIN SELECT count(*) FROM ({sql}) AS matches", parameters)
        return page, "\n".join(row[0] for row in cursor.fetchall())


def test_where_few_leads_match_an_index_leads_to_them(crowd: Caller) -> None:
    indexed = [query for query in _queries(crowd) if query.is_indexed]
    assert len(indexed) >= 8
    for query in indexed:
        for plan in _plans(crowd, query):
            assert "Seq Scan on crm_lead" not in plan, f"{query.name}\n{plan}"
            assert "Seq Scan on search_leadwords" not in plan, f"{query.name}\n{plan}"


def test_leads_in_the_order_of_their_creation_come_out_of_an_index(crowd: Caller) -> None:
    newest_first = [query for query in _queries(crowd) if query.name.endswith("newest first")]
    assert len(newest_first) == 2
    for query in newest_first:
        page, _ = _plans(crowd, query)
        assert "lead_organization_created" in page, page
        assert "Seq Scan" not in page, page


def test_a_count_of_related_objects_is_not_taken_lead_by_lead(crowd: Caller) -> None:
    (query,) = [query for query in _queries(crowd) if query.name == "num_contacts > 1"]
    page, count = _plans(crowd, query)
    assert "SubPlan" not in page + count
    assert "GroupAggregate" in count or "HashAggregate" in count
