"""Whatever locale a database has, the same queries select the same objects in the same order."""

import subprocess
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from crm.auth import Caller
from search.schema import RESULT_TYPES
from tests.factories import LeadFactory, MembershipFactory
from tests.search.helpers import MATCH_ALL, Json, all_of, caller_of, ids, of_type, regular, text, where
from tests.search.pools import TEXTS, WANTED
from tests.search.queries import sortable
from tests.search.shapes import EXTRAS, NOT_YET, shapes_of
from tests.search.spoken import any_text
from tests.search.test_oracle import ZONES
from tests.search.worlds import build, matcher_of


def languages() -> list[str]:
    """One locale of a language, where the machine has any: `C` and its like are of none."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    spoken = [name for name in known if name.lower().endswith("utf8") and not name.startswith("C.")]
    return sorted(spoken, key=lambda name: not name.startswith("tr"))[:1]  # Turkish has an i of its own


LOCALES = {
    "C": "LOCALE 'C'",
    "C.UTF-8 of the C library": "LOCALE 'C.UTF-8'",
    "Unicode's own rules": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C'",
    **{name: f"LOCALE '{name}'" for name in languages()},
}


@pytest.fixture(scope="module", params=LOCALES)
def caller_there(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Caller]:
    """A caller in a new database of that locale, which Django uses meanwhile."""
    usual = connection.settings_dict["NAME"]
    name = f"{usual}_in_a_locale"
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            options = LOCALES[request.param]
            cursor.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' {options}")
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            call_command("migrate", verbosity=0)
            yield caller_of(MembershipFactory.create())
        finally:
            connection.close()
            connection.settings_dict["NAME"] = usual
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def caller(caller_there: Caller, django_db_blocker: DjangoDbBlocker) -> Iterator[Caller]:
    """What a test writes there is taken back."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield caller_there
        transaction.set_rollback(True)


def by(field: Json, direction: str = "asc") -> list[Json]:
    return [{"direction": direction, "field": field}]


# In their order: by code, in lower case. Those of one line are alike and go by id.
RANKED = [
    ["-b"], ["_"], ["a"], ["B"], ["b a"], ["ba"], ["e"], ["İ", "i", "I"], ["ss"], ["Z"], ["ß"], ["ä"], ["Å", "A\u030a"],
    ["é"], ["ı"], ["กรุงเทพ"], ["東京"], ["😀"],
]  # fmt: skip
NAMES = [name for names in RANKED for name in names]


def test_texts_sort_by_code_in_lower_case(caller: Caller) -> None:
    keys = {name: LeadFactory.create(organization=caller.organization, name=name).pk for name in reversed(NAMES)}
    ranks = [sorted(keys[name] for name in names) for names in RANKED]
    for direction, expected in (("asc", ranks), ("desc", ranks[::-1])):
        found = ids(caller, MATCH_ALL, sort=by(regular("lead", "name"), direction))
        assert found == [key for rank in expected for key in rank]


def test_texts_match_alike(caller: Caller) -> None:
    leads = {
        LeadFactory.create(organization=caller.organization, name=name).pk: name for name in [*NAMES, *TEXTS] if name
    }
    for mode in ("full_words", "phrase", "exact_value", "beginning_of_words"):
        for wanted in [*NAMES, *WANTED, "ISTANBUL", "IZMIR"]:
            expected = {key for key, name in leads.items() if any_text([name], mode, wanted)}
            assert set(ids(caller, where(regular("lead", "name"), text(wanted, mode)))) == expected, (mode, wanted)
            assert set(ids(caller, text(wanted, mode))) == expected, (mode, wanted)


def test_real_shapes_and_all_sorts_are_answered_alike(caller: Caller) -> None:
    world = build(caller, seed=11, leads=30)
    matcher = matcher_of(caller, world, ZONES[0])
    for name, query in shapes_of(caller, world).items():
        if name not in NOT_YET:
            object_type = next((one for one in RESULT_TYPES if str(of_type(one)) in str(query)), "lead")
            found = ids(caller, query, sort=EXTRAS.get(name, {}).get("sort"))
            assert set(found) == matcher.select(query, world.things[object_type].values()), name
    for object_type in RESULT_TYPES:
        things = list(world.things[object_type].values())
        for field in sortable(object_type, world):
            found = ids(caller, all_of(of_type(object_type)), sort=by(field))
            assert found == matcher.in_order(things, by(field)), field
