"""The examples and numbers of docs/templates.md."""

import re

import pytest

from config.home import PROJECT
from crm.mail import liquid, liquid_filters
from crm.mail.contexts import Fields, Several
from crm.mail.liquid import compiled, rendered
from crm.mail.render import LONGEST_SUBJECT
from crm.templates import LONGEST_SUBJECT as LONGEST_SUBJECT_SOURCE

PAGE = (PROJECT / "docs" / "templates.md").read_text()
EXAMPLES = re.findall(r"```liquid\n(.*?)\n```\n```result\n(.*?)\n```", PAGE, flags=re.DOTALL)
VALUES = {
    "contact": Fields(name="Ida Moss", first_name="Ida", last_name="Moss"),
    "lead": Fields(
        display_name="Oakvale Mills",
        status_label="Potential",
        custom={"Industry": "Textiles", "industry": "Textiles", "Markets": Several(["Norway", "Japan"])},
    ),
    "user": Fields(name="Jo Field"),
    "organization": Fields(name="Elm & Co"),
}


@pytest.mark.parametrize(("source", "result"), EXAMPLES)
def test_the_examples_give_what_the_page_says(source: str, result: str) -> None:
    assert rendered(compiled(source, html=source.startswith("<"), strict=False), VALUES) == result


def test_the_page_names_every_filter_and_the_limits() -> None:
    section = PAGE.partition("## Filters\n")[2].partition("```")[0]
    assert set(re.findall(r"`(\w+)`", section)) == set(liquid_filters.FILTERS)
    limits = PAGE.partition("## Limits\n")[2]
    assert LONGEST_SUBJECT == LONGEST_SUBJECT_SOURCE
    for number in (
        LONGEST_SUBJECT, liquid.MAX_SOURCE, liquid.MAX_TAGS, liquid.MAX_TAG, liquid.MAX_DEPTH, liquid.MAX_ITERATIONS,
        liquid_filters.MAX_VALUE, liquid.MAX_OUTPUT, liquid.CPU_SECONDS,
    ):  # fmt: skip
        assert f" {number:,}" in limits
