"""A run of the benchmark as it could have been, on a million leads."""

from bench.findings import (
    Calls,
    FilePeer,
    Filing,
    Findings,
    IndexCost,
    Loaded,
    Machine,
    Mailing,
    Measurement,
    Peer,
    Searched,
)
from bench.work import DELETE, NUMBER, STATUS, TEXT

SIZES = (10_000, 100_000, 1_000_000)
_US = {STATUS: 10.0, NUMBER: 7.2, DELETE: 7.0, TEXT: 60.0}  # a lead
MACHINE = Machine(
    date="2031-03-16T09:30:00+00:00",
    revision="0a1b2c3",
    processor="Oakvale X1",
    n_processors=2,
    memory_gib=24,
    system="Debian 12",
    python="3.11.2",
    postgres="18.4",
    load=0.12,
)
MAILS = Mailing(10_000, 2_000, "2031-03-16", 0.3, job=[6.0, 5.0, 9.0], loop=[2.7, 2.5, 2.6], send_mail=[2.0, 1.9, 2.2])

FILES = Filing(
    1_000_000, 100_000, "2031-03-16", 0.2, imported=[200.0, 190.0, 210.0], reading=[40.0, 38.0, 41.0], again=[150.0],
    raw_in=[100.0], exported=[40.0, 39.0, 42.0], raw_out=[20.0], imported_few=[20.0], exported_few=[30.0],
    streamed=[25.0], first_byte=[0.05], merged=[0.2], merged_again=[0.3], worker_few_mb=120.0, worker_mb=124.0,
    files_few_mb=110.0, files_mb=131.0, web_idle_mb=98.0, web_mb=104.0,
    peer=FilePeer(100_000, "4.3", bulk=[60.0], one_by_one=[300.0]),
)  # fmt: skip


def findings(*, largest: int = 1_000_000) -> Findings:
    """All that a run finds, up to this size."""
    sizes = [size for size in SIZES if size < largest] + [largest]
    return Findings(
        machine=MACHINE,
        repeats=3,
        minutes=24.0,
        small_peak_mb=110.0,
        measurements=[
            _measurement(work, n_leads, largest)
            for n_leads in sizes
            for work in _US
            if work != TEXT or n_leads <= 100_000
        ],
        peers=[Peer(work, 3_000, [1.9, 1.8, 2.4], [9.3, 9.0, 9.6]) for work in (STATUS, NUMBER, DELETE)],
        calls=Calls([0.012, 0.011, 0.013], [0.054, 0.04], [0.9], [1.6], [14.0], 98.0, 104.0),
        n_search_leads=largest,
        searches=[
            Searched("a word", True, 10.0, 0.0, 9.0, 81),
            Searched("a phrase", True, 9.0, 0.0, 140.0, 5),
            Searched("a frequent word", False, 16.0, 17.0, 728.0, 30_820),
            Searched("all, by name", False, 1_200.0, 1_156.0, 72.0, 1_000_000),
        ],
        loadings=[Loaded("a status", [0.40, 0.42, 0.44], [0.20, 0.21, 0.22])],
        index_costs=[
            IndexCost("all indexes, as they are", {STATUS: 14.0, DELETE: 5.0}, {STATUS: 1336.0, DELETE: 234.0}),
            IndexCost("without `lead_deleted`", {STATUS: 13.9, DELETE: 4.5}, {STATUS: 1336.0, DELETE: 174.0}),
        ],
        mails=MAILS,
        files=FILES,
    )


def _measurement(work: str, n_leads: int, largest: int) -> Measurement:
    engine = 0.05 + _US[work] * n_leads / 1e6
    statement = 1.3 * (engine - 0.05)
    made = Measurement(
        work, n_leads, engine=[engine, engine * 0.9, engine * 2], engine_alone=[engine * 1.7], statement=[statement]
    )
    made.peak_mb = 111.5
    if work == STATUS:
        made.loading, made.selection = [0.8], [1.0]
    if n_leads == largest:
        made.chunks, made.undo, made.undo_statement = [engine * 1.1], [engine * 1.4], [statement * 1.2]
    return made
