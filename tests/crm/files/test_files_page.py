"""docs/files.md names every problem that a file or a row can have, and the limits as they are."""

import re

import pytest
from django.conf import settings

from config.home import PROJECT
from tests.test_docs import rows_of, words_in_code

PAGE = PROJECT / "docs/files.md"
SOURCE = "".join(file.read_text() for file in (PROJECT / "crm/files").glob("*.py"))


@pytest.mark.parametrize(
    ("heading", "made_by"), [("## Problems of a file", "FileProblem"), ("## Problems of a row", "Bad")]
)
def test_the_page_names_every_problem_and_no_other(heading: str, made_by: str) -> None:
    codes = set(re.findall(rf'\b{made_by}\(\s*"(\w+)"', SOURCE))
    if made_by == "FileProblem":
        codes |= set(re.findall(r'__init__\(\s*"(\w+)"', SOURCE))
    assert {word for row in rows_of(PAGE, heading)[1:] for word in words_in_code(row[0])} == codes


def test_the_limits_in_the_page_are_those_of_the_settings() -> None:
    told = {row[0].strip("`"): int(row[1].replace(",", "")) for row in rows_of(PAGE, "## Limits")[1:]}
    limits = {name for name in dir(settings) if name.startswith("FILE_MAX_")}
    assert told == {name: getattr(settings, name) for name in limits}
