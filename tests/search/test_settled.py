"""Every rule of docs/search.md that the published API leaves open, one test for each, in the order of the rules."""

import json
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Lead, LeadStatusChange, Opportunity, Task
from search.models import SavedSearch
from tests.factories import (
    ContactFactory,
    CustomFieldFactory,
    LeadFactory,
    LeadStatusFactory,
    MembershipFactory,
    OpportunityFactory,
)
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    Json,
    all_of,
    any_of,
    caller_of,
    day,
    ids,
    instant,
    no,
    of_type,
    regular,
    related,
    resolved,
    shifted,
    term,
    text,
    where,
)
from tests.search.settled import between, exactly, make, refused, smart

NAME, CREATED = regular("lead", "name"), regular("lead", "date_created")
NOTHING: Json = {"type": "moment_range"}
SEARCH = "/api/v1/data/search/"


# --- 1: missing values ------------------------------------------------------------------------------------------------
def test_a_condition_on_what_is_missing_is_false_and_its_negation_true(caller: Caller) -> None:
    lead = make(caller, name="", url=None)
    for name, condition in [
        ("name", EXISTS),
        ("url", term("")),
        ("name", text("", "exact_value")),
        ("created_by", {"type": "current_user"}),
        ("last_call_duration", {"type": "number_range", "lt": 5}),
        ("last_call_created", between(None, {"type": "now"})),
        ("timezone_id", {"type": "local_time"}),
    ]:
        assert ids(caller, smart(name, condition)) == []
        assert ids(caller, no(smart(name, condition))) == [lead.pk]


def test_counts_and_totals_of_nothing_are_0_and_other_sums_of_nothing_are_absent(caller: Caller) -> None:
    lead = make(caller, url=None)
    for name in ("num_contacts", "all_urls_count", "num_calls", "times_communicated", "total_won_opportunity_value"):
        assert ids(caller, smart(name, exactly(0))) == [lead.pk]
    for name in ("avg_opportunity_value", "min_active_opportunity_value", "max_annual_won_opportunity_value"):
        assert ids(caller, no(smart(name, EXISTS))) == [lead.pk]


# --- 2: groups, types, negation ---------------------------------------------------------------------------------------
def test_an_empty_group_is_true_and_negated_false_in_searches(caller: Caller) -> None:
    lead = make(caller)
    for group in (all_of, any_of):
        assert ids(caller, group()) == [lead.pk]
        assert ids(caller, group(negate=True)) == []


@pytest.mark.parametrize("negate", [False, True])
def test_bulk_bodies_refuse_an_empty_or_and_a_word_mode_without_a_word(caller: Caller, negate: bool) -> None:
    for query in (any_of(), text("!"), where(NAME, text("?", "phrase")), where(NAME, text("", "beginning_of_words"))):
        whole = all_of(MATCH_ALL, {**query, "negate": negate})
        resolved(caller, whole)
        assert len(refused(caller, whole, for_bulk=True)) == 1


def test_an_outer_node_without_type_is_an_and_and_an_inner_one_is_refused(caller: Caller) -> None:
    make(caller)
    assert ids(caller, {"queries": [MATCH_ALL, no(MATCH_ALL)]}) == []
    assert refused(caller, all_of({"queries": []})) == {"s_query.queries[0].type"}


def test_without_an_object_type_leads_are_found_and_a_view_brings_its_own(caller: Caller) -> None:
    saved = SavedSearch.objects.create(
        organization=caller.organization, user=caller.user, name="V", type="contact", s_query={"query": MATCH_ALL}
    )
    view = {"type": "saved_search", "saved_search_id": close_id("save", saved.pk)}
    assert resolved(caller, MATCH_ALL).object_type == "lead"
    assert resolved(caller, all_of(all_of(of_type("contact")))).object_type == "lead"
    assert resolved(caller, view).object_type == resolved(caller, all_of(view)).object_type == "contact"


def test_negate_turns_the_whole_node_after_its_own_evaluation(caller: Caller) -> None:
    lead = make(caller)
    for name in ("Ida", "Lev"):
        ContactFactory.create(lead=lead, name=name)
    ida = where(regular("contact", "name"), text("ida"))
    assert ids(caller, related("lead", "contact", no(ida))) == [lead.pk]
    assert ids(caller, no(related("lead", "contact", ida))) == []


