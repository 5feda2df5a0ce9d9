"""What each node and condition selects, on small examples that a reader can check by hand."""

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from crm.auth import Caller
from crm.custom_values import clean_value
from crm.ids import close_id
from crm.models import Contact, CustomField, Lead
from search.compiler import matching
from search.errors import InvalidSearch
from search.resolve import Resolved
from tests.factories import ContactFactory, CustomFieldFactory, LeadFactory, LeadStatusFactory, MembershipFactory
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    NOW,
    Json,
    all_of,
    any_of,
    caller_of,
    custom,
    day,
    ids,
    instant,
    no,
    of_type,
    regular,
    related,
    resolved,
    term,
    text,
    where,
)


def make(caller: Caller, **values: object) -> Lead:
    return LeadFactory.create(organization=caller.organization, **values)


def field_of(caller: Caller, type_: str, *, multiple: bool = False, **more: object) -> CustomField:
    return CustomFieldFactory.create(
        organization=caller.organization, type=type_, accepts_multiple_values=multiple, **more
    )


def between(first: Json | None, last: Json | None) -> Json:
    return {"type": "moment_range", "on_or_after": first, "before": last}


def user_in(*ids: str, kind: str = "user_or_group") -> Json:
    return {"type": "reference", "reference_type": kind, "object_ids": list(ids)}


# --- absent values ----------------------------------------------------------------------------------------------------
CONDITIONS: dict[str, list[Json]] = {
    "text": [EXISTS, text("x"), text("x", "exact_value"), text("", "exact_value"), text("!"), term("x"), term()],
    "number": [EXISTS, {"type": "number_range"}, {"type": "number_range", "gte": 0}, {"type": "number_range", "lt": 9}],
    "date": [EXISTS, between(None, None), between(None, {"type": "now"}), between(day("2031-01-01"), None)],
    "datetime": [EXISTS, between(None, None), between(None, {"type": "now"})],
    "choices": [EXISTS, text("x"), text("x", "phrase"), term("x"), term()],
    "user": [EXISTS, user_in("CURRENT_USER"), user_in(), {"type": "current_user"}, term("user_x")],
}


@pytest.mark.parametrize(
    ("type_", "multiple"), [*((name, False) for name in CONDITIONS), ("choices", True), ("user", True)]
)
def test_a_condition_on_an_absent_value_is_false_and_its_negation_true(
    caller: Caller, type_: str, multiple: bool
) -> None:
    lead = make(caller, name=None, description="", url=None)
    field = custom(field_of(caller, type_, multiple=multiple))
    for condition in CONDITIONS[type_]:
        query = where(field, condition)
        assert ids(caller, query) == []
        assert ids(caller, no(query)) == [lead.pk]
        assert ids(caller, all_of(all_of(query, negate=True), negate=True)) == []
        assert ids(caller, any_of(query, no(query))) == [lead.pk]
        assert ids(caller, all_of(query, no(query), negate=True)) == [lead.pk]
    for name in ("name", "description", "url", "display_name"):
        for condition in CONDITIONS["text"]:
            assert ids(caller, where(regular("lead", name), condition)) == []
            assert ids(caller, no(where(regular("lead", name), condition))) == [lead.pk]


def test_counts_of_nothing_are_zero(caller: Caller) -> None:
    lead = make(caller, url=None)
    contact = ContactFactory.create(lead=lead)
    zero = {"type": "number_range", "gte": 0, "lte": 0}
    for name in ("addresses_count", "all_urls_count"):
        assert ids(caller, where(regular("lead", name), zero)) == [lead.pk]
        assert ids(caller, where(regular("lead", name), EXISTS)) == [lead.pk]
    for name in ("emails_count", "phones_count", "urls_count"):
        assert ids(caller, all_of(of_type("contact"), where(regular("contact", name), zero))) == [contact.pk]


def test_counts_count(caller: Caller) -> None:
    lead = make(caller, url="https://oakvale.example")
    for name in ("Ida", "Lev"):
        contact = ContactFactory.create(lead=lead, name=name)
        contact.urls.create(organization=caller.organization, url="https://x.example")
    lead.addresses.create(organization=caller.organization, city="Lyon")
    three = {"type": "number_range", "gt": 2, "lt": 3.5}
    assert ids(caller, where(regular("lead", "all_urls_count"), three)) == [lead.pk]
    assert ids(caller, where(regular("lead", "addresses_count"), {"type": "number_range", "gte": 1})) == [lead.pk]


