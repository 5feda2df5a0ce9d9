"""The text part: what a person would read, with the variables in their places."""

from time import process_time

import pytest

from crm.mail.liquid import WrongSource
from crm.mail.plain_text import text_of_html, text_of_template


def test_variables_survive() -> None:
    body = (
        "<p>Hello {{ contact.first_name | default: 'there' }},</p>\n"
        '<p>see <a href="https://oakvale.example/?c={{ contact.email }}">this &amp; that</a>.</p>'
        "<ul><li>{{ lead.name }}<li>two</ul>"
    )
    assert text_of_template(body) == (
        "Hello {{ contact.first_name | default: 'there' }},\n\n"
        "see [this & that](https://oakvale.example/?c={{ contact.email }}).\n\n"
        "  * {{ lead.name }}\n  * two"
    )


def test_tags_stay_around_what_they_enclose() -> None:
    table = "<table>{% for x in a %}<tr><td>{{ x }}</td><td>b</td></tr>{% endfor %}</table>"
    assert text_of_template(table).split() == [
        "{%",
        "for",
        "x",
        "in",
        "a",
        "%}",
        "{{",
        "x",
        "}}",
        "b",
        "{%",
        "endfor",
        "%}",
    ]
    choice = "{% if a %}<p>A</p>{% else %}<p>B</p>{% endif %}"
    assert text_of_template(choice).split() == [
        "{%",
        "if",
        "a",
        "%}",
        "A",
        "{%",
        "else",
        "%}",
        "B",
        "{%",
        "endif",
        "%}",
    ]
    assert text_of_template("<p {% if a %}class='x'{% endif %}>Hi</p>") == "Hi", "those of an attribute go with it"


def test_tags_that_cross_the_html_are_refused() -> None:
    with pytest.raises(WrongSource, match="cross"):
        text_of_template("<p {% if a %}>Hi</p>{% endif %}")


def test_what_nobody_reads_is_left_out() -> None:
    page = (
        "<html><head><title>T</title><style>p { color: red }</style></head><body><!-- c --><p>Hi</p><script>1</script>"
    )
    assert text_of_html(page) == "Hi"
    assert text_of_html(page + "<p>x</p>" * 50_000).startswith("Hix"), "also in one that is too long to be laid out"


HOSTILE = {
    "deep": "<div>" * 20_000 + "{{ a }}",
    "lists": "<ul><li>" * 20_000 + "{{ a }}",
    "wide table": "<table><tr><td>" + "x" * 90_000 + "</td></tr>" + "<tr><td>y" * 10_000 + "</table>{{ a }}",
    "openings": "<" * 900_000 + "{{ a }}",
    "styles": "{{ a }}" + "<style>" * 120_000,
    "comments": "{{ a }}" + "<!--" * 200_000,
    "cells": "{{ a }}" + "<td " * 40_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_html_takes_little_and_loses_no_variable(body: str) -> None:
    began = process_time()
    made = text_of_template(body)
    assert process_time() - began < 10
    assert "{{ a }}" in made
    assert len(made) <= 2 * len(body)
