"""The bars of docs/architecture.md, and how far what was measured is from them."""

from dataclasses import dataclass
from statistics import median

from bench.findings import Filing, Findings, Mailing, Measurement
from bench.work import DELETE, NUMBER, STATUS

BAR_LEADS = 1_000_000  # the bars against raw SQL are set for this size; a small job also waits for its doorbell
BAR_OF_WORK = {STATUS: 1.3, NUMBER: 1.3, DELETE: 1.5}
INDEXED_MS, OTHER_MS = 100, 1000
BAR_FILE_ROWS = 1_000_000
BAR_PEER_ROWS, BAR_OF_BULK, BAR_OF_ONE_BY_ONE = 100_000, 1, 10
BAR_MAILS, BAR_OF_LOOP = 10_000, 0.4  # with few mails the way to the workers and back counts for more than they do


@dataclass(frozen=True)
class Bar:
    """One measured value against what it must reach; a bar of None: for information."""

    what: str
    measured: float
    bar: float | None
    unit: str = "x"
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        if self.bar is None:
            return None
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar

    @property
    def part(self) -> float:
        """How much of the bar was used: 1 is just reached, less is better. Only where there is one."""
        if self.bar is None:
            raise ValueError(f"{self.what} has no bar.")
        return self.bar / self.measured if self.at_least else self.measured / self.bar


def ratio(these: list[float], those: list[float]) -> float:
    """Of the medians."""
    return median(these) / median(those)


def of_jobs(found: Findings) -> list[Bar]:
    """Those of the works and of the calls, at the largest size, in the order of the list in docs/architecture.md."""
    largest = [each for each in found.measurements if each.n_leads == found.largest]
    against_sql = [
        Bar(f"{each.work}, against one statement", ratio(each.engine, each.statement), _if_large(each, each.work))
        for each in largest
    ]
    loaded = [
        Bar("loading, against the bare selection", ratio(each.loading, each.selection), 2 if _large(each) else None)
        for each in largest
        if each.selection
    ]
    against_peers = []
    for each in largest:
        peer = found.peer_of(each.work)
        if peer is not None:
            engine = median(each.engine)
            once, one_by_one = peer.save_each_for(each.n_leads) / engine, peer.task_each_for(each.n_leads) / engine
            against_peers.append(Bar(f"{each.work}, faster than a task that saves each", once, 30, at_least=True))
            against_peers.append(Bar(f"{each.work}, faster than a task per lead", one_by_one, None, at_least=True))
    called = _of_calls(found, max(each.peak_mb for each in largest))
    return [*against_sql, *loaded, *against_peers, *called, *(of_mails(found.mails) if found.mails else [])]


def of_mails(found: Mailing) -> list[Bar]:
    """Bulk email against the two ways to send the same messages."""
    large = found.n_mails >= BAR_MAILS
    return [
        Bar("mails/s of a bulk email, against a loop over one connection", found.job_rate / found.loop_rate,
            BAR_OF_LOOP if large else None, at_least=True),
        Bar("mails/s of a bulk email, against `send_mail`", found.job_rate / found.send_mail_rate,
            1 if large else None, at_least=True),
    ]  # fmt: skip


def of_files(found: Filing) -> list[Bar]:
    """Imports and exports against raw COPY and the usual package, and the calls that stream or merge."""
    large = found.n_rows >= BAR_FILE_ROWS
    made = [
        Bar("import, against COPY into the same tables", ratio(found.imported, found.raw_in), None),
        Bar("export as CSV, against COPY of the same", ratio(found.exported, found.raw_out), None),
        Bar(f"memory of the importing worker, more rows less {found.n_few:,}", found.worker_mb - found.worker_few_mb,
            20 if large else None, unit="MB"),
        Bar(f"memory of the exporting worker, more rows less {found.n_few:,}", found.files_mb - found.files_few_mb,
            20 if large else None, unit="MB"),
        Bar("BlueAI export, first byte", median(found.first_byte) * 1000, 300 if large else None, unit="ms"),
        Bar("memory of a web process, streaming less idle", found.web_mb - found.web_idle_mb, 20 if large else None,
            unit="MB"),
        Bar("gomega, 500 new leads in a call", median(found.merged) * 1000, 1000, unit="ms"),
        Bar("gomega, 500 known leads in a call", median(found.merged_again) * 1000, 1000, unit="ms"),
    ]  # fmt: skip
    if (peer := found.peer) is None:
        return made
    bulk, one_by_one = (BAR_OF_BULK, BAR_OF_ONE_BY_ONE) if peer.n_rows >= BAR_PEER_ROWS else (None, None)
    return [
        *made,
        Bar("import, faster than django-import-export in bulk mode", ratio(peer.bulk, found.imported_few), bulk,
            at_least=True),
        Bar("import, faster than django-import-export as it comes", ratio(peer.one_by_one, found.imported_few),
            one_by_one, at_least=True),
    ]  # fmt: skip


def _of_calls(found: Findings, peak_mb: float) -> list[Bar]:
    calls = found.calls
    made = [
        Bar("memory of a worker, largest less smallest size", peak_mb - found.small_peak_mb, 20, unit="MB"),
        Bar(f"POST accepted, median of {len(calls.accept)}", median(calls.accept) * 1000, 50, unit="ms"),
    ]
    if calls.pause:  # none where the job was over before it could be paused
        made.append(Bar(f"pause returned, slowest of {len(calls.pause)}", max(calls.pause) * 1000, 1000, unit="ms"))
    return made


def of_searches(found: Findings) -> list[Bar]:
    """Each query's first page and count, and the loading of some."""
    large = found.n_search_leads >= BAR_LEADS
    made = []
    for each in found.searches:
        bar = (INDEXED_MS if each.is_indexed else OTHER_MS) if large else None
        made.append(Bar(f"search: {each.query}, first page", each.page_ms, bar, unit="ms"))
        made.append(Bar(f"search: {each.query}, count of {each.matches:,}", each.count_ms, bar, unit="ms"))
    return made + [
        Bar(f"loading {each.query}", ratio(each.loading, each.selection), 2 if large else None)
        for each in found.loadings
    ]


def _large(each: Measurement) -> bool:
    return each.n_leads >= BAR_LEADS


def _if_large(each: Measurement, work: str) -> float | None:
    return BAR_OF_WORK.get(work) if _large(each) else None
