"""Storages that are no folder."""

import io

from django.core.files.base import ContentFile, File
from django.core.files.storage import InMemoryStorage

_PART = 2_000  # bytes


class ObjectStore(InMemoryStorage):
    """As one of S3: what is written leaves in parts that nobody can have back; closing it makes the file."""

    def _open(self, name: str, mode: str = "rb") -> File:
        return _Upload(self, name) if "w" in mode else super()._open(name, mode)


class _Upload(File):
    """Whoever goes back in it finds the last part alone."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        super().__init__(io.BytesIO(), name)
        self.store, self.parts = store, [b""]

    def write(self, data: bytes) -> int:
        n_bytes = self.file.write(data)
        if self.file.tell() >= _PART:
            self._send()
        return n_bytes

    def close(self) -> None:
        if not self.file.closed:
            self._send()
            self.file.close()
            self.store._save(self.name, ContentFile(b"".join(self.parts)))

    def _send(self) -> None:
        self.parts.append(self.file.getvalue())
        self.file.seek(0)
        self.file.truncate()


class StoreError(Exception):
    """Of a storage alone: nobody else knows it."""


class RefusingStore(InMemoryStorage):
    """Does nothing of `refused`: names of methods."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.refused = refused

    def _check(self, what: str) -> None:
        if what in self.refused:
            raise StoreError("https://secret@store.example does not answer")

    def _open(self, name: str, mode: str = "rb") -> File:
        self._check("write" if "w" in mode else "read")
        return super()._open(name, mode)

    def delete(self, name: str) -> None:
        self._check("delete")
        super().delete(name)
