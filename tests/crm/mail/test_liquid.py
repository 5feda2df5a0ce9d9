"""The language of templates, and those who would do harm with it."""

from time import process_time

import pytest

from crm.mail.liquid import MAX_SOURCE, MAX_TAGS, CannotRender, WrongSource, check, compiled, rendered

VALUES = {"contact": {"first_name": "Ida <b>", "tags": ["x", "y"]}, "lead": {"name": "O & M"}, "many": [*range(9_000)]}


def text(source: str, *, html: bool = False, strict: bool = False) -> str:
    return rendered(compiled(source, html=html, strict=strict), VALUES)


def test_values_are_escaped_in_html_only() -> None:
    assert text("<i>{{ contact.first_name }}</i>", html=True) == "<i>Ida &lt;b&gt;</i>"
    assert text("<i>{{ contact.first_name }}</i>") == "<i>Ida <b></i>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ contact.first_name | append: '<i>' }}",
        "{{ '<i>' | append: contact.first_name }}",
        "{{ 'x' | replace: 'x', contact.first_name }}",
        "{{ contact.first_name | newline_to_br }}",
        "{{ contact.first_name | upcase | downcase | truncate: 40 }}",
        "{% capture a %}{{ contact.first_name }}{% endcapture %}{{ a | strip_newlines }}",
        "{{ contact.first_name | escape }}",
        "{{ contact.first_name | split: ' ' | join: ' ' }}",
        "{{ contact.none | default: contact.first_name }}",
    ],
)
def test_no_filter_lets_a_value_bring_html(source: str) -> None:
    assert "<b>" not in text(source, html=True).lower()


@pytest.mark.parametrize(
    "source",
    [
        "{{ contact.__class__ }}",
        "{{ contact.__class__.__mro__[1].__subclasses__ }}",
        "{{ contact['__init__']['__globals__'] }}",
        "{{ contact.first_name.__class__ }}",
        "{{ contact.items }}{{ contact.keys }}{{ contact.pop }}",
        "{{ contact.first_name.upper }}{{ contact.first_name.format }}",
        "{{ settings }}{{ request.user }}{{ self }}{{ env }}{{ template }}",
    ],
)
def test_walks_along_attributes_lead_nowhere(source: str) -> None:
    assert text(source) == ""


@pytest.mark.parametrize(
    ("source", "where", "what"),
    [
        ("Hi\n  {{ contact.name | shout }}", "Line 2, column 21", "Unknown filter 'shout'"),
        ("Hi {% include 'x' %}", "Line 1, column 7", "Unexpected tag 'include'"),
        ("{% render 'x' %}", "Line 1", "Unexpected tag 'render'"),
        ("{% if a %}\n{{ b", "Line 2, column 1", "never closed"),
        ("{% if a %}x", "Line 1", "endif"),
        ("{{ a b }}", "Line 1", ""),
        ("{{ a | safe }}", "Line 1", "Unknown filter 'safe'"),
        ("{% raw %}{{ a }}{% endraw %}", "Line 1, column 1", "Unexpected tag 'raw'"),
        ("{%%}", "Line 1", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(source: str, where: str, what: str) -> None:
    with pytest.raises(WrongSource) as problem:
        check(source, html=True)
    assert where in str(problem.value)
    assert what in str(problem.value)


HOSTILE = {
    "endless loop": "{% for i in (1..100000000000) %}x{% endfor %}",
    "endless reversed": "{% for i in (1..100000000000) reversed %}x{% endfor %}",
    "endless offset": "{% for i in (1..100000000000) offset: 99999999999 %}x{% endfor %}",
    "endless search": "{% unless a and (1..100000000000) contains 'x' %}{% endunless %}",
    "endless join": "{% if a %}{% else %}{{ a | default: (1..1000000000) | join: ',' }}{% endif %}",
    "endless case": "{% case 1 %}{% when (1..100000000000) %}x{% endcase %}",
    "endless capture": "{% capture a %}{% for i in (a..b) %}x{% endfor %}{% endcapture %}",
    "unclosed blank": "{{" + " " * 500_000,
    "blank in a tag": "{% if " + " " * 900 + "%}{% endif %}",
    "many raws": "{% raw %}" * 100_000,
    "many raws in a comment": "{% comment %}" + "{% raw %}" * 100_000,
    "many docs": "{% doc %}" * 100_000,
    "many openings": "{{" * 400_000,
    "long tag": "{{ a" + "[a" * 5_000 + "}}",
    "deep blocks": "{% if a %}" * 500 + "{% endif %}" * 500,
    "too long": "x" * (MAX_SOURCE + 1),
    "too many tags": "{{ a }}" * (MAX_TAGS + 1),
    "nested brackets": "{{ " + "a[" * 400 + "a" + "]" * 400 + " }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_sources_are_refused_at_once(source: str) -> None:
    began = process_time()
    with pytest.raises((WrongSource, CannotRender)):
        text(source)
    assert process_time() - began < 5


GREEDY = {
    "nested loops": "{% for i in many %}{% for j in many %}x{% endfor %}{% endfor %}",
    "loops in a row": "{% for i in many %}x{% endfor %}" * 10,
    "slow loop": "{% for i in many %}" + "{{ 'abc' | upcase | downcase | squish }}" * 900 + "{% endfor %}",
    "silent loop": "{% for i in many %}" + "{{ a }}" * 4_000 + "{% endfor %}",
    "huge output": "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 13 + "{{ a }}" * 400,
    "doubling": "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 60,
    "multiplying": "{{ 'xxxxxxxxxx'" + " | replace: 'x', 'xxxxxxxxxx'" * 12 + " }}",
    "growing number": "{% assign a = 99999999 %}" + "{% assign a = a | times: a %}" * 40,
    "hoarding": "{% assign a = 'xxxxxxxxxx' %}"
    + "{% assign a = a | append: a %}" * 13
    + "".join(f"{{% assign b{i} = a %}}" for i in range(100)),
    "hoarding captures": "{% for i in many %}{% capture a %}" + "x" * 10_000 + "{% endcapture %}{% endfor %}",
    "infinity": "{{ '1e999999' | floor }}",
    "division": "{{ 1 | divided_by: 0 }}",
    "long format": "{{ 'now' | date: '" + "%c" * 200 + "' }}",
}


@pytest.mark.parametrize("source", GREEDY.values(), ids=GREEDY.keys())
def test_greedy_templates_are_stopped(source: str) -> None:
    began = process_time()
    with pytest.raises(CannotRender):
        text(source)
    assert process_time() - began < 10


def test_a_missing_value_is_nothing_or_stops_it() -> None:
    source = "Dear {{ contact.title }}"
    assert text(source) == "Dear "
    with pytest.raises(CannotRender, match=r"contact\.title has no value \(line 1\)") as problem:
        text(source, strict=True)
    assert problem.value.code == "missing_value"
    for asks in (
        "{{ contact.title | default: 'x' }}",
        "{% if contact.title %}y{% else %}x{% endif %}",
        "{% unless contact.title %}x{% endunless %}",
        "{% if contact.title == 'Dr' %}y{% else %}x{% endif %}",
    ):
        assert text(asks, strict=True) == "x"
    for uses in ("{{ contact.title | upcase }}", "{% for x in contact.title %}{% endfor %}", "{{ nobody.name }}"):
        with pytest.raises(CannotRender):
            text(uses, strict=True)
