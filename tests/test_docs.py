"""What the documentation names exists: variables, files, addresses, dependencies, log events, numbers."""

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import get_resolver, resolve

from bulk_actions.retention import PIECE
from config.home import PROJECT
from crm.idempotency import DAYS

PACKAGES = ("config", "crm", "search", "bulk_actions")
PAGES = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")])
ROOTS = (*PACKAGES, "tests", "bench", "docs")

# Set by whoever starts Python or Django, for them.
NOT_OURS = {"DJANGO_SETTINGS_MODULE", "PATH", "PYTHONUNBUFFERED"}


def sources() -> Iterator[str]:
    for package in PACKAGES:
        for file in (PROJECT / package).rglob("*.py"):
            yield file.read_text()


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their first row."""
    section = f"\n{page.read_text()}".partition(f"\n{heading}\n")[2]
    section = re.split(r"\n#+ ", section)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def served_views(prefix: str = "api/v1/") -> set[type]:
    included = [entry for entry in get_resolver().url_patterns if str(entry.pattern) == prefix]
    return {entry.callback.view_class for group in included for entry in group.url_patterns}


def words_in_code(text: str) -> list[str]:
    """What stands between backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def test_the_settings_table_names_every_variable_that_the_code_reads_and_no_other() -> None:
    reads = re.compile(r'(?:env\.\w+|whole_number|environ\.get)\(\s*"([A-Z_]+)"')
    read = set(chain.from_iterable(reads.findall(source) for source in sources())) - NOT_OURS
    told = {row[0].strip("`") for row in rows_of(PROJECT / "README.md", "## Settings")} - {"Variable"}
    assert told == read


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
    named = [word for word in words_in_code(text) if re.fullmatch(rf"(?:{'|'.join(ROOTS)})/[\w./-]*", word)]
    assert [word for word in named if not (PROJECT / word).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text())
    assert [
        (file, name)
        for file, name in named
        if not (PROJECT / file).exists() or f"\ndef {name}(" not in (PROJECT / file).read_text()
    ] == []


def test_every_promise_names_a_test_that_shows_it() -> None:
    page = (PROJECT / "docs/guarantees.md").read_text().partition("## Exactly once")[2].partition("## Not promised")[0]
    promises = re.split(r"\n(?= *- )", page)[1:]
    told_above = "The tests named above"
    headings = "whatever ends or stops:"  # the promise that the list below it breaks up
    assert [p for p in promises if "::test_" not in p and told_above not in p and headings not in p] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {word.split()[1] for word in words_in_code(page.read_text()) if re.fullmatch(r"make [a-z-]+", word)}
    assert named <= targets


def test_every_dependency_is_justified_and_nothing_else() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = chain(project["project"]["dependencies"], *project["dependency-groups"].values())
    names = {re.split(r"[\[=<>;\s]", requirement)[0] for requirement in wanted}
    rows = rows_of(PROJECT / "docs/decisions/0002-dependencies.md", "## Choice")
    assert {row[0].strip("`") for row in rows} - {"Runs the service", "Tests and tools"} == names


def test_the_log_table_names_every_event_and_no_other() -> None:
    events = re.compile(r'\blog\.(?:debug|info|warning|error|exception)\(\s*"([\w.]+)"')
    logged = set(chain.from_iterable(events.findall(source) for source in sources()))
    rows = rows_of(PROJECT / "docs/operations.md", "## Logs")
    assert set(chain.from_iterable(words_in_code(row[0]) for row in rows)) == logged


def test_the_table_of_operations_names_every_address_that_is_served_and_no_other() -> None:
    told: dict[type, set[str]] = {}
    for paths, methods, *_ in rows_of(PROJECT / "docs/api-compatibility.md", "# Compatibility with Close's API")[1:]:
        for path in words_in_code(paths):
            if not path.endswith("..."):
                tried = path.replace("{lead, contact or opportunity}", "lead").replace("{id}", "x")
                told[resolve(f"/api/v1/{tried}").func.view_class] = set(methods.split(", "))
    assert told == {
        view: {method.upper() for method in ("get", "post", "put", "delete") if hasattr(view, method)}
        for view in served_views()
    }


def test_the_table_of_gomega_names_every_address_that_is_served_and_no_other() -> None:
    told: dict[type, set[str]] = {}
    for path, methods, *tests in rows_of(PROJECT / "docs/api-compatibility.md", "## gomega")[1:]:
        if "tests/" in str(tests):
            tried = f"/api/agents/crm/{words_in_code(path)[0].replace('{id}', 'x')}/"
            told[resolve(tried).func.view_class] = set(methods.split(", "))
    assert told == {
        view: {method.upper() for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)}
        for view in served_views("api/agents/crm/")
    }


def test_the_table_of_blueai_names_every_address_that_is_served_and_no_other() -> None:
    told: dict[type, set[str]] = {}
    for paths, methods, *tests in rows_of(PROJECT / "docs/api-compatibility.md", "## BlueAI")[1:]:
        for path in words_in_code(paths) if "tests/" in str(tests) else []:
            told[resolve(f"/api/v1{path.replace('{id}', 'x')}/").func.view_class] = set(methods.split(", "))
    me = resolve("/api/v1/me/").func.view_class  # shared with Close
    served = served_views("api/v1/crm/") | served_views("api/v1/auth/") | served_views("api/v1/api-keys/") | {me}
    assert told == {
        view: {method.upper() for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)}
        for view in served
    }


def test_the_numbers_in_the_pages_are_those_of_the_settings() -> None:
    operations = " ".join((PROJECT / "docs/operations.md").read_text().split())
    architecture = " ".join((PROJECT / "docs/architecture.md").read_text().split())
    assert f"its organization has {settings.BULK_MAX_RUNNING_PER_ORGANIZATION} jobs running" in operations
    assert f"removes leads that were marked as deleted more than {settings.LEAD_PURGE_DAYS} days ago" in operations
    assert f"| {settings.BULK_LEDGER_DAYS} days after the job's end |" in operations
    assert f"| what is noted of mail that came in | after {settings.INBOUND_MAIL_DAYS} days;" in operations
    assert f"at most {PIECE:,} a minute" in operations
    assert f"with a limit of {settings.METRICS_STATEMENT_TIMEOUT_SECONDS} s for each statement" in operations
    assert f"`Idempotency-Key` | after {DAYS} days |" in operations
    assert f"A stopping worker gets {settings.WORKER_STOP_GRACE_SECONDS} s" in operations
    assert f"works on one job for {settings.BULK_SLICE_SECONDS} s" in architecture
    assert f"({settings.BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT} s when another job runs too)" in architecture
    assert f"into batches of {settings.BULK_STORED_BATCH:,} ids" in architecture
    assert f"A chunk of at most {settings.MAIL_CHUNK} due mails" in architecture
    assert f"one in each of {settings.EXPORT_WRITERS} threads" in architecture
    limits = f"| worker | {settings.WORKER_IDLE_IN_TRANSACTION_SECONDS} s | {settings.WORKER_TRANSACTION_SECONDS} s;"
    assert limits in architecture
