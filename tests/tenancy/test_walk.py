"""Every address of every dialect, with another organization's ids in paths and in bodies: neither data nor change.

The addresses come from the URL resolver and the keys of bodies from the published schema: a new one fails here until it
is known.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import pytest
from django.db import connection
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator

from tests.tenancy.bodies import bodies
from tests.tenancy.digest import digest
from tests.tenancy.routes import METHODS, served
from tests.tenancy.speakers import content_of, dialect_of
from tests.tenancy.world import World

pytestmark = pytest.mark.django_db

PLACE = re.compile(r"<(\w+)>")
# What only a signed link opens, to whoever has it.
BY_LINK = {"api/v1/export/<export>/file/"}
# Lists that are empty here: nobody takes calls, and no worker has looked at the jobs.
EMPTY_ANYWAY = ("user/availability/", "/results/")
# Keys that say which records are meant: nothing is found by the ids of others, where other keys are refused.
SEARCHING = ("?", "s_query", "query", "params", "lead_ids", "ids", "leads")


def test_the_ids_of_others_in_addresses_are_not_found(ours: World, theirs: World) -> None:
    before, found = digest(theirs.organization), bodies()
    problems = []
    for address, methods in served().items():
        kinds = PLACE.findall(address)
        for worlds in product((ours, theirs), repeat=len(kinds)):
            if theirs not in worlds:
                continue
            path = _filled(address, worlds)
            for method, override in [*((method, False) for method in METHODS), ("POST", True)]:
                for body in [{}, *found.get(f"{method} {address}", [])]:
                    query, sent = _split(_spelled(body, [ours] * len(PLACE.findall(json.dumps(body))), path))
                    headers = {"x-http-method-override": "GET"} if override else {}
                    with _undone():
                        answer = ours.speaker.send(method, path, sent, query, **headers)
                        expected = (404,) if method in methods and not override else (404, 405)
                        problems += [
                            (method, address, problem)
                            for problem in _problems(answer, expected, theirs, f"{path}{sent}{query}", before)
                        ]
    assert not problems, said(problems)


def test_the_same_addresses_are_found_with_ids_of_ones_own(ours: World) -> None:
    """Or the test above would show nothing."""
    problems = []
    for address, methods in served().items():
        if "<" in address and address not in BY_LINK:
            path = _filled(address, [ours] * address.count("<"))
            for method in methods:
                with _undone():
                    answer = ours.speaker.send(method, path, {})
                    if answer.status_code in (404, 405) or answer.status_code >= 500:
                        problems.append((method, address, answer.status_code, content_of(answer)[:300]))
    assert not problems, said(problems)


def test_the_ids_of_others_in_bodies_and_parameters_are_refused_or_find_nothing(ours: World, theirs: World) -> None:
    before = digest(theirs.organization)
    problems = []
    for operation, address, body in _operations():
        path = _filled(address, [ours] * address.count("<"))
        for place, key in enumerate(_keys_of_places(body)):
            n = len(PLACE.findall(json.dumps(body)))
            spelled = _spelled(body, [theirs if i == place else ours for i in range(n)], path)
            query, sent = _split(spelled)
            with _undone():
                answer = ours.speaker.send(operation.partition(" ")[0], path, sent, query)
                searching = key.startswith(SEARCHING)
                expected = (200, 400, 422) if searching else (400, 409, 422)
                told = _problems(answer, expected, theirs, f"{sent}{query}", before)
                is_filter = key.startswith("?") and PLACE.fullmatch(str(body[key]))
                if is_filter and operation.startswith("GET") and answer.status_code == 200:
                    told += [f"found {rows}" for rows in [_listed(answer)] if rows]
                problems += [(operation, key, PLACE.findall(json.dumps(body))[place], problem) for problem in told]
    assert not problems, said(problems)


def test_the_same_bodies_are_accepted_with_ids_of_ones_own(ours: World) -> None:
    problems = []
    for operation, address, body in _operations():
        path = _filled(address, [ours] * address.count("<"))
        query, sent = _split(_spelled(body, [ours] * len(PLACE.findall(json.dumps(body))), path))
        with _undone():
            answer = ours.speaker.send(operation.partition(" ")[0], path, sent, query)
            if answer.status_code >= 300:
                problems.append((operation, sent, query, answer.status_code, content_of(answer)[:500]))
            elif operation.startswith("GET") and not address.endswith(EMPTY_ANYWAY) and _listed(answer) == []:
                problems.append((operation, query, "found nothing"))
    assert not problems, said(problems)


def test_lists_and_files_without_any_id_show_nothing_of_others(ours: World, theirs: World) -> None:
    before = digest(theirs.organization)
    problems = []
    for address, methods in served().items():
        if "GET" in methods:
            path = _filled(address, [ours] * address.count("<"))
            with _undone():
                answer = ours.speaker.send("GET", path)
                expected = (404,) if address in BY_LINK else (200, 400)
                problems += [(address, problem) for problem in _problems(answer, expected, theirs, path, before)]
    assert not problems, said(problems)


def test_every_key_of_the_schema_that_takes_an_id_is_tried() -> None:
    """A key counts as one by its name."""
    named = re.compile(
        r"(?:.*_)?ids?(?:__in)?|assigned_to|calls_assigned_to|source|destination|s_query|query|lead_query|cursor"
        r"|preview_token|shared_with|params"
    )
    tried = {(_plain(operation), key) for operation, key in _keys_tried()}
    schema = SchemaGenerator().get_schema(request=None, public=True)
    wanted = {
        (_plain(f"{method.upper()} {path[1:]}"), key)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        for key in _keys_of_schema(operation, schema)
        if named.fullmatch(key)
    }
    assert sorted(wanted - tried - NO_IDS) == []


# By their names they could be ids: words for roles, the lead of a contact that is made with it, a step that is new.
NO_IDS = {
    ("PUT api/v1/membership/", "role_id"),
    ("PUT api/v1/membership/{}/", "role_id"),
    ("POST api/v1/lead/", "lead_id"),
    ("POST api/v1/sequence/", "id"),
}


def said(problems: list[tuple]) -> str:
    return "\n".join(str(problem) for problem in problems)


@contextmanager
def _undone() -> Iterator[None]:
    """What a request changes is taken back. No `atomic`: services that must be outermost would refuse it."""
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT a_request")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK TO SAVEPOINT a_request")


def _filled(address: str, worlds: object) -> str:
    each = iter(worlds)
    dialect = dialect_of(f"/{address}")
    return "/" + PLACE.sub(lambda kind: next(each).spelled(dialect, kind[1]), address)


def _spelled(body: object, worlds: list[World], path: str) -> dict:
    each, dialect = iter(worlds), dialect_of(path)
    return json.loads(PLACE.sub(lambda kind: _escaped(next(each).spelled(dialect, kind[1])), json.dumps(body)))


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _split(body: dict) -> tuple[dict, dict]:
    query = {key[1:]: value for key, value in body.items() if key.startswith("?")}
    return query, {key: value for key, value in body.items() if not key.startswith("?")}


def _keys_of_places(body: dict) -> list[str]:
    """For each id of a body, the outermost key that it stands under."""
    return [key for key, value in body.items() for _ in PLACE.findall(json.dumps({key: value}))]


def _operations() -> Iterator[tuple[str, str, dict]]:
    known = {f"{method} {address}" for address, methods in served().items() for method in methods}
    assert set(bodies()) <= known, set(bodies()) - known
    for operation, all_bodies in bodies().items():
        for body in all_bodies:
            yield operation, operation.partition(" ")[2], body


def _problems(
    answer: HttpResponse, expected: tuple[int, ...], theirs: World, sent: str, before: dict[str, str]
) -> list[str]:
    content = content_of(answer).decode(errors="replace")
    problems = []
    if answer.status_code not in expected:
        problems.append(f"{answer.status_code}: {content[:300]}")
    shown = [word for word in (*theirs.spellings(), theirs.mark) if word in content and word not in sent]
    if shown:
        problems.append(f"shows {shown}: {content[:300]}")
    after = digest(theirs.organization)
    changed = [table for table in before if before[table] != after[table]]
    if changed:
        problems.append(f"changed {changed}")
    return problems


def _listed(answer: HttpResponse) -> object:
    told = answer.json()
    return next((told[key] for key in ("data", "items", "leads") if key in told), None)


def _keys_tried() -> Iterator[tuple[str, str]]:
    def walk(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if PLACE.search(json.dumps({key: inner})):
                    yield key.lstrip("?")
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    for operation, all_bodies in bodies().items():
        for body in all_bodies:
            for key in walk(body):
                yield operation, key


def _plain(operation: str) -> str:
    """An operation as schema and routes both have it."""
    return re.sub(r"[{<][^}>]*[}>]", "{}", operation).replace("custom_field_schema/lead", "custom_field_schema/{}")


def _keys_of_schema(operation: dict, schema: dict, seen: tuple[str, ...] = ()) -> Iterator[str]:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            yield parameter["name"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _properties(content["schema"], schema)


def _properties(node: dict, schema: dict, seen: tuple[str, ...] = ()) -> Iterator[str]:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from _properties(schema["components"]["schemas"][name], schema, (*seen, name))
        return
    for name, inner in node.get("properties", {}).items():
        yield name
        yield from _properties(inner, schema, seen)
    for inner in [
        *node.get("allOf", []),
        *node.get("oneOf", []),
        *node.get("anyOf", []),
        *filter(None, [node.get("items")]),
    ]:
        yield from _properties(inner, schema, seen)
