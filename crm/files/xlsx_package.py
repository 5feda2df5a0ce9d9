"""The ZIP around an XLSX file: what must hold before anything in it is read, and where its parts lie."""

import os
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO

from crm.files.limits import Limits
from crm.files.problems import FileProblem
from crm.files.xlsx_xml import elements

_DIRECTORY_BYTES_OF_AN_ENTRY = 1024  # far more than any spreadsheet program writes
_COUNTED_FROM = 1024 * 1024  # bytes unzipped; below these any ratio is harmless
_MOST_RELATIONS = 10_000
_LONGEST_NAME = 255  # characters of a part's name, and of what it is known by
_KINDS = ("officeDocument", "worksheet", "styles", "sharedStrings")  # of parts that are read
_IS_ENCRYPTED = 1


@contextmanager
def broken_zip_refused() -> Iterator[None]:
    """Turns what `zipfile` raises over a broken archive into `FileProblem`."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, KeyError) as problem:
        raise FileProblem("broken_file", f"The XLSX file is broken: {problem}.") from None


def open_package(stream: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """The archive, once its directory is known to be harmless. Raises `FileProblem`.

    No more is unzipped of an entry than its directory says, so what the directory says can be relied upon.
    """
    with broken_zip_refused():
        _refuse_large_directory(stream, limits)
        archive = zipfile.ZipFile(stream)
        stream.seek(0, os.SEEK_END)
        _refuse_bombs(archive.infolist(), limits, stream.tell())
    return archive


def _refuse_large_directory(stream: BinaryIO, limits: Limits) -> None:
    """Before `zipfile` reads it: it makes an object of each entry, and 150 MB hold three million."""
    # Its own look at the end of the file, so that both mean the same directory, ZIP64 or not.
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if not end:
        raise zipfile.BadZipFile("there is no directory at its end")
    size = end[zipfile._ECD_SIZE]  # type: ignore[attr-defined]
    if size > limits.zip_entries * _DIRECTORY_BYTES_OF_AN_ENTRY:
        raise _too_many_entries(limits)


def _refuse_bombs(entries: list[zipfile.ZipInfo], limits: Limits, n_bytes: int) -> None:
    if len(entries) > limits.zip_entries:
        raise _too_many_entries(limits)
    if sum(entry.file_size for entry in entries) > limits.unzipped_bytes:
        raise FileProblem("zip_bomb", f"The XLSX file has more than {limits.unzipped_bytes:,} bytes when unzipped.")
    if sum(entry.compress_size for entry in entries) > n_bytes:
        raise FileProblem("zip_bomb", "The parts of the XLSX file share their bytes.")
    for entry in entries:
        if entry.flag_bits & _IS_ENCRYPTED:
            raise FileProblem("encrypted_file", "The XLSX file is protected by a password.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileProblem("broken_file", "The XLSX file is compressed in a way that spreadsheets never are.")
        if entry.file_size > _COUNTED_FROM and entry.file_size > limits.zip_ratio * entry.compress_size:
            raise FileProblem("zip_bomb", f"A part of the XLSX file grows more than {limits.zip_ratio}-fold unzipped.")


def _too_many_entries(limits: Limits) -> FileProblem:
    return FileProblem("zip_bomb", f"The XLSX file has more than {limits.zip_entries:,} parts.")


def elements_of(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    with archive.open(part) as stream:
        yield from elements(stream)


def related_parts(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """The parts that a part refers to: by id, the last word of the kind, one of `_KINDS`, and the other part's name.

    Raises `FileProblem` at a name that is too long to be one.
    """
    folder, name = posixpath.split(part)
    references = elements_of(archive, posixpath.join(folder, "_rels", f"{name}.rels"))
    found = {}
    for _, _, attributes in islice(references, _MOST_RELATIONS):
        kind = attributes.get("Type", "").rpartition("/")[2]
        if kind in _KINDS and "Target" in attributes and attributes.get("TargetMode") != "External":
            own, target = attributes.get("Id", ""), attributes["Target"]
            if len(own) > _LONGEST_NAME or len(target) > _LONGEST_NAME:
                raise FileProblem("broken_file", f"The XLSX file names a part by more than {_LONGEST_NAME} characters.")
            found[own] = (kind, posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/"))
    return found
