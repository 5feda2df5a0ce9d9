"""`python -m bench.docs [FILE]`: write the tables and plots of a run (the newest one) into the documentation.

The tool owns what stands between the markers of docs/performance.md, and the files in docs/images; the rest is prose.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from bench import plots, tables
from bench.findings import RESULTS, Findings, load
from config.home import PROJECT

PAGE = PROJECT / "docs" / "performance.md"
IMAGES = PROJECT / "docs" / "images"


def write(found: Findings, *, page: Path = PAGE, images: Path = IMAGES) -> None:
    """Raises `ValueError` for a page without a marker that is wanted, before anything is written."""
    text = _with(page.read_text(), contents(found))
    plots.draw(found, images)
    page.write_text(text)


def write_sections(sections: Mapping[str, str], *, page: Path = PAGE) -> None:
    """Write these alone. Raises as `write` does."""
    page.write_text(_with(page.read_text(), sections))


def _with(text: str, sections: Mapping[str, str]) -> str:
    for name, content in sections.items():
        text = written_between(text, name, content)
    return text


def contents(found: Findings) -> dict[str, str]:
    """What stands between the markers, by their names. What was not measured is left as it stands."""
    return {
        "machine": tables.told(found.machine, repeats=found.repeats, minutes=found.minutes),
        "ratios": f"{_image('ratios', 'What was measured, as a part of its bar')}\n\n{tables.ratios(found)}",
        "works": tables.works(found),
        "growth": f"{_image('growth', 'Seconds against the number of leads')}\n\n{tables.growth(found)}",
        "undo": tables.undo(found),
        "calls": tables.calls(found),
        "searches": f"{_image('search', 'Milliseconds of each query')}\n\n{tables.searches(found)}",
        "loadings": tables.loadings(found),
        "index-costs": tables.index_costs(found.index_costs),
        **({"mails": tables.mails(found.mails)} if found.mails else {}),
        **({"files": tables.files(found.files)} if found.files else {}),
    }


def written_between(text: str, name: str, content: str) -> str:
    """The text with new content between `<!-- bench: name -->` and `<!-- end of name -->`. Raises `ValueError`."""
    begin, end = f"<!-- bench: {name} -->", f"<!-- end of {name} -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"The page has no place for {name}: {begin} and {end} are missing.")
    return f"{before}{begin}\n{content}\n{end}{after}"


def _image(name: str, says: str) -> str:
    return f"[![{says}](images/bench-{name}.png)](images/bench-{name}.svg)"


if __name__ == "__main__":
    files = [Path(sys.argv[1])] if len(sys.argv) > 1 else sorted(RESULTS.glob("*.json"))
    if not files:
        sys.exit("There are no results yet: run `python -m bench`.")
    write(load(files[-1]))
