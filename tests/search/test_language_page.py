"""docs/search.md: every example runs, and the tables name everything that there is, and nothing else."""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from bulk_actions.api.orders import MAX_LEAD_IDS
from bulk_actions.models import BulkAction, Kind
from config.home import PROJECT
from crm.ids import base62, close_id
from crm.models import Contact, CustomField, Group, Organization, User
from search import node_parser, reading
from search.api import DEFAULT_LIMIT, MAX_LIMIT
from search.errors import MAX_PROBLEMS, InvalidSearch
from search.grammar import parse
from search.models import SavedSearch
from search.nodes import Mode
from search.ordering import MAX_SORT_ITEMS
from search.periods import PERIODS
from search.schema import OBJECT_TYPES, REFERENCE_TYPES, RELATIONS, RESULT_TYPES
from search.text_query.syntax import MAX_CHARACTERS, MAX_DEPTH
from tests import factories
from tests.search.helpers import MATCH_ALL, Json, no, settle

PAGE = (PROJECT / "docs/search.md").read_text()
SEARCH, LEADS, OPPORTUNITIES = "/api/v1/data/search/", "/api/v1/lead/", "/api/v1/opportunity/"
EDIT, DELETE, VIEWS = "/api/v1/bulk_action/edit/", "/api/v1/bulk_action/delete/", "/api/v1/saved_search/"


def known(query: Json) -> list[str]:
    """What the parser names in place of the word `new` in `query`."""
    with pytest.raises(InvalidSearch) as problem:
        parse(query)
    [told] = problem.value.field_errors.values()
    return str(told).partition("Known: ")[2].rstrip(".").split(", ")


def on_creation(condition: Json) -> Json:
    field = {"type": "regular_field", "object_type": "lead", "field_name": "date_created"}
    return {"type": "field_condition", "field": field, "condition": condition}


def since(moment: Json) -> Json:
    return on_creation({"type": "moment_range", "on_or_after": moment, "before": None})


NODES, CONDITIONS = known({"type": "new"}), known(on_creation({"type": "new"}))
MOMENTS = known(since({"type": "new"}))