# --- 3 and 4: words ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("held", "mode", "wanted", "matches"),
    [
        ("ida_moss@oakvale.example 10-5%", "full_words", "moss oakvale 5", True),
        ("O'Neil 😀 and/or", "full_words", "neil or", True),
        ("E\u0301cole", "full_words", "éCOLE", True),
        ("École", "full_words", "ecole", False),
        ("हिन्दी", "full_words", "हिन्दी", True),
        ("हिन्दी", "full_words", "हिन", False),
        ("東京タワー", "full_words", "京タ", True),
        ("กรุงเทพ", "phrase", "เทพ", True),
        ("ABC東京", "full_words", "ABC", False),
        ("Oakvale", "full_words", "-!", False),
        ("Oakvale", "phrase", "", False),
        ("Oakvale", "beginning_of_words", "😀", False),
        (" Oak-vale ", "exact_value", " oak-VALE ", True),
        (" Oak-vale ", "exact_value", "oak vale", False),
        ("Oakvale Mills", "beginning_of_words", "mi OAK", True),
        ("Oakvale Mills", "beginning_of_words", "vale", False),
        ("The Oakvale, Mills", "phrase", "oakvale mills", True),
        ("The Oakvale, Mills", "phrase", "mills oakvale", False),
        ("The Oakvale, Mills", "phrase", "oakvale mill", False),
        ("The Oakvale, Mills", "phrase", "the mills", False),
    ],
)
def test_words_are_runs_of_letters_digits_and_marks(
    caller: Caller, held: str, mode: str, wanted: str, matches: bool
) -> None:
    lead = make(caller, name=held)
    assert ids(caller, where(NAME, text(wanted, mode))) == [lead.pk] * matches
    assert ids(caller, text(wanted, mode)) == [lead.pk] * matches


# --- 5: terms and ranges ----------------------------------------------------------------------------------------------
def test_terms_are_exact_and_unknown_or_no_ids_match_nothing(caller: Caller) -> None:
    lead = make(caller, name="Oakvale")
    status = close_id("stat", lead.status_id)
    assert ids(caller, where(NAME, term("x", "Oakvale"))) == [lead.pk]
    assert ids(caller, smart("status_id", term(status))) == [lead.pk]
    for query in (
        where(NAME, term("oakvale")),
        where(NAME, term()),
        smart("status_id", term(status.swapcase())),
        smart("status_id", term(close_id("stat", uuid4()))),
        smart("status_id", {"type": "reference", "reference_type": "status.lead", "object_ids": []}),
    ):
        assert ids(caller, query) == []
        assert ids(caller, no(query)) == [lead.pk]


def test_a_range_without_bounds_means_has_a_value(caller: Caller) -> None:
    lead = make(caller)
    for nothing in (NOTHING, between(None, None)):
        assert ids(caller, where(CREATED, nothing)) == [lead.pk]
        assert ids(caller, smart("last_note_date", nothing)) == []
    unbound = {"type": "number_range", "gt": None}
    assert ids(caller, smart("num_calls", unbound)) == [lead.pk]
    assert ids(caller, smart("last_call_duration", unbound)) == []