def test_display_name_falls_back_to_the_first_contact(caller: Caller) -> None:
    lead = make(caller, name=None)
    ContactFactory.create(lead=lead, name="Second", position=1)
    first = ContactFactory.create(lead=lead, name=None, first_name=None, position=0)
    first.emails.create(organization=caller.organization, email="ida@oakvale.example")
    shown = regular("lead", "display_name")
    assert ids(caller, where(shown, text("ida@oakvale.example", "exact_value"))) == [lead.pk]
    Contact.objects.filter(pk=first.pk).update(first_name="Ida", last_name="Moss")
    assert ids(caller, where(shown, text("ida moss", "exact_value"))) == [lead.pk]


# --- groups, ids, types -----------------------------------------------------------------------------------------------
def test_empty_groups_are_true(caller: Caller) -> None:
    lead = make(caller)
    for query in (all_of(), any_of(), {"queries": []}, all_of(any_of(), MATCH_ALL)):
        assert ids(caller, query) == [lead.pk]
    for query in (all_of(negate=True), any_of(negate=True), no(MATCH_ALL)):
        assert ids(caller, query) == []


def test_ids_of_another_kind_or_of_nobody_match_nothing(caller: Caller) -> None:
    lead, other = make(caller), make(caller)
    contact = ContactFactory.create(lead=lead)

    def one(text: str) -> Json:
        return {"type": "id", "value": text}

    mine = one(close_id("lead", lead.pk))
    assert ids(caller, mine) == [lead.pk]
    assert ids(caller, no(mine)) == [other.pk]
    assert ids(caller, any_of(mine, one("lead_made_up"))) == [lead.pk]
    for strange in ("", "lead_", close_id("cont", lead.pk), str(lead.pk), close_id("cont", contact.pk)):
        assert ids(caller, one(strange)) == []
        assert ids(caller, no(one(strange))) == [lead.pk, other.pk]
    assert ids(caller, all_of(of_type("contact"), one(close_id("cont", contact.pk)))) == [contact.pk]


def test_the_result_type_is_named_on_the_first_level(caller: Caller) -> None:
    lead = make(caller)
    contact = ContactFactory.create(lead=lead)
    assert resolved(caller, MATCH_ALL).object_type == "lead"
    assert resolved(caller, of_type("contact")).object_type == "contact"
    assert ids(caller, {"queries": [of_type("contact")]}) == [contact.pk]
    assert ids(caller, all_of(all_of(of_type("contact")))) == []
    assert ids(caller, all_of(of_type("lead"), of_type("contact"))) == []
    assert ids(caller, all_of(of_type("lead"), no(of_type("contact")))) == [lead.pk]


# --- related objects --------------------------------------------------------------------------------------------------
def test_all_conditions_inside_has_related_hold_for_the_same_object(caller: Caller) -> None:
    lead = make(caller)
    ContactFactory.create(lead=lead, name="Ida", title="Founder")
    ContactFactory.create(lead=lead, name="Lev", title="Clerk")

    def contact(name: str, title: str) -> Json:
        parts = {"name": name, "title": title}
        return all_of(*(where(regular("contact", key), term(value)) for key, value in parts.items()))

    assert ids(caller, related("lead", "contact", contact("Ida", "Founder"))) == [lead.pk]
    assert ids(caller, related("lead", "contact", contact("Ida", "Clerk"))) == []
    assert ids(caller, related("lead", "contact", no(contact("Ida", "Founder")))) == [lead.pk]
    assert ids(caller, no(related("lead", "contact", MATCH_ALL))) == []


