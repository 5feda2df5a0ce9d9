"""One-line queries: what they mean, and that nothing hostile gets through."""

import time
from datetime import UTC, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.errors import Invalid
from crm.ids import close_id
from crm.models import CustomField
from search.grammar import parse
from search.text_query.translate import Translation, translate
from search.text_query.vocabulary import Vocabulary
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    Json,
    all_of,
    any_of,
    custom,
    day,
    instant,
    no,
    of_type,
    regular,
    related,
    term,
    text,
    where,
)


def field_named(number: int, name: str, type_: str, object_type: str = "lead", **more: object) -> CustomField:
    slug = name.lower().replace(" ", "_")
    return CustomField(pk=UUID(int=number), name=name, slug=slug, type=type_, object_type=object_type, **more)


REGION = field_named(1, "Region", "text")
WORDS = field_named(2, "Two words", "choices", choices=["Gold", "Silver"])
SIZE = field_named(3, "Size", "number")
SIGNED = field_named(4, "Signed", "date")
OWNER = field_named(5, "Owner", "user")
ROLE = field_named(6, "Role", "text", "contact")
FIELDS = {field.pk: field for field in (REGION, WORDS, SIZE, SIGNED, OWNER, ROLE)}
POTENTIAL, IDA = UUID(int=11), UUID(int=21)
VOCABULARY = Vocabulary(
    custom_fields=tuple(FIELDS.values()),
    statuses=((POTENTIAL, "Potential"), (UUID(int=12), "Bad Fit")),
    users=((IDA, "Ida Moss", "ida@oakvale.example"),),
)
LEAD_ID = close_id("lead", UUID(int=31))


def translated(written: str, **options: object) -> Translation:
    found = translate(written, vocabulary=VOCABULARY, tz=timezone(timedelta(hours=-4)), **options)
    parse(found.s_query, custom_fields=FIELDS, for_bulk=True)  # a strict reader takes it
    return found


def lead(name: str) -> Json:
    return regular("lead", name)


def range_of(since: Json | None, until: Json | None) -> Json:
    return {"type": "moment_range", "on_or_after": since, "before": until}


def number(**bounds: float) -> Json:
    return {"type": "number_range", **bounds}


def status(*keys: UUID) -> Json:
    ids = [close_id("stat", key) for key in keys]
    return where(lead("status_id"), {"type": "reference", "reference_type": "status.lead", "object_ids": ids})


def email(condition: Json) -> Json:
    return related("lead", "contact_email", where(regular("contact_email", "email"), condition))


def phone(condition: Json) -> Json:
    return related("lead", "contact_phone", where(regular("contact_phone", "phone"), condition))


def url(condition: Json) -> Json:
    its = related("lead", "contact_url", where(regular("contact_url", "url"), condition))
    return {"type": "or", "queries": [where(lead("url"), condition), its]}


def name_of_contact(condition: Json) -> Json:
    return related("lead", "contact", where(regular("contact", "name"), condition))


