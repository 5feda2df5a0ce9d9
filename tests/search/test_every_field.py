"""Every field of every object can be asked and sorted by, in every way that fits what it holds."""

from uuid import UUID

import pytest

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Activity, Lead, Task
from search.nodes import Kind
from search.schema import OBJECT_TYPES, RELATIONS, RESULT_TYPES
from tests.factories import ContactFactory, LeadFactory, OpportunityFactory
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    Json,
    all_of,
    any_of,
    day,
    ids,
    no,
    of_type,
    regular,
    related,
    term,
    text,
    where,
)

TEXTS = [EXISTS, term("x"), *(text("x", mode) for mode in ("full_words", "phrase", "exact_value"))]
TIMES = [EXISTS, {"type": "moment_range", "on_or_after": day("2031-01-01"), "before": {"type": "now"}}]
CONDITIONS: dict[Kind, list[Json]] = {
    Kind.TEXT: TEXTS,
    Kind.CHOICE: TEXTS,
    Kind.ZONE: [*TEXTS, {"type": "local_time", "on_or_after": "09:00:00", "before": "17:00:00"}],
    Kind.NUMBER: [EXISTS, {"type": "number_range", "gt": -1, "lte": 10**30}, {"type": "number_range", "lt": 0.5}],
    Kind.MOMENT: TIMES,
    Kind.DATE: TIMES,
    Kind.REFERENCE: [EXISTS, term("user_x", close_id("user", UUID(int=5)))],
    Kind.BOOLEAN: [EXISTS, {"type": "boolean", "value": True}],
}


def lead_with_all(caller: Caller) -> Lead:
    """A lead with two of everything that can hang on one."""
    lead = LeadFactory.create(organization=caller.organization)
    own = {"organization": caller.organization, "lead": lead}
    for _ in range(2):
        contact = ContactFactory.create(lead=lead)
        for name, column in (("emails", "email"), ("phones", "phone"), ("urls", "url")):
            getattr(contact, name).create(organization=caller.organization, **{column: "x"})
        lead.addresses.create(organization=caller.organization, city="Oakvale")
        OpportunityFactory.create(lead=lead, contact=contact)
        for kind in ("call", "email", "meeting", "note", "sms"):
            Activity.objects.create(**own, contact=contact, type=kind)
        Task.objects.create(**own, contact=contact)
    return lead


@pytest.mark.parametrize("object_type", OBJECT_TYPES)
def test_every_field_in_every_condition(caller: Caller, object_type: str) -> None:
    lead_with_all(caller)
    is_result = object_type in RESULT_TYPES
    result_type = object_type if is_result else "lead"
    for name, field in OBJECT_TYPES[object_type].fields.items():
        conditions = [where(regular(object_type, name), condition) for condition in CONDITIONS[field.kind]]
        for query in conditions if name in ("name", "status_id") else [any_of(*conditions)]:
            wanted = query if is_result else related("lead", object_type, query)
            everything = ids(caller, all_of(of_type(result_type), MATCH_ALL))
            holds, fails = (ids(caller, all_of(of_type(result_type), one)) for one in (wanted, no(wanted)))
            assert everything
            assert sorted([*holds, *fails]) == everything, name


@pytest.mark.parametrize("object_type", RESULT_TYPES)
def test_every_field_with_an_order_sorts(caller: Caller, object_type: str) -> None:
    lead_with_all(caller)
    query = all_of(of_type(object_type), MATCH_ALL)
    for name, field in OBJECT_TYPES[object_type].fields.items():
        if field.kind not in (Kind.REFERENCE, Kind.BOOLEAN):
            sort = [{"direction": "desc", "field": regular(object_type, name)}]
            assert sorted(ids(caller, query, sort=sort)) == ids(caller, query), name


@pytest.mark.parametrize(("this", "other"), RELATIONS)
def test_every_relation_and_its_way_back(caller: Caller, this: str, other: str) -> None:
    """Each object is related to those that are related to it."""
    lead = lead_with_all(caller)
    there_and_back = related(this, other, related(other, this, MATCH_ALL)) if (other, this) in RELATIONS else MATCH_ALL
    query = there_and_back if this == "lead" else related("lead", this, there_and_back)
    assert ids(caller, query) == [lead.pk]
    assert ids(caller, no(query)) == []