def test_relations_go_both_ways_and_nest(caller: Caller) -> None:
    lead = make(caller, name="Oakvale")
    contact = ContactFactory.create(lead=lead, name="Ida")
    alone = Contact.objects.create(organization=caller.organization, name="Nobody's")
    contact.phones.create(organization=caller.organization, phone="+15550100123", type="mobile")
    lead.addresses.create(organization=caller.organization, city="Lyon", country="FR")

    oakvale = where(regular("lead", "name"), term("Oakvale"))
    assert ids(caller, all_of(of_type("contact"), related("contact", "lead", oakvale))) == [contact.pk]
    assert ids(caller, all_of(of_type("contact"), no(related("contact", "lead", MATCH_ALL)))) == [alone.pk]
    phone = all_of(where(regular("contact_phone", "type"), term("mobile")), related("contact_phone", "lead", oakvale))
    assert ids(caller, related("lead", "contact_phone", phone)) == [lead.pk]
    back = related("contact", "lead", related("lead", "address", where(regular("address", "country"), term("FR"))))
    assert ids(caller, related("lead", "contact", back)) == [lead.pk]
    located = related("address", "lead", related("lead", "contact", where(regular("contact", "name"), text("ida"))))
    assert ids(caller, related("lead", "address", located)) == [lead.pk]
    place = where(regular("address", "location"), text("lyon fr", "exact_value"))
    assert ids(caller, related("lead", "address", place)) == [lead.pk]


def test_a_boolean_condition(caller: Caller) -> None:
    lead = make(caller)
    ContactFactory.create(lead=lead).emails.create(organization=caller.organization, email="ida@oakvale.example")
    for value, expected in ((True, []), (False, [lead.pk])):
        condition = where(regular("contact_email", "is_unsubscribed"), {"type": "boolean", "value": value})
        assert ids(caller, related("lead", "contact_email", condition)) == expected


# --- references -------------------------------------------------------------------------------------------------------
def test_references_and_terms_take_ids(caller: Caller) -> None:
    status, other = (LeadStatusFactory.create(organization=caller.organization) for _ in range(2))
    lead, _ = make(caller, status=status), make(caller, status=other)
    field = regular("lead", "status_id")
    written = close_id("stat", status.pk)
    assert ids(caller, where(field, user_in(written, "stat_unknown", kind="status.lead"))) == [lead.pk]
    assert ids(caller, where(field, term(written))) == [lead.pk]
    assert ids(caller, where(field, term(written.upper()))) == []
    assert ids(caller, where(field, term())) == []
    assert len(ids(caller, no(where(field, term())))) == 2


def test_the_current_user_is_whoever_asked(caller: Caller) -> None:
    other = MembershipFactory.create(organization=caller.organization)
    mine, theirs, nobodys = make(caller, created_by=caller.user), make(caller, created_by=other.user), make(caller)
    owner = field_of(caller, "user", multiple=True)
    Lead.objects.filter(pk=nobodys.pk).update(custom={owner.key: [str(other.user.pk), str(caller.user.pk)]})
    by = regular("lead", "created_by")
    for condition in ({"type": "current_user"}, user_in("CURRENT_USER"), user_in("CURRENT_USER", kind="user")):
        assert ids(caller, where(by, condition)) == [mine.pk]
        assert ids(caller_of(other), where(by, condition)) == [theirs.pk]
        assert ids(caller, where(custom(owner), condition)) == [nobodys.pk]
    assert ids(caller, no(where(by, {"type": "current_user"}))) == [theirs.pk, nobodys.pk]
    kept = resolved(caller, where(by, {"type": "current_user"})).to_json()
    assert str(caller.user.pk) in json.dumps(kept)


# --- custom fields ----------------------------------------------------------------------------------------------------
THE_DAY, THE_TIME = day("2031-03-16"), {"type": "now"}
CUSTOM: list[tuple[str, bool, object, Json, Json]] = [
    # type, multiple, value as written by a client, a condition that holds, one that does not
    ("text", False, "Spring fair", text("fair"), text("fall")),
    ("text", False, "Spring fair", term("Spring fair"), term("spring fair")),
    ("textarea", False, "two\nlines", text("two lines", "phrase"), text("lines two", "phrase")),
    ("hidden", False, "EXT-1001", text("ext-1001", "exact_value"), text("ext", "exact_value")),
    ("number", False, 2.5, {"type": "number_range", "gt": 2, "lte": 2.5}, {"type": "number_range", "lt": 2.5}),
    ("number", False, 0, {"type": "number_range"}, {"type": "number_range", "gt": 0}),
    ("date", False, "2031-03-16", between(THE_DAY, day("2031-03-16", "end")), between(None, THE_DAY)),
    ("date", False, "2031-03-16", between(THE_TIME, None), between(None, THE_TIME)),
    ("date", False, "2031-03-16", between(instant("2031-03-16T23:00:00Z"), None), between(instant("2031-03-17"), None)),
    ("datetime", False, "2031-03-16T09:30:00Z", between(THE_TIME, None), between(None, THE_TIME)),
    ("datetime", False, "2031-03-16T11:30:00.5+02:00", between(THE_TIME, None), between(None, instant("2031-03-16"))),
    ("choices", False, "Gold", term("Gold", "Platinum"), term("gold")),
    ("choices", True, ["Gold", "Silver"], term("Silver"), term("Silver Gold")),
    ("choices", True, ["Gold", "Silver"], text("gold"), text("gold silver")),
    ("choices", True, ["Gold", "Silver"], text("SILVER", "exact_value"), text("sil", "exact_value")),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "multiple", "value", "holds", "fails"), CUSTOM)
