"""What one run of the benchmark found: all that its tables, its plots and its file of results are made of."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Machine:
    """Where and when. `load`: the average of the last minute, just before the run."""

    date: str
    revision: str
    processor: str
    n_processors: int
    memory_gib: int
    system: str
    python: str
    postgres: str
    load: float


@dataclass
class Measurement:
    """All repeats of one work at one size, in seconds. Empty lists: not measured at this size."""

    work: str
    n_leads: int
    engine: list[float] = field(default_factory=list)  # two worker processes
    engine_alone: list[float] = field(default_factory=list)  # one
    statement: list[float] = field(default_factory=list)
    chunks: list[float] = field(default_factory=list)
    undo: list[float] = field(default_factory=list)
    undo_statement: list[float] = field(default_factory=list)
    loading: list[float] = field(default_factory=list)
    selection: list[float] = field(default_factory=list)
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Peer:
    """What the plain ways took for one work on `n_leads` leads, in seconds."""

    work: str
    n_leads: int
    save_each: list[float]
    task_each: list[float]

    def save_each_for(self, n_leads: int) -> float:
        """Extrapolated, as it goes lead by lead."""
        return median(self.save_each) * n_leads / self.n_leads

    def task_each_for(self, n_leads: int) -> float:
        return median(self.task_each) * n_leads / self.n_leads


@dataclass(frozen=True)
class Calls:
    """Seconds of each call at the largest size, and the peak memory of the web processes while results streamed."""

    accept: list[float]
    pause: list[float]
    preview: list[float]
    sealed_preview: list[float]
    stream: list[float]
    web_idle_mb: float
    web_peak_mb: float


@dataclass(frozen=True)
class Searched:
    """Milliseconds, medians: of the first page of 100, of the second (0: there is none), of the count."""

    query: str
    is_indexed: bool
    page_ms: float
    next_ms: float
    count_ms: float
    matches: int


@dataclass(frozen=True)
class Loaded:
    """Seconds in which a job loads the targets of a query, and of the bare selection."""

    query: str
    loading: list[float]
    selection: list[float]


@dataclass(frozen=True)
class IndexCost:
    """Microseconds and bytes of write-ahead log for one lead, by the name of the work, when all is as `state` says."""

    state: str
    us: dict[str, float]
    wal: dict[str, float]


@dataclass(frozen=True)
class Mailing:
    """Seconds of a bulk email to `n_mails` people, of a loop that sends the same messages over one connection, and of
    `send_mail` with a connection for each of `n_connections` of them. `load`: just before."""

    n_mails: int
    n_connections: int
    date: str
    load: float
    job: list[float]
    loop: list[float]
    send_mail: list[float]

    @property
    def job_rate(self) -> float:
        """Mails in a second, as are the two others."""
        return self.n_mails / median(self.job)

    @property
    def loop_rate(self) -> float:
        return self.n_mails / median(self.loop)

    @property
    def send_mail_rate(self) -> float:
        return self.n_connections / median(self.send_mail)


@dataclass(frozen=True)
class FilePeer:
    """Seconds of `django-import-export` for `n_rows` leads without contacts: by `bulk_create`, and as it comes."""

    n_rows: int
    version: str
    bulk: list[float]
    one_by_one: list[float]


@dataclass(frozen=True)
class Filing:
    """Imports and exports of `n_rows` rows, one bulk worker; each number is seconds. `n_few` rows: what is measured
    against the peer, and JSON. `reading`: the part of `imported` before the first row was merged. `again`: the same
    file once more, every row of which finds its lead. `merged`: calls of 500 rows each. Megabytes are peaks.
    """

    n_rows: int
    n_few: int
    date: str
    load: float
    imported: list[float]
    reading: list[float]
    again: list[float]
    raw_in: list[float]
    exported: list[float]
    raw_out: list[float]
    imported_few: list[float]
    exported_few: list[float]
    streamed: list[float]
    first_byte: list[float]
    merged: list[float]
    merged_again: list[float]
    worker_few_mb: float
    worker_mb: float
    files_few_mb: float
    files_mb: float
    web_idle_mb: float
    web_mb: float
    peer: FilePeer | None = None  # its package was not there


@dataclass(frozen=True)
class Findings:
    """One run. `small_peak_mb`: the peak memory of the bulk workers at the smallest size."""

    machine: Machine
    repeats: int
    minutes: float
    small_peak_mb: float
    measurements: list[Measurement]
    peers: list[Peer]
    calls: Calls
    n_search_leads: int
    searches: list[Searched]
    loadings: list[Loaded]
    index_costs: list[IndexCost]
    mails: Mailing | None = None  # runs of before had none
    files: Filing | None = None

    @property
    def largest(self) -> int:
        return max(each.n_leads for each in self.measurements)

    def of(self, work: str) -> list[Measurement]:
        """Those of one work, smallest first."""
        return sorted((each for each in self.measurements if each.work == work), key=lambda each: each.n_leads)

    def peer_of(self, work: str) -> Peer | None:
        return next((peer for peer in self.peers if peer.work == work), None)

    def save(self) -> Path:
        """Write all of it to a new file in `bench/results` and return its path."""
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{self.machine.date.replace(':', '').replace('+0000', 'Z')}.json"
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return file


def load(file: Path) -> Findings:
    """What `save` has written."""
    found = json.loads(file.read_text())
    return Findings(
        **{
            **found,
            "machine": Machine(**found["machine"]),
            "measurements": [Measurement(**each) for each in found["measurements"]],
            "peers": [Peer(**each) for each in found["peers"]],
            "calls": Calls(**found["calls"]),
            "searches": [Searched(**each) for each in found["searches"]],
            "loadings": [Loaded(**each) for each in found["loadings"]],
            "index_costs": [IndexCost(**each) for each in found["index_costs"]],
            "mails": Mailing(**found["mails"]) if found.get("mails") else None,
            "files": _filing(found.get("files")),
        }
    )


def _filing(found: dict | None) -> Filing | None:
    if not found:
        return None
    return Filing(**{**found, "peer": FilePeer(**found["peer"]) if found["peer"] else None})