# --- 6: free text -----------------------------------------------------------------------------------------------------
def test_free_text_sees_a_lead_its_addresses_its_contacts_and_their_custom_texts(caller: Caller) -> None:
    fields = {
        (object_type, kind): CustomFieldFactory.create(
            organization=caller.organization, object_type=object_type, type=kind
        ).key
        for object_type in ("lead", "contact")
        for kind in ("text", "choices", "number")
    }
    lead = make(
        caller, name="name1", description="description1", url="https://url1.example",
        custom={fields["lead", "text"]: "text1", fields["lead", "choices"]: "choice1", fields["lead", "number"]: 77},
    )  # fmt: skip
    lead.addresses.create(organization=caller.organization, city="city1", address_1="street1", zipcode="zip1")
    contact = ContactFactory.create(
        lead=lead, name="contact1", title="title1",
        custom={fields["contact", "text"]: "text2", fields["contact", "choices"]: "choice2"},
    )  # fmt: skip
    for kind, said in (("email", "email1@x.example"), ("phone", "555001"), ("url", "url2.example")):
        getattr(contact, f"{kind}s").create(organization=caller.organization, **{kind: said})
    words = "name1 description1 url1 text1 choice1 city1 street1 zip1 contact1 title1 text2 choice2 email1 555001 url2"
    for word in words.split():
        assert ids(caller, {"type": "text", "value": word.upper()}) == [lead.pk], word
    assert ids(caller, {"type": "text", "value": words}) == [lead.pk]  # in different fields
    assert ids(caller, {"type": "text", "value": "nam"}) == []  # without a mode: whole words
    assert ids(caller, text("77")) == []


# --- 10 and 11: statuses and views ------------------------------------------------------------------------------------
def test_in_status_counts_every_entry_and_the_creation(caller: Caller) -> None:
    first, second = (LeadStatusFactory.create(organization=caller.organization) for _ in range(2))
    lead = make(caller, status=second)
    Lead.objects.filter(pk=lead.pk).update(date_created=datetime(2031, 3, 1, 12, tzinfo=UTC))

    def entered(status: object, first: str, last: str) -> Json:
        written = [close_id("stat", status.pk)]  # type: ignore[attr-defined]
        return {"type": "in_status", "status_ids": written, "on_or_after": day(first), "before": day(last, "end")}

    changed = smart("last_lead_status_change_date", EXISTS)
    assert ids(caller, entered(second, "2031-03-01", "2031-03-01")) == [lead.pk]
    assert ids(caller, changed) == []
    for at, old, new in [(3, first, second), (5, second, first), (7, first, second)]:
        LeadStatusChange.objects.create(
            organization=caller.organization, lead=lead, old_status=old, new_status=new,
            date_created=datetime(2031, 3, at, 12, tzinfo=UTC),
        )  # fmt: skip
    for status, at, holds in [
        (first, 1, True),
        (second, 3, True),
        (first, 5, True),
        (second, 7, True),
        (second, 1, False),
    ]:
        assert ids(caller, entered(status, f"2031-03-{at:02}", f"2031-03-{at:02}")) == [lead.pk] * holds
    assert ids(caller, changed) == [lead.pk]


def test_a_view_as_a_node_is_its_query_for_the_caller(caller: Caller) -> None:
    mine = {"query": smart("created_by", {"type": "current_user"}), "results_limit": 1,
            "sort": [{"direction": "asc", "field": NAME}]}  # fmt: skip
    colleague = caller_of(MembershipFactory.create(organization=caller.organization))
    saved = SavedSearch.objects.create(
        organization=caller.organization, user=caller.user, name="V", s_query=mine, is_shared=True
    )
    leads = [make(caller, created_by=caller.user) for _ in range(2)]
    view = {"type": "saved_search", "saved_search_id": close_id("save", saved.pk)}
    assert ids(caller, view) == [lead.pk for lead in leads]
    assert ids(colleague, view) == []
    assert ids(caller, all_of(of_type("contact"), view)) == []
    stranger = caller_of(MembershipFactory.create())
    for who, written in ((stranger, view), (caller, {**view, "saved_search_id": close_id("save", uuid4())})):
        assert refused(who, written) == {"s_query.saved_search_id"}


# --- 12: smart fields -------------------------------------------------------------------------------------------------
def test_smart_fields_say_what_they_say(caller: Caller) -> None:
    lead = make(caller, url="https://oakvale.example")
    own = {"organization": caller.organization}
    silent = ContactFactory.create(lead=lead, name="Silent", position=0)
    loud = ContactFactory.create(lead=lead, name="Loud", position=1)
    silent.urls.create(**own, url="https://x.example")
    for place, address in enumerate(("second@x.example", "third@x.example")):
        loud.emails.create(**own, email=address, position=place)
    loud.phones.create(**own, phone="+15550100")
    deal = OpportunityFactory.create(lead=lead, value=1_00, value_period="monthly")
    Opportunity.objects.create(**own, lead=lead, status=deal.status, value=2_50, value_period="annual")
    for due, done in ((date(2031, 3, 1), True), (date(2031, 3, 20), False), (date(2031, 3, 10), False)):
        Task.objects.create(**own, lead=lead, due_date=due, is_complete=done)
    for query in (
        smart("all_urls_count", exactly(2)),
        smart("primary_email", term("second@x.example")),
        smart("primary_phone", term("+15550100")),
        smart("total_active_opportunity_value", exactly(3_50)),
        smart("next_task_date", between(day("2031-03-10"), day("2031-03-10", "end"))),
    ):
        assert ids(caller, query) == [lead.pk], query


