"""Smart Views inside queries, statuses that were entered, and groups of users."""

import time
from datetime import UTC, datetime

import pytest

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Group, LeadStatusChange, OpportunityStatusChange
from search.errors import InvalidSearch
from search.models import SavedSearch
from tests.factories import (
    ContactFactory,
    LeadFactory,
    LeadStatusFactory,
    MembershipFactory,
    OpportunityFactory,
    OpportunityStatusFactory,
    UserFactory,
)
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    Json,
    all_of,
    caller_of,
    day,
    ids,
    no,
    of_type,
    regular,
    related,
    resolved,
    text,
    where,
)

NAME = regular("lead", "name")


def view(caller: Caller, query: object, *, type: str = "lead", **more: object) -> SavedSearch:
    wrapped = {"query": query, "results_limit": 1, "sort": [{"direction": "desc", "field": NAME}]}
    more = {"user": caller.user, **more}
    return SavedSearch.objects.create(organization=caller.organization, name="V", type=type, s_query=wrapped, **more)


def use(saved: SavedSearch) -> Json:
    return {"type": "saved_search", "saved_search_id": close_id("save", saved.pk)}


def problem_of(caller: Caller, query: object) -> dict[str, object]:
    with pytest.raises(InvalidSearch) as problem:
        resolved(caller, query)
    return problem.value.field_errors


# --- Smart Views ------------------------------------------------------------------------------------------------------
def test_a_view_stands_for_its_query_without_its_limit_and_sort(caller: Caller) -> None:
    leads = [LeadFactory.create(organization=caller.organization, name=f"Oakvale {n}") for n in range(3)]
    other = LeadFactory.create(organization=caller.organization, name="Mills")
    saved = view(caller, all_of(of_type("lead"), where(NAME, text("oakvale"))))
    assert ids(caller, use(saved)) == [lead.pk for lead in leads]
    assert ids(caller, no(use(saved))) == [other.pk]
    assert ids(caller, all_of(use(saved), where(NAME, text("1")))) == [leads[1].pk]
    assert ids(caller, {"query": use(saved)}) == [lead.pk for lead in leads]


def test_a_view_brings_its_type_and_matches_nothing_of_another(caller: Caller) -> None:
    contact = ContactFactory.create(lead__organization=caller.organization)
    saved = view(caller, all_of(of_type("contact"), MATCH_ALL), type="contact")
    assert resolved(caller, all_of(use(saved))).object_type == "contact"
    assert ids(caller, use(saved)) == [contact.pk]
    assert ids(caller, all_of(of_type("lead"), use(saved))) == []
    assert ids(caller, all_of(of_type("lead"), no(use(saved)))) == [contact.lead_id]
    assert ids(caller, related("lead", "contact", use(saved))) == [contact.lead_id]


def test_views_of_activities(caller: Caller) -> None:
    for type_ in ("call", "email", "sms", "meeting", "note", "opportunity"):
        object_type = type_ if type_ == "opportunity" else f"activity.{type_}"
        saved = view(caller, all_of(of_type(object_type), MATCH_ALL), type=type_)
        assert resolved(caller, use(saved)).object_type == object_type
    saved = view(caller, None, type="custom_activity")
    assert "not supported yet" in str(problem_of(caller, use(saved)))


def test_a_view_must_not_refer_to_itself(caller: Caller) -> None:
    first, second = view(caller, MATCH_ALL), view(caller, MATCH_ALL)
    first.s_query = {"query": all_of(MATCH_ALL, use(second))}
    second.s_query = {"query": related("lead", "contact", related("contact", "lead", use(first)))}
    first.save()
    second.save()
    for one in (first, second):
        assert "refers to itself" in str(problem_of(caller, all_of(use(one))))


def test_a_view_that_refers_to_itself_however_far_around_is_refused(caller: Caller) -> None:
    ring = [view(caller, MATCH_ALL) for _ in range(8)]
    for place, one in enumerate(ring):
        one.s_query = {"query": all_of(of_type("lead"), no(use(ring[(place + 1) % len(ring)])))}
        one.save()
    assert "refers to itself" in str(problem_of(caller, use(ring[3])))
    ring[5].s_query = {"query": all_of(of_type("lead"))}
    ring[5].save()
    assert resolved(caller, use(ring[6]))


def test_views_of_views_that_would_be_endless_work_are_refused(caller: Caller) -> None:
    inner = view(caller, MATCH_ALL)
    for _ in range(20):  # each twice the one before: a million nodes
        inner = view(caller, all_of(use(inner), use(inner)))
    began = time.process_time()
    told = problem_of(caller, use(inner))
    assert time.process_time() - began < 5
    assert "more than 10000 nodes" in str(told)


def test_a_view_that_holds_a_text_alone_is_read_as_that_text(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="Oakvale", created_by=caller.user)
    LeadFactory.create(organization=caller.organization, name="Oakvale")
    contact = ContactFactory.create(lead=lead, title="CEO")

    def stored(text: str, type: str = "lead") -> Json:
        columns = {"organization": caller.organization, "user": caller.user, "name": "V", "type": type}
        return use(SavedSearch.objects.create(query=text, s_query=None, **columns))

    assert ids(caller, stored("name:oakvale created_by:me sort:name")) == [lead.pk]
    assert ids(caller, no(stored("name:oakvale created_by:me"))) != [lead.pk]
    assert ids(caller, stored("title:CEO", "contact")) == [contact.pk]
    assert ids(caller, related("lead", "contact", stored("title:CEO", "contact"))) == [lead.pk]
    for written, wrong in [
        ('name:"', "never closed"),
        ('status:"Gone"', "there is no status 'Gone'"),
        ("* slice:1/2", "slice"),
        ("", "holds no query"),
    ]:
        told = problem_of(caller, all_of(stored(written)))
        assert list(told) == ["s_query.queries[0].saved_search_id"]
        assert wrong in str(told)


