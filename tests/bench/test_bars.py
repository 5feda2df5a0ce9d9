"""Ratios are those of medians, and a bar holds only where it was set for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.bars import Bar, of_files, of_jobs, of_mails, of_searches, ratio
from bench.findings import Filing, Findings, Mailing, load
from bench.work import DELETE, NUMBER, STATUS
from tests.bench.sample import FILES, MAILS, findings


def bar_of(found: Findings, what: str) -> Bar:
    return next(bar for bar in [*of_jobs(found), *of_searches(found)] if bar.what == what)


def test_a_ratio_is_that_of_the_medians() -> None:
    assert ratio([9.0, 2.0, 1.0], [4.0, 4.0, 100.0]) == 0.5


@pytest.mark.parametrize(
    ("bar", "reached", "part"),
    [
        (Bar("a ratio", 0.65, 1.3), True, 0.5),
        (Bar("a ratio", 2.6, 1.3), False, 2.0),
        (Bar("exactly", 1.3, 1.3), True, 1.0),
        (Bar("faster", 60, 30, at_least=True), True, 0.5),
        (Bar("faster", 15, 30, at_least=True), False, 2.0),
    ],
)
def test_a_part_below_one_is_a_bar_that_is_reached(bar: Bar, reached: bool, part: float) -> None:
    assert bar.reached is reached
    assert bar.part == pytest.approx(part)


def test_a_value_without_a_bar_is_for_information() -> None:
    bar = Bar("for information", 7, None)
    assert bar.reached is None
    with pytest.raises(ValueError, match="has no bar"):
        _ = bar.part


def test_every_row_of_the_architecture_has_its_bar_at_a_million_leads() -> None:
    found = findings()
    told = {bar.what: bar.bar for bar in of_jobs(found)}
    assert told[f"{STATUS}, against one statement"] == 1.3
    assert told[f"{NUMBER}, against one statement"] == 1.3
    assert told[f"{DELETE}, against one statement"] == 1.5
    assert told["loading, against the bare selection"] == 2
    assert told[f"{DELETE}, faster than a task that saves each"] == 30
    assert told["memory of a worker, largest less smallest size"] == 20
    assert told["POST accepted, median of 3"] == 50
    assert told["pause returned, slowest of 2"] == 1000
    assert bar_of(found, "search: a word, first page").bar == 100
    assert bar_of(found, "search: a frequent word, first page").bar == 1000


def test_few_leads_are_not_held_to_the_bars_against_raw_sql() -> None:
    found = findings(largest=20_000)
    assert bar_of(found, f"{STATUS}, against one statement").bar is None
    assert bar_of(found, "loading, against the bare selection").bar is None
    assert bar_of(found, "search: a word, first page").bar is None
    assert bar_of(found, "POST accepted, median of 3").bar == 50


def test_only_the_largest_size_is_held_against_the_bars() -> None:
    assert sum(bar.what == f"{STATUS}, against one statement" for bar in of_jobs(findings())) == 1


def test_a_peer_is_extrapolated_lead_by_lead() -> None:
    found = findings()
    peer = found.peer_of(STATUS)
    assert peer is not None
    assert peer.save_each_for(6_000) == pytest.approx(3.8)
    assert peer.task_each_for(1_000_000) == pytest.approx(3_100)


def test_memory_is_compared_with_the_smallest_size() -> None:
    assert bar_of(findings(), "memory of a worker, largest less smallest size").measured == pytest.approx(1.5)


def test_mails_are_held_against_the_rates_of_the_plain_ways() -> None:
    loop, one_by_one = of_mails(MAILS)
    assert (loop.measured, loop.bar) == (pytest.approx(2.6 / 6), 0.4)
    assert (one_by_one.measured, one_by_one.bar) == (pytest.approx((10_000 / 6) / 1_000), 1)
    assert loop in of_jobs(findings())
    assert [bar.bar for bar in of_mails(replace(MAILS, n_mails=500))] == [None, None]


def test_files_are_held_against_copy_and_the_usual_package() -> None:
    bars = {bar.what: bar for bar in of_files(FILES)}
    assert bars["import, against COPY into the same tables"].measured == pytest.approx(2)
    assert bars["export as CSV, against COPY of the same"].measured == pytest.approx(2)
    bulk, one_by_one = (bar for what, bar in bars.items() if "django-import-export" in what)
    assert (bulk.measured, bulk.bar, bulk.reached) == (pytest.approx(3), 1, True)
    assert (one_by_one.measured, one_by_one.bar, one_by_one.reached) == (pytest.approx(15), 10, True)
    slow = next(bar for bar in of_files(FILES) if bar.what.startswith("memory of the exporting"))
    assert (slow.measured, slow.reached) == (pytest.approx(21), False)


def test_files_are_measured_without_the_usual_package_too() -> None:
    assert len(of_files(FILES)) - len(of_files(replace(FILES, peer=None))) == 2


@pytest.mark.parametrize("mails", [MAILS, None])
@pytest.mark.parametrize("files", [FILES, replace(FILES, peer=None), None])
def test_a_saved_run_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mails: Mailing | None, files: Filing | None
) -> None:
    monkeypatch.setattr("bench.findings.RESULTS", tmp_path / "results")
    found = replace(findings(), mails=mails, files=files)
    assert load(found.save()) == found


def test_a_run_of_before_mails_and_files_were_measured_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.findings.RESULTS", tmp_path / "results")
    file = findings().save()
    saved = json.loads(file.read_text())
    del saved["mails"], saved["files"]
    file.write_text(json.dumps(saved))
    assert (load(file).mails, load(file).files) == (None, None)
