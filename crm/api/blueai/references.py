"""Ids in bodies that stand for other records: what is not there is a 422 under this dialect's key."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db.models import QuerySet

from crm.api.blueai.errors import Unprocessable
from crm.errors import FieldErrors

GONE = "there is no such object"
# What the services call the records, and what this dialect does.
_NAMES = {"lead_id": "company_id", "lead": "company_id", "user_id": "assigned_member_id", "status_id": "stage"}
_REFERENCES = {*_NAMES.values(), "contact_id", "deal_id", "pipeline_id"}


def check_references(**found: tuple[UUID | None, QuerySet]) -> None:
    """Raises `Unprocessable` under the names whose key, where there is one, is none of its rows."""
    problems = {name: GONE for name, (key, rows) in found.items() if key and not rows.filter(pk=key).exists()}
    if problems:
        raise Unprocessable(problems)


@contextmanager
def told_as_references() -> Iterator[None]:
    """What a service finds gone is told as `check_references` tells it."""
    try:
        yield
    except FieldErrors as problem:
        renamed = {_NAMES.get(name, name): message for name, message in problem.field_errors.items()}
        if not set(renamed) <= _REFERENCES or problem.errors:
            raise
        raise Unprocessable(dict.fromkeys(renamed, GONE)) from problem