def test_a_local_time_may_wrap_midnight(caller: Caller) -> None:
    lead = make(caller)
    lead.addresses.create(organization=caller.organization, country="JP")  # 18:30 there
    for first, last, holds in [
        ("18:00:00", "02:00:00", True),
        ("19:00:00", "02:00:00", False),
        ("22:00:00", "19:00:00", True),
    ]:
        local = {"type": "local_time", "on_or_after": first, "before": last}
        assert ids(caller, smart("timezone_id", local)) == [lead.pk] * holds


# --- 13: sort and pages -----------------------------------------------------------------------------------------------
def test_sort_counts_and_cursors(api: APIClient, caller: Caller) -> None:
    keys = {name: close_id("lead", make(caller, name=name).pk) for name in ("b", None, "a")}

    def sort(field: Json, direction: str = "asc") -> list[Json]:
        return [{"direction": direction, "field": field}]

    for direction, expected in (("asc", ["a", "b", None]), ("desc", ["b", "a", None])):
        answer = api.post(SEARCH, {"query": MATCH_ALL, "sort": sort(NAME, direction)}).json()
        assert [row["id"] for row in answer["data"]] == [keys[name] for name in expected]
    body = {"query": MATCH_ALL, "sort": sort(NAME), "results_limit": 2, "include_counts": True}
    answer = api.post(SEARCH, body).json()
    assert [row["id"] for row in answer["data"]] == [keys["a"], keys["b"]]
    assert answer["count"] == {"total": 3, "limited": 2}
    cursor = api.post(SEARCH, {"query": MATCH_ALL, "_limit": 1}).json()["cursor"]
    for wrong, place in [
        ({"sort": sort(regular("lead", "status_id"))}, "sort[0].field"),
        ({"sort": sort(regular("contact", "name"))}, "sort[0].field.object_type"),
        ({"_limit": 201}, "_limit"),
        ({"cursor": cursor[:-1]}, "cursor"),
        ({"cursor": cursor, "sort": sort(NAME)}, "cursor"),
    ]:
        answer = api.post(SEARCH, {"query": MATCH_ALL, **wrong})
        assert (answer.status_code, list(answer.json()["field-errors"])) == (400, [place])


# --- 14: what no database holds ---------------------------------------------------------------------------------------
def test_what_cannot_be_held_is_refused_or_nothing_and_every_400_says_why(api: APIClient, caller: Caller) -> None:
    make(caller)
    foreign = LeadFactory.create()
    for harmless in (
        smart("num_calls", {"type": "number_range", "gt": 10**300}),
        where(CREATED, between(shifted(years=10**9, direction="future"), None)),
        {"type": "id", "value": close_id("lead", foreign.pk)},
        smart("status_id", term(close_id("stat", foreign.status_id))),
        {"type": "in_status", "status_ids": [close_id("stat", foreign.status_id)]},
    ):
        answer = api.post(SEARCH, {"query": harmless})
        assert (answer.status_code, answer.json()["data"]) == (200, []), harmless
    for query in (
        text("\0"), text("\ud800"), where(CREATED, between(day("0001-01-01"), None)),
        where(CREATED, between(instant("9999-12-31T23:59:59Z"), None)), {"type": "?"}, {},
    ):  # fmt: skip
        answer = api.post(SEARCH, json.dumps({"query": query}), content_type="application/json")
        assert answer.status_code == 400
        assert answer.json()["errors"] or answer.json()["field-errors"]
