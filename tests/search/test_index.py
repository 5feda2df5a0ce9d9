"""The text index: every way to write keeps it right, and queries that it answers read no table from end to end."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import product
from random import Random
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from crm.auth import Caller
from crm.demo_data import seed_leads
from crm.leads import LeadDraft, create_lead, delete_lead, update_lead
from crm.models import Address, Contact, ContactEmail, CustomField, Lead, Organization
from crm.purge import purge_deleted
from search.compiler import found, matching
from search.nodes import Mode
from tests.factories import ContactFactory, CustomFieldFactory, LeadFactory, LeadStatusFactory, MembershipFactory
from tests.search.helpers import (
    Json,
    all_of,
    any_of,
    caller_of,
    custom,
    ids,
    no,
    regular,
    related,
    resolved,
    settle,
    sort_in,
    term,
    text,
    where,
)

_WRONG = """
SELECT lead_id, held.words, fresh.words
FROM search_leadwords AS held
FULL JOIN search_words_of(ARRAY(SELECT id FROM crm_lead)) AS fresh USING (lead_id)
WHERE held.words IS DISTINCT FROM fresh.words"""
WORDS = ["oakvale", "Mills", "Søn", "東京タワー", "ida@oakvale.example", "", "100円", None]
NUMBERED = iter(range(10**9))


def rows(sql: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def assert_right() -> None:
    settle()
    assert rows(_WRONG) == []


def stale() -> int:
    return rows("SELECT count(*) FROM search_leadwords WHERE words = array_to_tsvector(ARRAY['*'])")[0][0]


# --- every way to write -----------------------------------------------------------------------------------------------
class Scribe:
    """Writes at random, by the ORM and by SQL of many shapes."""

    def __init__(self, caller: Caller, rng: Random) -> None:
        self.organization, self.user, self.rng = caller.organization, caller.user, rng
        self.status = LeadStatusFactory.create(organization=self.organization)
        kinds = [("lead", "text"), ("lead", "choices"), ("lead", "number"), ("lead", "user"), ("contact", "textarea")]
        self.fields = [
            CustomFieldFactory.create(organization=self.organization, object_type=of, type=kind) for of, kind in kinds
        ]

    def word(self) -> str | None:
        return self.rng.choice(WORDS)

    def custom(self, object_type: str) -> dict[str, object]:
        own = [field for field in self.fields if field.object_type == object_type and self.rng.random() < 0.5]
        return {
            field.key: 7 if field.type == "number" else str(uuid4()) if field.type == "user" else self.word() or "x"
            for field in own
        }

    def lead(self) -> Lead | None:
        return self.rng.choice(list(Lead.all_objects.all()) or [None])

    def contact(self) -> Contact | None:
        return self.rng.choice(list(Contact.objects.all()) or [None])

    def write(self) -> None:
        self.rng.choice(
            [
                self.add,
                self.copy,
                self.edit,
                self.edit_all,
                self.person,
                self.detail,
                self.move,
                self.place,
                self.remove,
            ]
        )()

    def add(self) -> None:
        draft = LeadDraft(texts={"name": self.word(), "description": self.word()})
        create_lead(organization=self.organization, by=self.user, draft=draft)

    def copy(self) -> None:
        columns = "organization_id, status_id, name, custom"
        with connection.cursor() as cursor, cursor.copy(f"COPY crm_lead ({columns}) FROM STDIN") as copy:
            for _ in range(3):
                values = json.dumps(self.custom("lead"), ensure_ascii=False)
                copy.write_row((self.organization.pk, self.status.pk, self.word(), values))

    def edit(self) -> None:
        if lead := self.lead():
            rows(
                "UPDATE crm_lead SET url = %s, custom = %s WHERE id = %s",
                self.word(),
                json.dumps(self.custom("lead")),
                lead.pk,
            )

    def edit_all(self) -> None:
        field = self.rng.choice([field for field in self.fields if field.object_type == "lead"])
        rows("UPDATE crm_lead SET custom = custom || jsonb_build_object(%s::text, 'bulk'::text)", field.key)
        rows("UPDATE crm_lead SET custom = custom - %s::text WHERE id > uuidv7()", field.key)

    def person(self) -> None:
        lead, contact = self.lead(), self.contact()
        if lead and (contact is None or self.rng.random() < 0.5):
            values = {"name": self.word(), "last_name": self.word(), "custom": self.custom("contact")}
            ContactFactory.create(lead=lead, **values)
        elif contact:
            Contact.objects.filter(pk=contact.pk).update(title=self.word(), first_name=self.word())

    def detail(self) -> None:
        if contact := self.contact():
            contact.emails.create(organization=self.organization, email=f"{next(NUMBERED)}@oakvale.example")
            contact.phones.create(organization=self.organization, phone=str(self.rng.random()))
            contact.urls.create(organization=self.organization, url="https://oakvale.example")
            ContactEmail.objects.filter(pk=self.rng.choice(ContactEmail.objects.all()).pk).update(
                email="new@mills.example"
            )
            self.rng.choice([contact.phones, contact.urls, contact.emails]).all().delete()

    def move(self) -> None:
        contact, lead = self.contact(), self.lead()
        if contact and lead:
            where_to = None if self.rng.random() < 0.2 else lead.pk
            Contact.objects.filter(pk=contact.pk).update(lead_id=where_to)

    def place(self) -> None:
        if lead := self.lead():
            Address.objects.create(organization=self.organization, lead=lead, city=self.word(), country="JP")
            Address.objects.filter(lead=self.lead()).update(lead_id=lead.pk, state=self.word())

    def remove(self) -> None:
        match self.rng.randrange(4):
            case 0 if contact := self.contact():
                contact.delete()
            case 1 if lead := self.lead():
                Lead.objects.filter(pk=lead.pk).update(deleted_at="2000-01-01T00:00Z")
            case 2:
                purge_deleted(older_than=timedelta(days=30), limit=2)
            case 3 if lead := self.lead():
                lead.addresses.all().delete()


@given(seed=st.integers(0, 10**6))
@settings(database=None, max_examples=40)
def test_the_index_holds_what_the_texts_say_after_any_writes(caller: Caller, seed: int) -> None:
    scribe = Scribe(caller, Random(seed))
    for _ in range(6):
        for _ in range(scribe.rng.randrange(1, 4)):  # in one transaction, before the index is brought up to date
            scribe.write()
        assert_right()


def test_seeding_fills_the_index(organization: Organization, caller: Caller) -> None:
    LeadStatusFactory.create(organization=organization)
    list(seed_leads(organization=organization, leads=50, seed=1))
    assert_right()
    assert len(rows("SELECT lead_id FROM search_leadwords WHERE words <> ''")) == 50
    assert stale() == 0


def test_each_lead_is_read_once_at_commit_also_where_statistics_tell_of_empty_tables(
    organization: Organization,
) -> None:
    status = LeadStatusFactory.create(organization=organization)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class SET relpages = 100, reltuples = 0 WHERE relname IN ('crm_lead', 'search_leadwords')"
        )
        cursor.execute("SET LOCAL statement_timeout = '20s'")
        Lead.objects.bulk_create(
            Lead(organization=organization, status=status, name=f"Oakvale {number}") for number in range(3000)
        )
        before = _rows_read()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as a commit does; a nested loop would take minutes
    assert _rows_read() - before <= 4 * 3000  # its row of words three times, itself once


def test_what_a_savepoint_takes_back_does_not_keep_the_rest_from_being_read(caller: Caller) -> None:
    kept = LeadFactory.create(organization=caller.organization, name="Oakvale")
    settle()
    with suppress(ZeroDivisionError), transaction.atomic():
        Lead.objects.filter(pk=kept.pk).update(name="Mills")  # the first of the transaction to be noted as stale
        raise ZeroDivisionError
    Lead.objects.filter(pk=kept.pk).update(name="Brightwater")
    settle()
    assert (stale(), found_names(caller, "brightwater")) == (0, ["Brightwater"])
    assert rows("SELECT * FROM search_refreshing") == []
    assert_right()


def test_a_marked_lead_keeps_its_words_and_a_purged_one_loses_them(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="Oakvale")
    delete_lead(lead_id=lead.pk, organization=caller.organization, by=caller.user)
    assert_right()
    assert ids(caller, text("oakvale")) == []
    rows("UPDATE crm_lead SET deleted_at = NULL")
    assert ids(caller, text("oakvale")) == [lead.pk]
    rows("DELETE FROM crm_lead")
    assert rows("SELECT * FROM search_leadwords") == []


def test_what_was_written_just_now_is_found_before_the_commit(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="Oakvale")
    assert (stale(), found_names(caller, "oakvale")) == (1, ["Oakvale"])
    settle()
    update_lead(
        lead_id=lead.pk, organization=caller.organization, by=caller.user, draft=LeadDraft(texts={"name": "Mills"})
    )
    for expected in (1, 0):
        assert stale() == expected
        assert (found_names(caller, "mills"), found_names(caller, "oakvale")) == (["Mills"], [])
        settle()


def found_names(caller: Caller, wanted: str) -> list[str]:
    return [lead.name for lead in found(resolved(caller, text(wanted)), caller.organization.pk)]


def test_edits_of_anything_but_texts_leave_the_index_alone(caller: Caller) -> None:
    number, user = (
        CustomFieldFactory.create(organization=caller.organization, type=kind) for kind in ("number", "user")
    )
    status = LeadStatusFactory.create(organization=caller.organization)
    LeadFactory.create(organization=caller.organization)
    settle()
    before = rows("SELECT ctid, xmin, lead_id FROM search_leadwords")
    rows("UPDATE crm_lead SET status_id = %s, date_updated = now(), deleted_at = now()", status.pk)
    rows("UPDATE crm_lead SET custom = jsonb_build_object(%s::text, 7)", number.key)
    rows("UPDATE crm_lead SET custom = custom || jsonb_build_object(%s::text, %s::text)", user.key, str(uuid4()))
    rows("UPDATE crm_lead SET name = name, url = url")
    settle()
    assert rows("SELECT ctid, xmin, lead_id FROM search_leadwords") == before


def test_a_lead_with_more_words_than_a_row_can_hold_is_still_found(caller: Caller) -> None:
    many = " ".join(f"word{number}" for number in range(100_000))
    lead = LeadFactory.create(organization=caller.organization, description=many)
    long = LeadFactory.create(organization=caller.organization, name="x" * 3000, description="木" * 3000)
    settle()
    assert ids(caller, text("word99999")) == [lead.pk]
    assert ids(caller, text("x" * 3000)) == [long.pk]
    assert ids(caller, text("x" * 2999)) == []
    assert ids(caller, text("x" * 2999, "beginning_of_words")) == [long.pk]
    assert ids(caller, text("木" * 2999)) == [long.pk]
    assert ids(caller, text("木" * 3001)) == []
    assert_right()


# The index alone answers some searches: these are where it holds more than is to be found.
def test_texts_that_a_deleted_field_left_behind_are_not_found(caller: Caller) -> None:
    field = CustomFieldFactory.create(organization=caller.organization, type="text")
    lead = LeadFactory.create(organization=caller.organization, custom={field.key: "Oakvale"})
    person = ContactFactory.create(lead=lead, name="Mills")
    assert ids(caller, text("oakvale")) == ids(caller, no(text("brightwater"))) == [lead.pk]
    CustomField.objects.filter(pk=field.pk).delete()  # its values are taken out of the records after this
    assert ids(caller, text("oakvale")) == []
    assert ids(caller, no(text("oakvale"))) == ids(caller, text("mills")) == [lead.pk]
    assert person.lead_id == lead.pk


def test_pairs_of_signs_and_names_that_are_not_shown_are_no_words(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="東京mills店")
    ContactFactory.create(lead=lead, name="Oakvale", first_name="Ida", last_name="Moss")
    for wanted in ("mi", "mil", "ida", "moss"):
        assert ids(caller, text(wanted)) == []
        assert ids(caller, no(text(wanted))) == [lead.pk]
    assert ids(caller, text("京mi")) == ids(caller, text("oakvale")) == [lead.pk]


def test_the_database_spells_keys_of_custom_fields_as_we_do(db: None) -> None:
    for field in (CustomField(pk=uuid4()) for _ in range(50)):
        assert rows("SELECT drover_key(%s)", field.pk) == [(field.key,)]


# --- plans ------------------------------------------------------------------------------------------------------------
# So few leads are read from end to end in no time: let the planner believe that there are two hundred times as many.
_PRETEND_MANY = """
SELECT pg_restore_relation_stats(
    'schemaname', 'public', 'relname', relname::text, 'relpages', relpages, 'reltuples', reltuples * 200::real)
