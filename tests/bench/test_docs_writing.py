"""The tool writes between its markers, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import docs, plots, tables
from bench.findings import IndexCost
from tests.bench.sample import FILES, MAILS, findings


def page_with(names: list[str]) -> str:
    return "# Page\n" + "\n".join(
        f"before {name}\n<!-- bench: {name} -->\nold\n<!-- end of {name} -->\nafter {name}" for name in names
    )


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = page_with(["one", "two"])
    assert docs.written_between(text, "two", "new\nlines") == text.replace(
        "<!-- bench: two -->\nold\n", "<!-- bench: two -->\nnew\nlines\n"
    )


def test_writing_twice_changes_nothing_more() -> None:
    once = docs.written_between(page_with(["one"]), "one", "new")
    assert docs.written_between(once, "one", "new") == once


@pytest.mark.parametrize("text", ["", "<!-- bench: one -->", "<!-- end of one --> <!-- bench: one -->"])
def test_a_missing_marker_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="no place for one"):
        docs.written_between(text, "one", "new")


def test_the_page_has_a_place_for_everything() -> None:
    text = docs.PAGE.read_text()
    for name in docs.contents(findings()):
        docs.written_between(text, name, "")


def test_nothing_is_written_to_a_page_without_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="no place for machine"):
        docs.write(findings(), page=page, images=tmp_path / "images")
    assert page.read_text() == "no markers"
    assert not (tmp_path / "images").exists()


def test_what_was_not_measured_is_left_as_it_stands(tmp_path: Path) -> None:
    found = replace(findings(), mails=None, files=None)
    page = tmp_path / "page.md"
    page.write_text(page_with([*docs.contents(found), "mails", "files"]))
    docs.write(found, page=page, images=tmp_path / "images")
    for name in ("mails", "files"):
        assert f"<!-- bench: {name} -->\nold\n<!-- end of {name} -->" in page.read_text()


def test_mails_can_be_written_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(page_with(["machine", "mails"]))
    docs.write_sections({"mails": tables.mails(MAILS)}, page=page)
    text = page.read_text()
    assert "<!-- bench: machine -->\nold\n" in text
    assert "| a bulk email, one delivery worker | 10,000 | **1,667** |" in text
    assert "Taken on 2031-03-16, load average 0.3 before; medians of 3." in text
    assert "| mails/s of a bulk email, against a loop over one connection | 0.43 x | at least 0.4 x | reached |" in text


def test_files_tell_whether_the_usual_package_was_there() -> None:
    text = tables.files(FILES)
    assert "| import of a CSV, every row new | 1,000,000 | 3 min | 5,000 |" in text
    assert "| django-import-export 4.3, bulk mode | 100,000 | 60.0 s | 1,667 |" in text
    assert "was not installed" not in text
    assert "django-import-export was not installed" in tables.files(replace(FILES, peer=None))


@pytest.mark.parametrize("largest", [20_000, 1_000_000])
def test_plots_are_drawn_and_named_by_the_page(tmp_path: Path, largest: int) -> None:
    found = findings(largest=largest)
    page = tmp_path / "page.md"
    page.write_text(page_with(list(docs.contents(found))))
    docs.write(found, page=page, images=tmp_path / "images")
    files = sorted(file.name for file in (tmp_path / "images").iterdir())
    names = ("growth", "ratios", "search")
    assert files == [f"bench-{name}.{ending}" for name in names for ending in ("png", "svg")]
    assert all(f"images/{file}" in page.read_text() for file in files)
    for file in (tmp_path / "images").glob("*.png"):
        assert file.read_bytes().startswith(b"\x89PNG")
    for file in (tmp_path / "images").glob("*.svg"):
        assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    first = [file.read_bytes() for file in plots.draw(findings(), tmp_path / "first")]
    assert [file.read_bytes() for file in plots.draw(findings(), tmp_path / "second")] == first


def test_a_table_has_its_numbers_to_the_right() -> None:
    assert tables.table(("what", "n"), [["a", "1"]]) == "| what | n |\n| --- | ---: |\n| a | 1 |"


def test_the_machine_its_load_and_the_day_are_told() -> None:
    found = findings()
    told = tables.told(found.machine, repeats=found.repeats, minutes=found.minutes)
    assert "on 2031-03-16 at revision 0a1b2c3: Oakvale X1, 2 cores, 24 GiB" in told
    assert "load average 0.12 at the start. Medians of 3" in told


def test_what_misses_its_bar_is_bold() -> None:
    lines = tables.searches(findings()).splitlines()
    assert "| * a phrase | 5 | 9 ms |  | **140 ms** |" in lines
    assert "| all, by name | 1,000,000 | **1,200 ms** | 1,156 ms | 72 ms |" in lines
    assert "**missed**" not in tables.ratios(findings())


def test_the_speed_up_and_the_time_for_a_lead_are_told_for_each_size() -> None:
    rows = [line for line in tables.growth(findings()).splitlines() if line.startswith("| delete")]
    assert [row.split(" | ")[1] for row in rows] == ["10,000", "100,000", "1,000,000"]
    assert all("1.70 x" in row for row in rows)


def test_index_costs_are_differences_from_the_first_row() -> None:
    costs = [
        IndexCost("as it is", {"status": 14.0, "delete": 5.0}, {"status": 1336.0, "delete": 234.0}),
        IndexCost("without it", {"status": 11.0, "delete": 4.9}, {"status": 1020.0, "delete": 234.0}),
    ]
    assert tables.index_costs(costs).splitlines()[2:] == [
        "| as it is | 14.0 us, 1,336 B | 5.0 us, 234 B |",
        "| without it | -3.0 us, -316 B |  |",
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.154, "0.15 s"), (9.96, "9.96 s"), (61.2, "61.2 s"), (3_100, "52 min"), (9_000, "2.5 h")]
)
def test_seconds_are_shown_with_the_digits_that_count(value: float, shown: str) -> None:
    assert tables.seconds(value) == shown
