"""Files that are too large to be made: what is read of them is made while it is read."""

import io


class OneLine(io.RawIOBase):
    """`start`, then a line of the letter x up to `size` bytes. Counts the bytes that were read of it."""

    def __init__(self, start: bytes, size: int) -> None:
        self._start, self._size, self._place = start, size, 0
        self.n_read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        n = min(len(buffer), self._size - self._place)
        start = self._start[self._place : self._place + n]
        buffer[: len(start)] = start
        buffer[len(start) : n] = b"x" * (n - len(start))
        self._place += n
        self.n_read += n
        return n