def test_conditions_on_custom_fields(
    caller: Caller, type_: str, multiple: bool, value: object, holds: Json, fails: Json
) -> None:
    field = field_of(caller, type_, multiple=multiple, choices=["Gold", "Silver"] if type_ == "choices" else [])
    stored = clean_value(field, value, path="x")
    lead, empty = make(caller, custom={field.key: stored}), make(caller)
    assert ids(caller, where(custom(field), EXISTS)) == [lead.pk]
    assert ids(caller, where(custom(field), holds)) == [lead.pk]
    assert ids(caller, no(where(custom(field), holds))) == [empty.pk]
    assert ids(caller, where(custom(field), fails)) == []
    assert ids(caller, no(where(custom(field), fails))) == [lead.pk, empty.pk]


def test_references_of_custom_fields(caller: Caller) -> None:
    lead, other = make(caller), make(caller)
    contact = ContactFactory.create(lead=lead)
    field = field_of(caller, "contact")
    Lead.objects.filter(pk=other.pk).update(custom={field.key: str(contact.pk)})
    written = close_id("cont", contact.pk)
    for condition in (term(written), user_in(written, kind="contact"), EXISTS):
        assert ids(caller, where(custom(field), condition)) == [other.pk]
    assert ids(caller, where(custom(field), term(str(contact.pk)))) == []


def test_a_custom_field_belongs_to_its_organization_and_its_kind_of_record(caller: Caller) -> None:
    foreign = CustomFieldFactory.create()
    on_contacts = field_of(caller, "text", object_type="contact")
    for field in (foreign, on_contacts):
        with pytest.raises(InvalidSearch) as problem:
            resolved(caller, where(custom(field), EXISTS))
        assert set(problem.value.field_errors) == {"s_query.field.custom_field_id"}
    assert ids(caller, related("lead", "contact", where(custom(on_contacts), EXISTS))) == []


def test_free_text_sees_custom_texts_and_choices_of_leads_and_their_contacts(caller: Caller) -> None:
    texts = [field_of(caller, "text"), field_of(caller, "choices", multiple=True)]
    others = [field_of(caller, "date"), field_of(caller, "user")]
    on_contact = field_of(caller, "hidden", object_type="contact")
    held = dict(
        zip([field.key for field in texts + others], ["spring", ["gold", "new"], "2031-03-16", "xyz"], strict=True)
    )
    lead = make(caller, custom=held)
    ContactFactory.create(lead=lead, custom={on_contact.key: "deep"})
    assert ids(caller, text("spring gold deep new")) == [lead.pk]
    assert ids(caller, text("2031")) == ids(caller, text("xyz")) == []


# --- moments ----------------------------------------------------------------------------------------------------------
NEW_YORK = ZoneInfo("America/New_York")
DAYS = [
    # zone, a day, its first instant and the one after its last
    (UTC, "2031-03-16", "2031-03-16T00:00:00+00:00", "2031-03-17T00:00:00+00:00"),
    (timezone(timedelta(hours=-4)), "2031-03-16", "2031-03-16T04:00:00+00:00", "2031-03-17T04:00:00+00:00"),
    (NEW_YORK, "2031-03-09", "2031-03-09T05:00:00+00:00", "2031-03-10T04:00:00+00:00"),  # 23 hours long
    (NEW_YORK, "2031-11-02", "2031-11-02T04:00:00+00:00", "2031-11-03T05:00:00+00:00"),  # 25 hours long
]


