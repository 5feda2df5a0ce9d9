"""The peak memory of the processes of one role, sampled while something runs."""

import threading
from types import TracebackType

import psutil

SAMPLE_SECONDS = 0.05
RESCAN_SAMPLES = 20  # children are replaced now and then


class Memory:
    """A context manager; afterwards `peak_mb` is the largest resident size that one process of the role had.

    Those are the ones below this process in the process tree whose environment says `DROVER_ROLE`.
    """

    def __init__(self, role: str = "worker") -> None:
        self._role = role
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        processes: list[psutil.Process] = []
        n = 0
        while not self._stop.wait(SAMPLE_SECONDS):
            if n % RESCAN_SAMPLES == 0:
                processes = _processes(self._role)
            n += 1
            for process in processes:
                try:
                    self.peak_mb = max(self.peak_mb, process.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    continue


def _processes(role: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.environ().get("DROVER_ROLE") == role:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