def test_only_views_that_the_caller_may_see(caller: Caller) -> None:
    colleague, stranger = UserFactory.create(), caller_of(MembershipFactory.create())
    group = Group.objects.create(organization=caller.organization, name="Sales")
    group.members.add(caller.user)
    for private in (view(stranger, MATCH_ALL, is_shared=True), view(caller, MATCH_ALL, user=colleague)):
        assert problem_of(caller, use(private)) == {"s_query.saved_search_id": "Object does not exist."}
    for shared in ({"is_shared": True}, {"shared_with": [caller.user.pk]}, {"shared_with": [group.pk]}):
        assert resolved(caller, use(view(caller, MATCH_ALL, user=colleague, **shared)))
    unknown = {"type": "saved_search", "saved_search_id": close_id("save", group.pk)}
    assert problem_of(caller, all_of(unknown)) == {"s_query.queries[0].saved_search_id": "Object does not exist."}


def test_in_a_view_the_current_user_is_the_caller(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, created_by=caller.user)
    saved = view(caller, where(regular("lead", "created_by"), {"type": "current_user"}), is_shared=True)
    colleague = caller_of(MembershipFactory.create(organization=caller.organization))
    assert ids(caller, use(saved)) == [lead.pk]
    assert ids(colleague, use(saved)) == []


def test_what_is_wrong_in_a_view_is_told_under_it(caller: Caller) -> None:
    saved = view(caller, where(regular("lead", "nmae"), EXISTS))
    assert set(problem_of(caller, use(saved))) == {"s_query.saved_search_id.s_query.field.field_name"}


# --- groups -----------------------------------------------------------------------------------------------------------
def test_a_group_means_its_members(caller: Caller) -> None:
    users = [caller.user, UserFactory.create(), UserFactory.create()]
    leads = [LeadFactory.create(organization=caller.organization, created_by=user).pk for user in users]
    group = Group.objects.create(organization=caller.organization, name="Sales")
    group.members.set(users[1:])
    empty = Group.objects.create(organization=caller.organization, name="Empty")
    foreign = Group.objects.create(organization=MembershipFactory.create().organization, name="Sales")
    foreign.members.set(users)

    def found(*written: str, kind: str = "user_or_group") -> list[object]:
        condition = {"type": "reference", "reference_type": kind, "object_ids": list(written)}
        return ids(caller, where(regular("lead", "created_by"), condition))

    name, nobody, theirs = (close_id("group", one.pk) for one in (group, empty, foreign))
    assert found(name) == leads[1:]
    assert found(name, "CURRENT_USER") == leads
    assert found(nobody) == found(theirs) == found() == found(name, kind="user") == []
    assert found(nobody, close_id("user", users[2].pk)) == leads[2:]


# --- in_status --------------------------------------------------------------------------------------------------------
def on(day_of_march: int) -> datetime:
    return datetime(2031, 3, day_of_march, 12, tzinfo=UTC)


def in_status(*statuses: object, first: str | None = None, last: str | None = None) -> Json:
    keys = [close_id("stat", status.pk) for status in statuses]  # type: ignore[attr-defined]
    return {
        "type": "in_status", "status_ids": keys, "on_or_after": first and day(first), "before": last and day(last),
    }  # fmt: skip


def test_in_status_counts_every_entry_and_the_creation(caller: Caller) -> None:
    new, warm, won = (LeadStatusFactory.create(organization=caller.organization) for _ in range(3))
    lead = LeadFactory.create(organization=caller.organization, status=won, date_created=on(1))
    still = LeadFactory.create(organization=caller.organization, status=new, date_created=on(5))
    for number, (old, status) in enumerate([(new, warm), (warm, new), (new, won)]):
        LeadStatusChange.objects.create(
            organization=caller.organization, lead=lead, old_status=old, new_status=status, date_created=on(10 + number)
        )

    def found(*statuses: object, first: str | None = None, last: str | None = None) -> list[object]:
        return ids(caller, in_status(*statuses, first=first, last=last))

    assert found(new) == [lead.pk, still.pk]
    assert found(new, first="2031-03-01", last="2031-03-02") == [lead.pk]  # its creation
    assert found(new, first="2031-03-05", last="2031-03-06") == [still.pk]
    assert found(new, first="2031-03-11") == [lead.pk]  # its second entry
    assert found(warm) == found(warm, first="2031-03-10", last="2031-03-11") == [lead.pk]
    assert found(warm, last="2031-03-10") == found(warm, first="2031-03-11") == found() == []
    assert found(won, warm, first="2031-03-12") == [lead.pk]
    assert ids(caller, no(in_status(won))) == [still.pk]


def test_in_status_of_opportunities(caller: Caller) -> None:
    early, late = (OpportunityStatusFactory.create(pipeline__organization=caller.organization) for _ in range(2))
    deals = [
        OpportunityFactory.create(lead__organization=caller.organization, status=late, date_created=on(3))
        for _ in range(2)
    ]
    for old, status, date in [(None, early, on(3)), (early, late, on(4))]:  # the first one is the creation
        OpportunityStatusChange.objects.create(
            organization=caller.organization, opportunity=deals[0], old_status=old, new_status=status, date_created=date
        )

    def found(*statuses: object, first: str | None = None) -> list[object]:
        return ids(caller, all_of(of_type("opportunity"), in_status(*statuses, first=first)))

    assert found(early) == [deals[0].pk]
    assert found(late) == [deal.pk for deal in deals]
    assert found(late, first="2031-03-04") == [deals[0].pk]
    assert ids(caller, related("lead", "opportunity", in_status(early))) == [deals[0].lead_id]