@pytest.mark.parametrize(("tz", "written", "first", "end"), DAYS)
def test_a_day_is_that_of_the_callers_zone(caller: Caller, tz: timezone, written: str, first: str, end: str) -> None:
    begin, behind = datetime.fromisoformat(first), datetime.fromisoformat(end)
    tick = timedelta(microseconds=1)
    for moment, inside in [(begin - tick, False), (begin, True), (behind - tick, True), (behind, False)]:
        lead = make(caller)
        Lead.objects.filter(pk=lead.pk).update(date_created=moment)
        query = where(regular("lead", "date_created"), between(day(written), day(written, "end")))
        assert (lead.pk in ids(caller, query, tz=tz)) is inside
        assert (lead.pk in ids(caller, no(query), tz=tz)) is not inside


# --- whose and in which order -----------------------------------------------------------------------------------------
def test_only_live_objects_of_the_organization_are_found(caller: Caller) -> None:
    kept = ContactFactory.create(lead=make(caller))
    gone = ContactFactory.create(lead=make(caller))
    ContactFactory.create()
    Lead.objects.filter(pk=gone.lead_id).update(deleted_at=NOW)
    assert ids(caller, MATCH_ALL) == [kept.lead_id]
    assert ids(caller, of_type("contact")) == [kept.pk]
    assert ids(caller, all_of(of_type("contact"), no(related("contact", "lead", MATCH_ALL)))) == []


def test_sort_is_total_with_absent_values_last(caller: Caller) -> None:
    leads = [make(caller, name=name) for name in ("b", None, "B", "a", "", "É")]
    b, none, upper_b, a, empty, accent = (lead.pk for lead in leads)
    by_name = regular("lead", "name")
    assert ids(caller, MATCH_ALL, sort=[{"direction": "asc", "field": by_name}]) == [a, b, upper_b, accent, none, empty]
    assert ids(caller, MATCH_ALL, sort=[{"direction": "desc", "field": by_name}]) == [
        accent,
        b,
        upper_b,
        a,
        none,
        empty,
    ]
    assert ids(caller, MATCH_ALL) == sorted(lead.pk for lead in leads)


def test_only_single_values_of_the_result_that_have_an_order_can_be_sorted_by(caller: Caller) -> None:
    for field in (
        regular("lead", "status_id"),
        regular("contact", "name"),
        custom(field_of(caller, "choices", multiple=True)),
        custom(field_of(caller, "user")),
    ):
        with pytest.raises(InvalidSearch):
            resolved(caller, MATCH_ALL, sort=[{"direction": "asc", "field": field}])


def test_a_query_can_be_the_source_of_an_insert(caller: Caller) -> None:
    lead = make(caller, name="Oakvale")
    query = all_of(text("oakvale"), no(related("lead", "contact", MATCH_ALL)))
    kept = resolved(caller, query, sort=[{"direction": "asc", "field": regular("lead", "name")}])
    sql, params = matching(kept, caller.organization.pk).values("id").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE targets ON COMMIT DROP AS {sql}", params)
        cursor.execute("SELECT id FROM targets")
        assert cursor.fetchall() == [(lead.pk,)]


def test_a_job_keeps_what_its_query_meant(caller: Caller) -> None:
    number = field_of(caller, "number")
    old, young = make(caller), make(caller)
    Lead.objects.filter(pk=young.pk).update(date_created=NOW + timedelta(hours=1))
    Lead.objects.filter(pk=old.pk).update(date_created=NOW - timedelta(hours=1), custom={number.key: 5})
    query = all_of(
        where(regular("lead", "date_created"), between(None, {"type": "now"})),
        where(custom(number), {"type": "number_range", "gte": 5}),
        any_of({"type": "id", "value": close_id("lead", old.pk)}, {"type": "id", "value": "lead_x"}),
    )
    stored = json.loads(json.dumps(resolved(caller, query).to_json()))
    number.delete()
    later = Resolved.from_json(stored)
    assert list(matching(later, caller.organization.pk).values_list("pk", flat=True)) == [old.pk]
