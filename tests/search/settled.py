"""What the tests of the settled rules share."""

import pytest

from crm.auth import Caller
from crm.models import Lead
from search.errors import InvalidSearch
from tests.factories import (
    LeadFactory,
)
from tests.search.helpers import (
    Json,
    regular,
    resolved,
    where,
)


def make(caller: Caller, **values: object) -> Lead:
    return LeadFactory.create(organization=caller.organization, **values)


def smart(name: str, condition: Json) -> Json:
    return where(regular("lead", name), condition)


def exactly(number: float) -> Json:
    return {"type": "number_range", "gte": number, "lte": number}


def between(first: Json | None, last: Json | None) -> Json:
    return {"type": "moment_range", "on_or_after": first, "before": last}


def refused(caller: Caller, query: object, **options: object) -> set[str]:
    with pytest.raises(InvalidSearch) as problem:
        resolved(caller, query, **options)
    return set(problem.value.field_errors)
