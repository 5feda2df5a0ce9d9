"""A one-line query finds what the same query finds when it is written as nodes; its slices are the parts of that."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Address, ContactEmail, ContactPhone, ContactUrl, CustomField, LeadStatus
from search.compiler import matching
from search.resolve import resolve
from search.text_query.resolve import resolve_text
from tests.factories import (
    ContactFactory,
    CustomFieldFactory,
    LeadFactory,
    LeadStatusFactory,
    OpportunityFactory,
    OpportunityStatusFactory,
)
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    NOW,
    Json,
    all_of,
    any_of,
    custom,
    day,
    instant,
    of_type,
    regular,
    related,
    settle,
    text,
    where,
)

ZONE = timezone(timedelta(hours=-5))
WORDS = ["moss", "Oakvale", "mills", "élan", "O'Hara", "elan", "京都", "ida"]
Pair = tuple[str, Json]  # a query in one line, and as a node


class World:
    def __init__(self, caller: Caller) -> None:
        own = {"organization": caller.organization}
        self.caller = caller
        self.leads: list[UUID] = []
        self.statuses: list[LeadStatus] = [LeadStatusFactory.create(label=label, **own) for label in ("New", "Bad Fit")]
        self.region: CustomField = CustomFieldFactory.create(name="Region", slug="region", **own)
        self.tier: CustomField = CustomFieldFactory.create(
            name="Two words", slug="two_words", type="choices", choices=["Gold", "Silver"], **own
        )
        self.size: CustomField = CustomFieldFactory.create(name="Size", slug="size", type="number", **own)
        stage = OpportunityStatusFactory.create(pipeline__organization=caller.organization, label="Open")
        for number in range(24):
            say = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5)]
            values = {self.region.key: say[2], self.tier.key: ["Gold", "Silver"][number % 2], self.size.key: number / 2}
            lead = LeadFactory.create(
                name=" ".join(say[: number % 4]), status=self.statuses[number % 2],
                url=f"https://{say[0]}.example" if number % 3 else None,
                description=f"{say[1]} & {say[2]}" if number % 5 == 0 else "",
                custom=dict(list(values.items())[: number % 4]),
                date_created=datetime(2031, 3, 1 + number, 3, 30, tzinfo=UTC), created_by=caller.user, **own,
            )  # fmt: skip
            self.leads.append(lead.pk)
            for place in range(number % 3):
                contact = ContactFactory.create(lead=lead, name=say[place], title=say[2 - place])
                of_contact = {"contact": contact, **own}
                ContactEmail.objects.create(email=f"{say[0].lower()}@{say[place].lower()}.example", **of_contact)
                ContactPhone.objects.create(phone=f"+1555{number:03d}{place}", **of_contact)
                ContactUrl.objects.create(url=f"https://{say[1]}.example/{place}", **of_contact)
            if number % 4 == 0:
                Address.objects.create(lead=lead, city=say[0], country="FR", **own)
            for place in range(number % 3):
                OpportunityFactory.create(lead=lead, value=100 * number + place, status=stage)

    def found(self, node: Json, **more: object) -> list[UUID]:
        query = {"type": "and", "queries": [of_type("lead"), node]}
        resolved = resolve(query=query, sort=None, caller=self.caller, tz=ZONE, now=NOW, for_bulk=False, **more)
        return list(matching(resolved, self.caller.organization.pk).values_list("pk", flat=True))

    def found_by_text(self, written: str) -> list[UUID]:
        _, resolved = resolve_text(written, caller=self.caller, tz=ZONE, now=NOW)
        return list(matching(resolved, self.caller.organization.pk).values_list("pk", flat=True))


@pytest.fixture
def world(caller: Caller) -> World:
    made = World(caller)
    settle()
    return made


def leaves(world: World) -> st.SearchStrategy[Pair]:
    """Everything that stands between `and`, `or` and `not`."""
    word, number = st.sampled_from(WORDS), st.integers(0, 12)
    spaces = st.sampled_from(["", " ", "  "])
    lead = {name: regular("lead", name) for name in ("name", "url", "num_contacts", "status_id", "addresses_count")}
    reach = {
        "contact_name": ("contact", "name"),
        "contact_title": ("contact", "title"),
        "email_address": ("contact_email", "email"),
        "city": ("address", "city"),
    }

    def texts(field: str, condition: str, value: str) -> Pair:
        """`field:value` in one of its spellings; by itself, of the lead, or of something related."""
        shapes = {
            "word": (f"{field}:{value}", text(value, "phrase")),
            "phrase": (f'{field} : "{value} {value}"', text(f"{value} {value}", "phrase")),
            "whole": (f'{field}="{value.upper()}"', text(value.upper(), "exact_value")),
            "begins": (f"{field}:{value[:2]}*", text(value[:2], "beginning_of_words")),
            "some": (f"{field}:*", EXISTS),
        }
        written, meant = shapes[condition]
        if field in reach:
            other, name = reach[field]
            return written, related("lead", other, where(regular(other, name), meant))
        if field == "url":
            of_contacts = related("lead", "contact_url", where(regular("contact_url", "url"), meant))
            return written, any_of(where(lead["url"], meant), of_contacts)
        if field == "custom.Region":
            return written, where(custom(world.region), meant)
        return written, where(lead["name"], meant)

    def compared(field: str, sign: str, value: int, space: str) -> Pair:
        bounds = {">": ["gt"], ">=": ["gte"], "<": ["lt"], "<=": ["lte"], "=": ["gte", "lte"], ":": ["gte", "lte"]}
        fields = {
            "contacts": lead["num_contacts"], "addresses": lead["addresses_count"], "custom.Size": custom(world.size),
            "opportunities": regular("lead", "num_opportunities"),
        }  # fmt: skip
        range_ = {"type": "number_range", **dict.fromkeys(bounds[sign], value)}
        return f"{field}{space}{sign}{space}{value}", where(fields[field], range_)

    def created(sign: str, date: int, written_as: str) -> Pair:
        local = f"2031-03-{date:02d}"
        if written_as == "day":
            edges = {">=": ("start", None), ">": ("end", None), "<": (None, "start"), "<=": (None, "end")}
            first, last = (edge and day(local, edge) for edge in edges[sign])
            shown = local
        else:
            moment = {"zoned": f"{local}T03:30:00Z", "local": f"{local}T08:30:00Z"}[written_as]
            shown = f'"{local}T03:30{"Z" if written_as == "zoned" else ""}"'
            behind = moment.replace("00Z", "00.000001Z")
            edges = {">=": (moment, None), ">": (behind, None), "<": (None, moment), "<=": (None, behind)}
            first, last = (edge and instant(edge) for edge in edges[sign])
        range_ = {"type": "moment_range", "on_or_after": first, "before": last}
        return f"created {sign} {shown}", where(regular("lead", "date_created"), range_)

    def status(one: LeadStatus, name: str) -> Pair:
        ids = {"type": "reference", "reference_type": "status.lead", "object_ids": [close_id("stat", one.pk)]}
        return f'{name}:"{one.label.upper()}"', where(lead["status_id"], ids)

    def tier(label: str, name: str) -> Pair:
        return f"{name}:{label}", where(custom(world.tier), {"type": "term", "values": [label]})

    def group(title: str, name: str) -> Pair:
        same = [where(regular("contact", "title"), text(title)), where(regular("contact", "name"), text(name))]
        return f"contact(title:{title} (name:{name}))", related("lead", "contact", all_of(*same))

    def worth(value: int) -> Pair:
        over = where(regular("opportunity", "value"), {"type": "number_range", "gt": value * 100})
        is_open = where(regular("opportunity", "status_label"), text("open", "exact_value"))
        return f"opportunity(value > {value}00 status:open)", related("lead", "opportunity", all_of(over, is_open))

    ids = st.sampled_from(world.leads).map(lambda key: close_id("lead", key))
    fields = st.sampled_from(["name", "company", "url", "custom.Region", *reach])
    shapes = st.sampled_from(["word", "phrase", "whole", "begins", "some"])
    signs = st.sampled_from([">", ">=", "<", "<="])
    counts = st.sampled_from(["contacts", "addresses", "opportunities", "custom.Size"])
    simple = word.filter(lambda one: "'" not in one)
    return st.one_of(
        word.map(lambda one: (one, text(one, "phrase"))),
        st.tuples(word, word).map(lambda both: (f'"{both[0]} {both[1]}"', text(" ".join(both), "phrase"))),
        word.map(lambda one: (f"{one[:2]}*", text(one[:2], "beginning_of_words"))),
        st.just(("*", MATCH_ALL)),
        ids.map(lambda key: (key, {"type": "id", "value": key})),
        st.builds(texts, fields, shapes, simple),
        st.builds(compared, counts, st.one_of(signs, st.sampled_from(["=", ":"])), number, spaces),
        st.builds(created, signs, st.integers(1, 28), st.sampled_from(["day", "zoned", "local"])),
        st.builds(status, st.sampled_from(world.statuses), st.sampled_from(["status", "lead_status"])),
        st.builds(
            tier,
            st.sampled_from(["Gold", "Silver"]),
            st.sampled_from(['"custom.Two words"', "custom.two_words", f"custom.{close_id('cf', world.tier.pk)}"]),
        ),
        st.builds(group, simple, simple),
        st.builds(worth, number),
    )


def queries(world: World) -> st.SearchStrategy[Pair]:
    def negated(pair: Pair, word: str) -> Pair:
        return f"{word} ({pair[0]})", all_of(pair[1], negate=True)

    def both(parts: list[Pair], word: str) -> Pair:
        # An `or` within stands in parentheses: `and` binds before it.
        return word.join(f"({written})" if " or " in written else written for written, _ in parts), all_of(
            *(meant for _, meant in parts)
        )

    def either(parts: list[Pair]) -> Pair:
        return " or ".join(written for written, _ in parts), any_of(*(meant for _, meant in parts))

    def grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
        parts = st.lists(inner, min_size=2, max_size=4)
        return st.one_of(
            st.builds(negated, inner, st.sampled_from(["not", "NOT", "Not"])),
            st.builds(both, parts, st.sampled_from([" ", " and ", "  AND ", "\n"])),
            st.builds(either, parts),
        )

    return st.recursive(leaves(world), grown, max_leaves=8)


@given(data=st.data())
@settings(database=None, max_examples=150)
def test_a_text_finds_what_the_same_query_in_nodes_finds(world: World, data: st.DataObject) -> None:
    written, meant = data.draw(queries(world))
    found = world.found_by_text(written)
    assert found == world.found(meant)
    parts = [world.found_by_text(f"{written} slice:{part}/3") for part in (1, 2, 3)]
    assert sorted(key for part in parts for key in part) == sorted(found)


@given(data=st.data())
@settings(database=None, max_examples=30)
def test_a_sort_orders_what_the_rest_finds(world: World, data: st.DataObject) -> None:
    fields = {"name": regular("lead", "name"), "created": regular("lead", "date_created"),
              "updated": regular("lead", "date_updated"), "activities": regular("lead", "num_activities"),
              "contacts": regular("lead", "num_contacts"), "custom.Size": custom(world.size)}  # fmt: skip
    names = data.draw(st.lists(st.sampled_from(list(fields)), min_size=1, max_size=3, unique=True))
    signs = [data.draw(st.sampled_from(["", "-"])) for _ in names]
    sort = [
        {"direction": "desc" if sign else "asc", "field": fields[name]} for sign, name in zip(signs, names, strict=True)
    ]
    written = ",".join(map("".join, zip(signs, names, strict=True)))
    resolved = resolve(query=MATCH_ALL, sort=sort, caller=world.caller, tz=ZONE, now=NOW, for_bulk=False)
    meant = list(matching(resolved, world.caller.organization.pk).values_list("pk", flat=True))
    assert world.found_by_text(f"* sort:{written}") == world.found_by_text(f"sort:{written}") == meant
