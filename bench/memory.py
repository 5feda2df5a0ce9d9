"""The peak memory of the bulk worker processes, sampled while something runs."""

import threading
from types import TracebackType

import psutil

SAMPLE_SECONDS = 0.05
RESCAN_SAMPLES = 20  # worker children are replaced now and then


class WorkerMemory:
    """A context manager; afterwards `peak_mb` is the largest resident size that one bulk worker process had.

    Workers are those below this process in the process tree whose environment says `DROVER_ROLE=worker`.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "WorkerMemory":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        workers: list[psutil.Process] = []
        n = 0
        while not self._stop.wait(SAMPLE_SECONDS):
            if n % RESCAN_SAMPLES == 0:
                workers = _workers()
            n += 1
            for worker in workers:
                try:
                    self.peak_mb = max(self.peak_mb, worker.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    continue


def _workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.environ().get("DROVER_ROLE") == "worker":
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