def section(heading: str) -> str:
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^##? |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of its tables, without their headings."""
    lines = [line.strip("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [row for place, row in enumerate(cells[:-1]) if "---" not in row[0] and "---" not in cells[place + 1][0]] + [
        cells[-1]
    ]


def spans(cell: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", cell)


def expanded(name: str) -> list[str]:
    """`{a,b}_c` as `a_c` and `b_c`."""
    parts = [part[1:-1].split(",") if part[:1] == "{" else [part] for part in re.split(r"(\{[^}]*\})", name)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def all_types(name: str) -> list[str]:
    return [one for one in OBJECT_TYPES if one.startswith("activity.")] if name == "activity.*" else [name]


def examples() -> list[str]:
    """What stands in blocks of JSON, and what looks like it between backticks."""
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    inline = [span for span in spans(re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)) if span.startswith('{"type"')]
    assert PAGE.count("```json") == len(blocks)
    return [*blocks, *inline]


def texts() -> list[str]:
    """The one-line queries in the first column of their table."""
    return [written for row in rows(section("One-line queries")) for written in spans(row[0])]


class Named:
    """The things that the page's examples speak of: `cf_Region…` and its like."""

    def __init__(self, organization: Organization, user: User) -> None:
        own = {"organization": organization}
        user.first_name, user.last_name, user.email = "Ida", "Moss", "ida@oakvale.example"
        user.save()
        self.lead = factories.LeadFactory.create(name="Oakvale Mills", created_by=user, **own)
        Contact.objects.create(lead=self.lead, name="Ida Moss", title="Founder", **own)
        factories.OpportunityFactory.create(lead=self.lead, **own)
        group = Group.objects.create(name="Sales", **own)
        group.members.add(user)
        view = SavedSearch.objects.create(user=user, name="Mine", query="created_by:me", **own)
        job = BulkAction.objects.create(kind=Kind.EDIT, created_by=user, resolved_query={}, **own)
        fields = {"Region": "text", "Tier": "choices", "Size": "number", "Owner": "user", "Two words": "text"}
        self.ids = {
            "lead_Oakvale…": close_id("lead", self.lead.pk),
            "stat_Trial…": close_id("stat", factories.LeadStatusFactory.create(label="Trial", **own).pk),
            "user_Ida…": close_id("user", user.pk),
            "group_Sales…": close_id("group", group.pk),
            "save_Mine…": close_id("save", view.pk),
            "bulkedit_Mine…": job.api_id,
        }
        for name, type_ in fields.items():
            field: CustomField = factories.CustomFieldFactory.create(
                name=name, slug=name.lower().replace(" ", "_"), type=type_, **own
            )
            self.ids[f"cf_{name}…"] = f"cf_{base62(field.pk)}"
        settle()

    def filled(self, written: str) -> str:
        for name, key in self.ids.items():
            written = written.replace(name, key)
        assert not re.search(r"[a-z]_\w*…", written), written
        return written


@pytest.fixture
def named(organization: Organization, user: User) -> Named:
    return Named(organization, user)


def as_body(example: object) -> tuple[str, Json]:
    """Where an example belongs: whole bodies as they are, parts in the smallest query that holds them."""
    if isinstance(example, list):
        return SEARCH, {"query": MATCH_ALL, "sort": example}
    assert isinstance(example, dict)
    if "name" in example:
        return VIEWS, example
    if "s_query" in example or isinstance(example.get("query"), str):
        return (EDIT if "type" in example else DELETE), example
    if isinstance(example.get("query"), dict):
        return SEARCH, example
    if example["type"] in ("regular_field", "custom_field"):
        example = {"type": "field_condition", "field": example, "condition": {"type": "exists"}}
    elif example["type"] in MOMENTS:
        example = since(example)
    return SEARCH, {"query": example}


# --- examples ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("written", examples(), ids=lambda written: " ".join(written.split())[:60])
def test_every_example_runs(api: APIClient, named: Named, written: str) -> None:
    path, body = as_body(json.loads(named.filled(written)))
    answer = api.post(path, body)
    assert answer.status_code == 200, answer.json()
    if path == SEARCH:
        assert total(api, body["query"]) + total(api, negated(body["query"])) == total(api, everything(body["query"]))


def total(api: APIClient, query: object) -> int:
    return api.post(SEARCH, {"query": query, "results_limit": 0, "include_counts": True}).json()["count"]["total"]


def negated(query: Json) -> Json:
    """What of the same type the query does not find; a type alone leaves nothing."""
    return {"queries": [*types_of(query), no({"type": "and", "queries": [query]})]}


def everything(query: Json) -> Json:
    return {"queries": [*types_of(query), MATCH_ALL]}


def types_of(query: Json) -> list[Json]:
    nodes = [query, *query.get("queries", [])]  # type: ignore[misc]
    return [node for node in nodes if node.get("type") == "object_type"]


@pytest.mark.django_db
@pytest.mark.parametrize("written", dict.fromkeys(texts()))
def test_every_one_line_query_runs(api: APIClient, named: Named, written: str) -> None:
    text = named.filled(written)
    answer = api.get(LEADS, {"query": text})
    assert answer.status_code == 200, answer.json()
    assert api.get(OPPORTUNITIES, {"lead_query": text}).status_code == 200
    if not text.startswith(("sort", "slice")):
        others = api.get(LEADS, {"query": f"not ({text})"}).json()
        assert answer.json()["total_results"] + others["total_results"] == api.get(LEADS).json()["total_results"]
        assert api.post(DELETE, {"query": text}).status_code == 200


@pytest.mark.django_db
def test_texts_find_what_the_page_says(api: APIClient, organization: Organization) -> None:
    lines = [row for row in rows(section("Text")) if "finds" in row[-1]]
    assert len(lines) == len(Mode)
    for mode, _, said in lines:
        wanted, found = re.fullmatch(r'`(.+)` finds "(.+)"(?: only)?', said).groups()  # type: ignore[union-attr]
        lead = factories.LeadFactory.create(organization=organization, name=found)
        condition = {"type": "text", "mode": spans(mode)[0], "value": wanted}
        field = {"type": "regular_field", "object_type": "lead", "field_name": "name"}
        settle()
        answer = api.post(SEARCH, {"query": {"type": "field_condition", "field": field, "condition": condition}}).json()
        assert close_id("lead", lead.pk) in [row["id"] for row in answer["data"]]


# --- tables -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("heading", "kinds"), [("Nodes", NODES), ("Conditions", CONDITIONS), ("Moments", MOMENTS), ("Text", list(Mode))]
)
def test_a_table_names_every_kind_of_it(heading: str, kinds: list[str]) -> None:
    told = [spans(row[0])[0] for row in rows(section(heading)) if row[0].startswith("`")]
    assert sorted(told) == sorted(kinds)


def test_every_kind_has_an_example() -> None:
    shown = " ".join(examples())
    for kind in (*NODES, *CONDITIONS, *MOMENTS, *Mode):
        # Two modes have no example of their own in JSON: their row shows what they find.
        assert f'"{kind}"' in shown or kind in (Mode.EXACT_VALUE, Mode.BEGINNING_OF_WORDS), kind


def test_the_table_of_fields_is_that_of_the_schema() -> None:
    told: dict[str, dict[str, str]] = defaultdict(dict)
    for of, fields, kind, *_ in rows(section("Fields")):
        for object_type in itertools.chain(*map(all_types, spans(of))):
            for name in itertools.chain(*map(expanded, spans(fields))):
                assert name not in told[object_type], f"{name} of a {object_type} stands twice"
                told[object_type][name] = kind
    assert told == {
        object_type.name: {
            name: f"{field.kind}: {field.reference}" if field.reference else str(field.kind)
            for name, field in object_type.fields.items()
        }
        for object_type in OBJECT_TYPES.values()
    }


def test_the_table_of_relations_is_that_of_the_schema() -> None:
    assert set(_told_relations()) == set(RELATIONS)


def _told_relations() -> Iterator[tuple[str, str]]:
    for these, related in rows(section("Related objects")):
        yield from itertools.product(spans(these), spans(related))


def test_the_page_names_types_periods_and_references() -> None:
    assert set(RESULT_TYPES) <= set(spans(section("Queries")))
    assert set(REFERENCE_TYPES) <= set(spans(section("Conditions")))
    told = spans(re.search(r"\*\*Periods\*\* are (.*?)\.\n", PAGE, flags=re.DOTALL)[1])  # type: ignore[index]
    joined = [place + unit for place in told if place.endswith("-") for unit in told[told.index("next-") + 1 :]]
    assert {*(word for word in told if "day" in word or "tomorrow" in word), *joined} == set(PERIODS)


def test_the_numbers_are_those_of_the_code() -> None:
    page = " ".join(PAGE.split())
    for number, sentence in [
        (node_parser.MAX_DEPTH, "| levels of nodes, those of Smart Views included | {} |"),
        (node_parser.MAX_NODES, "| nodes; the `id` nodes of one `or` are one | {:,} |"),
        (node_parser.MAX_TEXT_NODES, "| `text` nodes | {};"),
        (node_parser.MAX_EXTERNAL_NODES, "| `bulk_action` nodes | {} |"),
        (reading.MAX_IDS, "| ids and terms in one query | {:,} |"),
        (reading.MAX_TEXT_BYTES // 1024, "| one text | {} kB;"),
        (MAX_CHARACTERS, "{:,} characters in a one-line query"),
        (MAX_DEPTH, "a group, up to {} deep"),
        (MAX_SORT_ITEMS, "| `sort` | {} fields |"),
        (MAX_PROBLEMS, "tells | {}, of which"),
        (reading.MAX_UNKNOWN_KEYS, "of which {} unknown keys"),
        (settings.SEARCH_STATEMENT_TIMEOUT_SECONDS, "`SEARCH_STATEMENT_TIMEOUT_SECONDS` ({})"),
        (settings.LOADING_STATEMENT_TIMEOUT_SECONDS, "`LOADING_STATEMENT_TIMEOUT_SECONDS` ({})"),
        (settings.SEARCH_CURSOR_SECONDS, "`SEARCH_CURSOR_SECONDS` ({})"),
        (settings.SEARCH_WALK_LIMIT, "`SEARCH_WALK_LIMIT` ({:,})"),
        (DEFAULT_LIMIT, "the size of a page ({};"),
        (MAX_LIMIT, "at most {}, more is a 400"),
        (MAX_LEAD_IDS, "`lead_ids` (up to {:,})"),
    ]:
        assert sentence.format(number) in page
