"""One running stack for all fault tests, and an organization in it to do harm to."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from config.home import PROJECT
from tests.faults.client import Client
from tests.stack import Stack, environment, open_home

LEADS = 20_000


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with open_home() as home, Stack(home, workers=2) as running:
        yield running


@pytest.fixture
def client(stack: Stack, request: pytest.FixtureRequest) -> Client:
    """An organization of its own with 20,000 leads, and a key for it."""
    name = request.node.name
    secret = manage(stack, "create_api_key", "--organization", name, "--email", f"{abs(hash(name))}@oakvale.example")
    manage(stack, "seed_demo", "--organization", name, "--leads", str(LEADS))
    return Client(stack, secret.splitlines()[-1], name)


def manage(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), *arguments],
        env=environment(stack.home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout
