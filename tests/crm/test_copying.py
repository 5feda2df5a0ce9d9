"""Rows that come in by COPY."""

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from crm.copying import copy_rows
from crm.models import Lead, LeadStatus, Organization


def test_every_text_comes_as_it_is_and_defaults_are_filled_in(status: LeadStatus) -> None:
    texts = ["tab\tand\r\nlines", "back\\slash \\N \\.", "引用「」😀", "", None]
    rows = [(status.organization_id, status.pk, "{}", text) for text in texts]
    copy_rows("crm_lead", ("organization_id", "status_id", "custom", "name"), rows)
    assert list(Lead.objects.order_by("pk").values_list("name", flat=True)) == texts
    assert Lead.objects.filter(date_created__isnull=False, lifecycle="active").count() == len(texts)


def test_no_rows_are_no_statement(organization: Organization) -> None:
    copy_rows("no_such_table", ("id",), [])


@pytest.mark.parametrize(
    ("custom", "problem"), [("{}", IntegrityError), ("no json", DataError)], ids=["a missing value", "a bad one"]
)
def test_what_the_database_refuses_is_told_as_by_a_statement(
    organization: Organization, custom: str, problem: type[Exception]
) -> None:
    with pytest.raises(problem), transaction.atomic():
        copy_rows("crm_lead", ("organization_id", "custom", "name"), [(organization.pk, custom, "Oakvale")])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM crm_lead")
        assert cursor.fetchone() == (0,)
