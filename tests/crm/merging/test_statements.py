"""A merge takes the same statements for a few rows and for many, and they lead through indexes."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.merging import Key, Row, Rules
from crm.models import Lead, LeadStatus, Membership
from tests.crm.merging.helpers import merge

pytestmark = pytest.mark.usefixtures("status")

MOST = 32  # the look-ups of all kinds, what is held, and one write for each kind of row


def n_statements(membership: Membership, rows: list[Row]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        merge(membership, *rows, rules=Rules(match=(Key.EMAIL, Key.PHONE, Key.EXTERNAL_ID)))
    return len(captured)


def some(n: int, first: int = 0) -> list[Row]:
    return [
        Row(
            lead={"external_id": str(i), "description": f"said {first}"},
            contact={"name": f"Person {i}", "title": f"{first}"},
            email=f"p{i}@x.example",
            phone=f"+1415{i:07}",
        )
        for i in range(first, first + n)
    ]


def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(membership: Membership) -> None:
    merge(membership, *some(2), *some(100, 100))
    # Old and new ones, with other numbers and titles, in both.
    few = n_statements(
        membership,
        [*some(2, 1000), *(Row(email=r.email, phone="+442071838750", contact={"title": "x"}) for r in some(2))],
    )
    many = n_statements(
        membership,
        [
            *some(300, 2000),
            *(Row(email=r.email, phone=f"+4420{i:08}", contact={"title": "y"}) for i, r in enumerate(some(100, 100))),
        ],
    )
    assert few == many
    assert many <= MOST
    assert Lead.objects.count() == 404


@pytest.mark.parametrize(("key", "table", "column", "index"), [
    ("drover_email_key", "crm_contactemail", "email", "contact_email_key"),
    ("drover_phone_key", "crm_contactphone", "phone", "contact_phone_key"),
    ("drover_email_key", "crm_lead", "email", "lead_email_key"),
    ("drover_phone_key", "crm_lead", "phone", "lead_phone_key"),
])  # fmt: skip
def test_matching_walks_an_index(status: LeadStatus, key: str, table: str, column: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN SELECT id FROM {table}"
            f" WHERE organization_id = %s AND {key}({column}) = %s AND {column} IS NOT NULL",
            [status.organization_id, "x"],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan
    assert plan.count("Cond") == 1
    assert "Filter" not in plan


def test_an_external_id_is_looked_up_by_its_index_before_there_are_statistics(
    membership: Membership, status: LeadStatus
) -> None:
    """Else by the leads in the order of their age, of which the planner hopes that the first few will do."""
    Lead.objects.bulk_create(
        Lead(organization=status.organization, status=status, external_id=f"x{number}") for number in range(3000)
    )
    rows = [Row(lead={"external_id": f"y{number}"}) for number in range(3)]
    with CaptureQueriesContext(connection) as captured:
        merge(membership, *rows, rules=Rules(match=(Key.EXTERNAL_ID,)))
    [look_up] = [query["sql"] for query in captured if "external_id = wanted.key" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {look_up}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "lead_external_id" in plan
    assert "lead_organization_created" not in plan