NAMED = where(lead("name"), text("oakvale"))
TEXTS: dict[str, Json] = {
    "*": MATCH_ALL,
    "oakvale": text("oakvale"),
    "  moss  & sons ": text("moss & sons"),
    '"moss and sons"': text("moss and sons", "phrase"),
    "ida@oakvale.example": text("ida@oakvale.example", "phrase"),
    "oakv*": text("oakv", "beginning_of_words"),
    LEAD_ID: {"type": "id", "value": LEAD_ID},
    f"id:{LEAD_ID}": {"type": "id", "value": LEAD_ID},
    f"lead_id={LEAD_ID}": {"type": "id", "value": LEAD_ID},
    "id:*": MATCH_ALL,
    "not oakvale": no(text("oakvale")),
    "not not oakvale": text("oakvale"),
    "a or b": {"type": "or", "queries": [text("a"), text("b")]},
    "NOT (a OR b)": {"type": "or", "queries": [text("a"), text("b")], "negate": True},
    "name:oakvale": NAMED,
    "company:oakvale": NAMED,
    "name : oakvale": NAMED,
    'name:"Oakvale Mills"': where(lead("name"), text("Oakvale Mills", "phrase")),
    'name="Oakvale Mills"': where(lead("name"), text("Oakvale Mills", "exact_value")),
    r'name:"say \"moss\""': where(lead("name"), text('say "moss"', "phrase")),
    "name:oak*": where(lead("name"), text("oak", "beginning_of_words")),
    "name:*": where(lead("name"), EXISTS),
    "not name:*": no(where(lead("name"), EXISTS)),
    'status:"Potential"': status(POTENTIAL),
    'lead_status:"bad fit"': status(UUID(int=12)),
    f"status_id:{close_id('stat', POTENTIAL)}": where(lead("status_id"), term(close_id("stat", POTENTIAL))),
    "email_address:ida@oakvale.example": email(text("ida@oakvale.example", "phrase")),
    "email_address:*": email(EXISTS),
    'contact_name:"Ida Moss"': name_of_contact(text("Ida Moss", "phrase")),
    'phone:"+1 (555) 010-0042"': phone(text("15550100042")),
    "phone:+15550*": phone(text("15550", "beginning_of_words")),
    "url:https://oakvale.example": url(text("oakvale.example", "phrase")),
    "url:*": url(EXISTS),
    "custom.Region:North": where(custom(REGION), text("North")),
    "custom.region:*": where(custom(REGION), EXISTS),
    '"custom.Two words":"Gold"': where(custom(WORDS), text("Gold", "exact_value")),
    'custom."Two words":Gold': where(custom(WORDS), text("Gold", "exact_value")),
    "custom.two_words:Gold": where(custom(WORDS), text("Gold", "exact_value")),
    f"custom.{close_id('lcf', REGION.pk)}:North": where(custom(REGION), text("North")),
    "custom.Size >= 2.5": where(custom(SIZE), number(gte=2.5)),
    "custom.Signed > 2031-03-16": where(custom(SIGNED), range_of(day("2031-03-16", "end"), None)),
    'custom.Signed <= "2031-03-16T23:00Z"': where(custom(SIGNED), range_of(None, day("2031-03-16", "end"))),
    'custom.Owner:"ida moss"': where(
        custom(OWNER), {"type": "reference", "reference_type": "user", "object_ids": [close_id("user", IDA)]}
    ),
    "created_by:me": where(lead("created_by"), {"type": "current_user"}),
    "addresses > 1": where(lead("addresses_count"), number(gt=1)),
    'addresses>="1"': where(lead("addresses_count"), number(gte=1)),
    "addresses:2": where(lead("addresses_count"), number(gte=2, lte=2)),
    "addresses:*": where(lead("addresses_count"), number(gte=1)),
    "contacts > 1": where(lead("num_contacts"), number(gt=1)),
    "opportunities >= 1": where(lead("num_opportunities"), number(gte=1)),
    'date_updated >= "2026-01-01T00:00"': where(
        lead("date_updated"), range_of(instant("2026-01-01T04:00:00Z"), None)
    ),
    "date_updated<2026-01-01T00:00:00+02:00": where(
        lead("date_updated"), range_of(None, instant("2025-12-31T22:00:00Z"))
    ),
    'updated > "2026-01-01 00:00:00.5Z"': where(
        lead("date_updated"), range_of(instant("2026-01-01T00:00:00.500001Z"), None)
    ),
    "created:2026-01-01": where(
        lead("date_created"), range_of(day("2026-01-01"), day("2026-01-01", "end"))
    ),
    'created:"2026-01-01T09:30Z"': where(
        lead("date_created"), range_of(instant("2026-01-01T09:30:00Z"), instant("2026-01-01T09:31:00Z"))
    ),
    'contact(title:"CEO")': related("lead", "contact", where(regular("contact", "title"), text("CEO", "phrase"))),
    "contact(custom.Role:Buyer ida)": related(
        "lead", "contact", {"type": "and", "queries": [where(custom(ROLE), text("Buyer")), text("ida")]}
    ),
    "opportunity(value > 100 status_type:won)": related(
        "lead", "opportunity",
        {"type": "and", "queries": [
            where(regular("opportunity", "value"), number(gt=100)),
            where(regular("opportunity", "status_type"), text("won", "exact_value")),
        ]},
    ),
    "call(direction:inbound)": related(
        "lead", "activity.call", where(regular("activity.call", "direction"), text("inbound", "exact_value"))
    ),
    "not contact(email_address:*)": no(
        related(
            "lead", "contact",
            related("contact", "contact_email", where(regular("contact_email", "email"), EXISTS)),
        )
    ),
}  # fmt: skip


