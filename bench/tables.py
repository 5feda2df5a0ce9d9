"""The tables of docs/performance.md, as Markdown."""

from collections.abc import Iterable, Sequence
from statistics import median

from bench.bars import Bar, of_files, of_jobs, of_mails, of_searches, ratio
from bench.findings import Filing, Findings, IndexCost, Machine, Mailing, Measurement


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells of the first column to the left, all others to the right."""
    lines = [list(columns), ["---", *["---:"] * (len(columns) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def told(machine: Machine, *, repeats: int, minutes: float) -> str:
    """Where and when, in sentences."""
    return (
        f"Measured by `python -m bench --write-docs` on {machine.date[:10]} at revision {machine.revision}: "
        f"{machine.processor}, {machine.n_processors} cores, {machine.memory_gib} GiB of memory, {machine.system}, "
        f"Python {machine.python}, PostgreSQL {machine.postgres}; load average {machine.load:g} at the start. "
        f"Medians of {repeats}; the whole run took {minutes:.0f} minutes."
    )


def ratios(found: Findings) -> str:
    """Everything that is not a search, against its bar."""
    return _bars(f"{found.largest:,} leads", of_jobs(found))


def works(found: Findings) -> str:
    """Each work at the largest size: the engine, its floors and its peers."""
    rows = []
    for each in found.measurements:
        peer = found.peer_of(each.work)
        if each.n_leads == found.largest and peer is not None:
            engine = median(each.engine)
            rows.append(
                [
                    each.work,
                    f"**{seconds(engine)}**",
                    f"{each.n_leads / engine:,.0f}",
                    seconds(median(each.engine_alone)),
                    seconds(median(each.statement)),
                    seconds(median(each.chunks)),
                    seconds(peer.save_each_for(each.n_leads)),
                    seconds(peer.task_each_for(each.n_leads)),
                ]
            )
    columns = (f"{found.largest:,} leads", "two workers", "leads/s", "one worker", "one raw statement",
               "raw chunks, two processes", "a task that saves each", "a task per lead")  # fmt: skip
    return table(columns, rows)


def growth(found: Findings) -> str:
    """Microseconds a lead at every size, two workers, with what a second worker brings."""
    rows = [
        [
            each.work,
            f"{each.n_leads:,}",
            seconds(median(each.engine)),
            per_lead(each.engine, each),
            per_lead(each.engine_alone, each),
            per_lead(each.statement, each),
            f"{ratio(each.engine_alone, each.engine):.2f} x",
            f"{each.peak_mb:.0f} MB",
        ]
        for each in sorted(found.measurements, key=lambda each: (_place(found, each), each.n_leads))
    ]
    columns = ("work", "leads", "two workers", "us a lead", "one worker, us a lead", "one statement, us a lead",
               "faster by the second worker", "peak memory of a worker")  # fmt: skip
    return table(columns, rows)


def undo(found: Findings) -> str:
    """Undo, at the largest size of each work."""
    rows = [
        [
            each.work,
            seconds(median(each.undo)),
            f"{each.n_leads / median(each.undo):,.0f}",
            seconds(median(each.undo_statement)),
            f"{ratio(each.undo, each.undo_statement):.2f} x",
        ]
        for each in found.measurements
        if each.undo
    ]
    columns = (f"undo of, {found.largest:,} leads", "two workers", "leads/s", "one raw statement", "ratio")
    return table(columns, rows)


def calls(found: Findings) -> str:
    """What the API answers around a job."""
    called, n_leads = found.calls, found.largest
    streamed = median(called.stream)
    rows = [
        ["preview", seconds(median(called.preview))],
        ["preview that freezes its leads (`seal`)", seconds(median(called.sealed_preview))],
        ["all results as JSON lines", f"{seconds(streamed)}, {n_leads / streamed:,.0f} rows/s"],
        ["memory of a web process: idle, and at most while streaming",
         f"{called.web_idle_mb:.0f} MB, {called.web_peak_mb:.0f} MB"],
    ]  # fmt: skip
    return table((f"{n_leads:,} leads", "measured"), rows)


def searches(found: Findings) -> str:
    """Each query; what misses its bar is bold."""
    missed = {bar.what for bar in of_searches(found) if bar.reached is False}

    def cell(what: str, ms: float) -> str:
        return f"**{ms:,.0f} ms**" if what in missed else f"{ms:,.0f} ms"

    rows = [
        [
            f"* {each.query}" if each.is_indexed else each.query,
            f"{each.matches:,}",
            cell(f"search: {each.query}, first page", each.page_ms),
            f"{each.next_ms:,.0f} ms" if each.next_ms else "",
            cell(f"search: {each.query}, count of {each.matches:,}", each.count_ms),
        ]
        for each in found.searches
    ]
    return table((f"query, {found.n_search_leads:,} leads", "matches", "first page", "second page", "count"), rows)


def loadings(found: Findings) -> str:
    rows = [
        [each.query, seconds(median(each.loading)), seconds(median(each.selection)),
         f"{ratio(each.loading, each.selection):.2f} x"]
        for each in found.loadings
    ]  # fmt: skip
    columns = (f"targets of a job, {found.n_search_leads:,} leads", "loading", "bare selection", "ratio (bar 2 x)")
    return table(columns, rows)


def mails(found: Mailing) -> str:
    """When and under which load; mails in a second; both ratios."""
    rows = [
        ["a bulk email, one delivery worker", f"{found.n_mails:,}", f"**{found.job_rate:,.0f}**"],
        ["smtplib, one connection, messages made before", f"{found.n_mails:,}", f"{found.loop_rate:,.0f}"],
        ["Django's `send_mail`, a connection for each", f"{found.n_connections:,}", f"{found.send_mail_rate:,.0f}"],
    ]
    told = f"Taken on {found.date}, load average {round(found.load, 2):g} before; medians of {len(found.job)}."
    ratios = _bars(f"{found.n_mails:,} mails", of_mails(found))
    return f"{told}\n\n{table(('', 'mails', 'mails/s'), rows)}\n\n{ratios}"


def files(found: Filing) -> str:
    """When and under which load; rows in a second; the bars."""

    def row(what: str, n_rows: int, took: Sequence[float]) -> list[str]:
        return [what, f"{n_rows:,}", seconds(median(took)), f"{n_rows / median(took):,.0f}"]

    rows = [
        row("import of a CSV, every row new", found.n_rows, found.imported),
        row("of that, until the first row is merged", found.n_rows, found.reading),
        row("the same file again, every row known", found.n_rows, found.again),
        row("COPY into the same tables", found.n_rows, found.raw_in),
        row("export as CSV", found.n_rows, found.exported),
        row("COPY of the same to CSV", found.n_rows, found.raw_out),
        row("export as JSON lines", found.n_few, found.exported_few),
        row("BlueAI export of contacts, streamed", found.n_rows, found.streamed),
        row("import of a CSV, every row new", found.n_few, found.imported_few),
    ]
    if (peer := found.peer) is None:
        missing = "\n\ndjango-import-export was not installed: nothing was measured against it."
    else:
        rows.append(row(f"django-import-export {peer.version}, bulk mode", peer.n_rows, peer.bulk))
        rows.append(row(f"django-import-export {peer.version}, as it comes", peer.n_rows, peer.one_by_one))
        missing = ""
    told = f"Taken on {found.date}, load average {round(found.load, 2):g} before; medians of {len(found.imported)}."
    measured = table(("one bulk worker", "rows", "seconds", "rows/s"), rows)
    return f"{told}{missing}\n\n{measured}\n\n{_bars(f'{found.n_rows:,} rows', of_files(found))}"


def index_costs(costs: Sequence[IndexCost]) -> str:
    """The first as it is, all others as their difference from it; what lies within a twentieth is left out."""
    base, *others = costs
    rows = [[base.state, *(f"{us:.1f} us, {base.wal[name]:,.0f} B" for name, us in base.us.items())]]
    for each in others:
        rows.append(
            [
                each.state,
                *(
                    ", ".join(
                        filter(
                            None,
                            (_difference(each.us[name], us, "us", 1),
                             _difference(each.wal[name], base.wal[name], "B", 0)),
                        )
                    )
                    for name, us in base.us.items()
                ),
            ]
        )  # fmt: skip
    return table(("a lead", *base.us), rows)


def seconds(value: float) -> str:
    """`0.15 s`, `9.96 s`, `12 min`, `1.3 h`: two to three digits that count."""
    if value >= 5400:
        return f"{value / 3600:.1f} h"
    if value >= 120:
        return f"{value / 60:.0f} min"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def per_lead(values: Sequence[float], each: Measurement) -> str:
    return f"{median(values) / each.n_leads * 1e6:.1f}"


def _bars(title: str, bars: Iterable[Bar]) -> str:
    rows = []
    for bar in bars:
        limit = "" if bar.bar is None else f"at {'least' if bar.at_least else 'most'} {bar.bar:,g} {bar.unit}"
        verdict = {True: "reached", False: "**missed**", None: ""}[bar.reached]
        rows.append([bar.what, amount(bar), limit, verdict])
    return table((title, "measured", "bar", ""), rows)


def amount(bar: Bar) -> str:
    """`0.76 x`, `89 x`, `12 ms`."""
    digits = 2 if bar.unit == "MB" or (bar.unit == "x" and bar.measured < 10) else 0
    return f"{bar.measured:,.{digits}f} {bar.unit}"


def _place(found: Findings, measurement: Measurement) -> int:
    return list(dict.fromkeys(each.work for each in found.measurements)).index(measurement.work)


def _difference(value: float, base: float, unit: str, digits: int) -> str:
    if abs(value - base) < max(base / 20, 10**-digits / 2):
        return ""
    return f"{value - base:+,.{digits}f} {unit}"
