"""What a word is and how text conditions read: the rules of docs/search.md, as a table."""

import unicodedata

import pytest
from django.db import connection

from crm.auth import Caller
from search.functions import CREATE, DROP
from search.text import fold, is_spaceless, words
from search.unicode_ranges import LETTERS_AND_DIGITS, MARKS, SPACELESS, pairs
from tests.factories import ContactFactory, LeadFactory
from tests.search.helpers import all_of, ids, no, of_type, regular, related, text, where

FULL, PHRASE, EXACT, BEGINNING = "full_words", "phrase", "exact_value", "beginning_of_words"


def in_database(sql: str, *params: object) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ida@oakvale.example", ["ida", "oakvale", "example"]),
        ("and/or v1.2.3 <b>", ["and", "or", "v1", "2", "3", "b"]),
        ("10-5 100%", ["10", "5", "100"]),
        ("O'Neil_and_Søn", ["o", "neil", "and", "søn"]),
        ("E\u0301cole École", ["école", "école"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        ("go 🚀❤️ team", ["go", "team"]),
        ("İstanbul ΣΟΦΟΣ", ["istanbul", "σοφοσ"]),
        ("東京タワー、100円", ["東京タワー", "100円"]),
        ("\u0301 lone", ["lone"]),
        ("--- !?", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_digits_and_their_marks(db: None, value: str, expected: list[str]) -> None:
    assert words(value) == expected
    assert in_database("SELECT drover_words(%s)", value) == expected


def test_python_and_the_database_agree_on_every_character(db: None) -> None:
    known = [
        character
        for character in map(chr, range(1, 0x110000))
        if unicodedata.category(character) not in ("Cn", "Cs") and unicodedata.is_normalized("NFC", character)
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT c, drover_fold(c), drover_words('a' || c || 'b') FROM unnest(%s::text[]) AS c", [known])
        different = [
            character
            for character, folded, found in cursor.fetchall()
            if folded != fold(character) or found != words(f"a{character}b")
        ]
    assert different == []


def test_the_kept_ranges_are_those_of_unicode() -> None:
    def listed(text: str) -> set[int]:
        return {code for first, last in pairs(text) for code in range(first, last + 1)}

    letters, marks = listed(LETTERS_AND_DIGITS), listed(MARKS)
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        # A newer Python knows more characters; those it shares must be sorted alike.
        if code in letters or code in marks or unicodedata.unidata_version == "14.0.0":
            assert (code in letters) == (category[0] == "L" or category == "Nd")
            assert (code in marks) == (category[0] == "M")
    assert all(is_spaceless(chr(code)) for code in listed(SPACELESS))


def test_the_functions_can_be_taken_back_and_made_again(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(DROP + CREATE)


RULES = [
    # value of the field, mode, what is looked for, whether it matches
    ("Oakvale Mills", FULL, "mills OAKVALE", True),
    ("Oakvale Mills", FULL, "mill", False),
    ("Oakvale Mills", FULL, "oakvale mills ltd", False),
    ("Oakvale Mills", BEGINNING, "mi oak", True),
    ("Oakvale Mills", BEGINNING, "ills", False),
    ("Oakvale Mills", BEGINNING, "oakvale-mi", True),
    ("The Oakvale Mills Ltd", PHRASE, "oakvale mills", True),
    ("The Oakvale Mills Ltd", PHRASE, "oakvale mill", False),
    ("The Oakvale Mills Ltd", PHRASE, "mills oakvale", False),
    ("Oakvale old Mills", PHRASE, "oakvale mills", False),
    ("Oakvale, Mills", PHRASE, "oakvale mills", True),
    ("Oakvale Mills", EXACT, "OAKVALE mills", True),
    ("Oakvale Mills", EXACT, "oakvale", False),
    ("Oakvale  Mills", EXACT, "oakvale mills", False),
    ("Oakvale Mills!", EXACT, "oakvale mills", False),
    ("100%", EXACT, "100%", True),
    ("100 percent", EXACT, "100%", False),
    ("a_b", EXACT, "a%b", False),
    ("École", FULL, "e\u0301cole", True),
    ("École", FULL, "ecole", False),
    ("École", EXACT, "E\u0301COLE", True),
    ("Søn & Co", FULL, "søn", True),
    ("Søn & Co", FULL, "son", False),
    ("ida@oakvale.example", FULL, "ida@oakvale.example", True),
    ("ida@oakvale.example", FULL, "oakvale.example", True),
    ("ida@oakvale.example", FULL, "IDA", True),
    ("ida@oakvale.example", PHRASE, "example oakvale", False),
    ("ida@oakvale.example", BEGINNING, "oak", True),
    ("10-5", FULL, "5", True),
    ("10-5", FULL, "-5", True),
    ("100", FULL, "10", False),
    ("東京タワー株式会社", FULL, "タワー", True),
    ("東京タワー株式会社", FULL, "東京 株式", True),
    ("東京タワー株式会社", FULL, "大阪", False),
    ("東京タワー株式会社", PHRASE, "京タワ", True),
    ("東京タワー Oakvale 支店", PHRASE, "タワー oakvale 支", True),
    ("東京タワー Oakvale 支店", PHRASE, "oakvale タワー", False),
    ("東京タワー Oakvale 支店", PHRASE, "タワー oak", False),
    ("東京タワー株式会社", BEGINNING, "株式", True),
    ("東京タワー株式会社", EXACT, "東京タワー", False),
    ("กรุงเทพมหานคร", FULL, "เทพ", True),
    ("삼성전자", FULL, "전자", True),
    ("上海 Trading", FULL, "海", True),
    ("Oakvale Mills", FULL, "!!!", False),
    ("Oakvale Mills", PHRASE, "", False),
    ("Oakvale Mills", BEGINNING, " ", False),
    ("Oakvale Mills", EXACT, "", False),
    ("", EXACT, "", False),
    ("'; DROP TABLE crm_lead; --", FULL, "'; DROP TABLE crm_lead; --", True),
    ("a\\b%c", EXACT, "A\\B%C", True),
]


@pytest.mark.parametrize(("held", "mode", "wanted", "matches"), RULES)
def test_text_rules(caller: Caller, held: str, mode: str, wanted: str, matches: bool) -> None:
    lead = LeadFactory.create(organization=caller.organization, name=held)
    condition = where(regular("lead", "name"), text(wanted, mode))
    assert (lead.pk in ids(caller, condition)) is matches
    assert (lead.pk in ids(caller, no(condition))) is not matches


@pytest.mark.parametrize("wanted", ["ida@oakvale.example", "oakvale.example", "ida"])
def test_a_lead_is_found_by_an_address_of_a_contact(caller: Caller, wanted: str) -> None:
    lead = LeadFactory.create(organization=caller.organization)
    ContactFactory.create(lead=lead).emails.create(organization=caller.organization, email="ida@oakvale.example")
    email = where(regular("contact_email", "email"), text(wanted))
    assert ids(caller, related("lead", "contact", related("contact", "contact_email", email))) == [lead.pk]
    assert ids(caller, related("lead", "contact_email", email)) == [lead.pk]
    assert ids(caller, text(wanted)) == [lead.pk]


def test_free_text_may_find_its_words_in_different_places(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="Oakvale Mills", description="flour")
    contact = ContactFactory.create(lead=lead, name="Ida Moss", title="Founder")
    lead.addresses.create(organization=caller.organization, city="Lyon")

    assert ids(caller, text("moss flour lyon founder mills")) == [lead.pk]
    assert ids(caller, {"type": "text", "value": "moss lyon"}) == [lead.pk]
    assert ids(caller, text("mi flo mo", BEGINNING)) == [lead.pk]
    assert ids(caller, text("ida moss", PHRASE)) == [lead.pk]
    assert ids(caller, text("flour oakvale", PHRASE)) == []
    assert ids(caller, text("mills flour", PHRASE)) == []
    assert ids(caller, text("founder", EXACT)) == [lead.pk]
    assert ids(caller, text("oakvale", EXACT)) == []
    assert ids(caller, text("!!")) == []
    assert ids(caller, no(text("moss flour"))) == []
    assert ids(caller, all_of(of_type("contact"), text("moss founder"))) == [contact.pk]
    assert ids(caller, all_of(of_type("contact"), text("moss flour"))) == []