def plain(node: object) -> object:
    """Without `negate: false`, which says nothing."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if (key, value) != ("negate", False)}
    return [plain(one) for one in node] if isinstance(node, list) else node


@pytest.mark.parametrize("written", TEXTS)
def test_what_a_text_means(written: str) -> None:
    assert plain(translated(written).s_query) == plain(all_of(of_type("lead"), TEXTS[written]))


def test_and_needs_no_word_and_binds_before_or() -> None:
    either = any_of({"type": "and", "queries": [NAMED, text("a")]}, text("b"))
    for written in ("name:oakvale a or b", "name:oakvale and a OR b", "(name:oakvale a) or (b)"):
        assert plain(translated(written).s_query) == plain(all_of(of_type("lead"), either))


def test_sort_and_slice_speak_of_the_whole() -> None:
    found = translated('a or b sort:created,-name sort:"-custom.Size" slice:1/10')
    assert plain(found.s_query) == plain(all_of(of_type("lead"), any_of(text("a"), text("b"))))
    assert found.sort == [
        {"direction": "asc", "field": lead("date_created")},
        {"direction": "desc", "field": lead("name")},
        {"direction": "desc", "field": custom(SIZE)},
    ]
    assert found.slice == (1, 10)
    assert translated("* sort:-updated").sort == [{"direction": "desc", "field": lead("date_updated")}]
    assert translated("sort:activities").sort == [{"direction": "asc", "field": lead("num_activities")}]


def test_slices_counted_from_0_and_from_1_are_the_same_parts() -> None:
    assert {translated(f"* slice:{part}/3").slice for part in (0, 1, 2)} == {(0, 3), (1, 3), (2, 3)}
    assert {translated(f"* slice:{part}/3").slice for part in (1, 2, 3)} == {(0, 3), (1, 3), (2, 3)}


WRONG = {
    "": "empty",
    "   ": "empty",
    'name:"oakvale': "Position 6: this quotation mark is never closed",
    "(a or b": "Position 8: a `)` is missing",
    "a)": "Position 2:",
    "()": "Position 2:",
    "or a": "Position 1:",
    "a or": "Position 5:",
    "not": "Position 4:",
    "a and or b": "Position 7:",
    "name:": "Position 6:",
    "> 5": "Position 1:",
    "name:>5": "Position 6:",
    'name:""': "an empty value",
    "stauts:Potential": "Position 1: unknown field 'stauts' of a lead. Did you mean 'status'?",
    "custom.Regoin:North": "unknown custom field 'Regoin' of a lead. Did you mean 'Region'?",
    "custom.Role:Buyer": "unknown custom field 'Role' of a lead",
    "contct(title:CEO)": "unknown group 'contct' of a lead. Did you mean 'contact'?",
    "contact(contact(a))": "unknown group 'contact' of a contact",
    'status:"Potentail"': "there is no status 'Potentail'. Did you mean 'Potential'?",
    "created_by:nobody": "there is no user 'nobody'",
    "name > 5": "texts are compared",
    f"id > {LEAD_ID}": "Position 6: ids are compared by `:` or `=`",
    "addresses > many": "Position 13: a number is needed",
    "created > yesterdayish": "a date is needed",
    "created:2026-02-30": "a date is needed",
    "created:9999-12-31T23:59:59-14:00": "a date is needed",
    "-oakvale": "write `not oakvale`",
    "oak*vale": "`*` stands alone or at the end",
    "&": "no letter and no digit",
    "slice:4/3": "a slice is written i/n",
    "slice:0/0": "a slice is written i/n",
    "slice:1/2 slice:1/2": "another slice",
    "sort:contact_name": "one cannot sort by",
    "sort:nmae": "unknown field 'nmae'",
    "not sort:name": "speaks of the whole",
    "contact(slice:1/2)": "speaks of the whole",
    "a or sort:name": "Beside `or`",
    "(" * 10_000 + ")" * 10_000: "Position 13: the parentheses are nested deeper than 12",
    "contact(" * 8_000: "nested deeper",
    "a" * 100_000: "longer than 65536 characters",
    '"' * 99_999: "longer than",
    '"' * 9_999: "Position 9999: this quotation mark is never closed",
}


@pytest.mark.parametrize("written", WRONG, ids=lambda written: written[:30])
def test_what_is_wrong_is_said_with_its_position(written: str) -> None:
    began = time.process_time()
    with pytest.raises(Invalid) as wrong:
        translated(written)
    assert time.process_time() - began < 2
    assert WRONG[written] in wrong.value.field_errors["query"]


def test_a_text_that_only_sorts_is_no_bulk_order() -> None:
    assert plain(translated("sort:name").s_query) == plain(all_of(of_type("lead"), MATCH_ALL))
    with pytest.raises(Invalid, match="For everything write"):
        translated("slice:1/2", for_bulk=True)


PIECES = st.sampled_from(
    ["(", ")", '"', "not ", " or ", " and ", ":", " > ", "<=", "=", "*", "\\", " ", "\n", "\0", "-", "/", "name", "a",
     "status", "custom.", "custom.Size", "created", "contact", "contact(", "sort:", "slice:", "1/2", "2031-03-16",
     "T09:30", "Z", "é", "京", "😀", "\ud800", "9" * 400, "me", "url", "http://", "phone:", "+1 2", "addresses"]
)  # fmt: skip


@given(written=st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join))
@settings(database=None, max_examples=2_000)
def test_any_text_is_understood_or_refused(written: str) -> None:
    try:
        found = translate(written, vocabulary=VOCABULARY, tz=UTC)
        parse(found.s_query, custom_fields=FIELDS)
    except Invalid as problem:
        str(problem.field_errors or "").encode()