FROM pg_class WHERE relname IN ('search_leadwords', 'crm_lead', 'crm_contact', 'crm_contactemail')"""


@pytest.fixture
def crowd(organization: Organization, caller: Caller) -> Caller:
    """A caller whose organization has enough leads for the planner to care."""
    LeadStatusFactory.create(organization=organization)
    list(seed_leads(organization=organization, leads=1500, seed=1))
    settle()
    sort_in()
    rows("ANALYZE search_leadwords")
    rows(_PRETEND_MANY)
    return caller


def test_the_commit_of_one_lead_reads_no_others(crowd: Caller) -> None:
    lead = Lead.objects.filter(organization=crowd.organization)[700]
    before = _rows_read()
    Lead.objects.filter(pk=lead.pk).update(name="Oakvale Mills 1a")
    rows("SET CONSTRAINTS ALL IMMEDIATE")
    assert _rows_read() - before < 20


def _rows_read() -> int:
    told = rows("""
        SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
        WHERE relname IN ('search_leadwords', 'crm_lead')""")
    return int(told[0][0])


def email(condition: Json) -> Json:
    return related("lead", "contact_email", where(regular("contact_email", "email"), condition))


INDEXED: list[Callable[[CustomField], Json]] = [
    lambda field: text("oakvale 17"),
    lambda field: text("nobody says this", "phrase"),
    lambda field: text("oak 17", "beginning_of_words"),
    lambda field: text("支店 17"),
    lambda field: where(regular("lead", "name"), text("mills 17")),
    lambda field: where(regular("lead", "name"), text("Oakvale Mills 17", "exact_value")),
    lambda field: where(regular("lead", "name"), term("Oakvale Mills 17", "Oakvale Mills 18")),
    lambda field: where(custom(field), text("X-000000017", "exact_value")),
    lambda field: where(custom(field), term("X-000000017")),
    lambda field: email(text("jo.moss17@mail.example", "exact_value")),
    lambda field: related("lead", "contact", related("contact", "contact_email", email_of("jo.moss17@mail.example"))),
    lambda field: any_of(where(regular("lead", "name"), text("17")), email(text("jo.moss17"))),
    lambda field: all_of(text("oakvale 17"), no(where(regular("lead", "name"), text("mills")))),
]


def email_of(value: str) -> Json:
    return where(regular("contact_email", "email"), text(value))


def test_indexed_conditions_do_not_read_the_leads_from_end_to_end(crowd: Caller) -> None:
    reference = CustomField.objects.get(name="External reference")
    for made in INDEXED:
        query = resolved(crowd, made(reference))
        page, everything = matching(query, crowd.organization.pk)[:101].explain(), found(query, crowd.organization.pk)
        assert "search_leadwords" in page, page
        assert "Seq Scan on crm_" not in page, page
        assert "search_leadwords_words" in everything.explain()
        assert "Seq Scan on crm_" not in everything.explain()


# --- locales ----------------------------------------------------------------------------------------------------------
NAMES = ["Oakvale Mills", "oakvale", "Élan", "E\u0301lan vital", "İstanbul", "ΣΟΦΟΣ", "straße", "東京タワー株式会社"]
NAMES += ["กรุงเทพมหานคร", "Ångström", "zebra", "Zulu", "a-b_c", "हिन्दी", "𐐀𐐁", "Ǆ"]
WANTED = ["oakvale", "ÉLAN", "istanbul", "σοφοσ", "STRASSE", "Straße", "タワー", "東", "เทพ", "ångström", "b c"]
WANTED += ["हिन्दी", "𐐨𐐩", "ǆ", "z"]
LOCALES = [
    "LOCALE_PROVIDER libc LOCALE 'C'",
    "LOCALE_PROVIDER libc LOCALE 'C.UTF-8'",
    "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C'",
]


def answers() -> list[list[str | None]]:
    """What a fixed set of queries says in the database that `connection` leads to."""
    with transaction.atomic():
        caller = caller_of(MembershipFactory.create())
        status = LeadStatusFactory.create(organization=caller.organization)
        for name in NAMES:
            LeadFactory.create(organization=caller.organization, status=status, name=name)
        settle()
        said = []
        by_name = [{"direction": "asc", "field": regular("lead", "name")}]
        for wanted, mode in product(WANTED, Mode):
            for query in (text(wanted, mode), where(regular("lead", "name"), text(wanted, mode))):
                kept = resolved(caller, query, sort=by_name)
                said.append(list(matching(kept, caller.organization.pk).values_list("name", flat=True)))
        said.append(
            list(
                matching(resolved(caller, {"type": "match_all"}, sort=by_name), caller.organization.pk).values_list(
                    "name", flat=True
                )
            )
        )
        transaction.set_rollback(True)
    return said


@pytest.mark.parametrize("locale", LOCALES)
def test_the_locale_of_the_database_decides_nothing(
    locale: str, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock():
        expected, usual = answers(), connection.settings_dict["NAME"]
        other = f"{usual}_locale"
        try:
            rows(f"DROP DATABASE IF EXISTS {other}")
            rows(f"CREATE DATABASE {other} TEMPLATE template0 ENCODING 'UTF8' {locale}")
            go_to(other)
            call_command("migrate", verbosity=0)
            assert rows("SELECT datname FROM pg_database WHERE datname = current_database()") == [(other,)]
            assert answers() == expected
        finally:
            go_to(usual)
            rows(f"DROP DATABASE IF EXISTS {other}")


def go_to(database: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = database
