"""Which encoding a text file has, and its text, piece by piece. Nothing is ever replaced or left out."""

import codecs
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from crm.files.problems import FileProblem, UndecodableByte

FALLBACKS = ("cp932", "cp1252")  # CP932 is Shift_JIS as Windows writes it
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHOWN = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp932": "CP932", "cp1252": "Windows-1252"}
_PIECE = 128 * 1024  # bytes
# What a caller may say that a file is, where it is not UTF-8 and has no byte order mark; UTF-8 is always tried first.
_SAID: Mapping[str, Sequence[str]] = {
    "utf-8": (),
    "cp932": ("cp932",),
    "shift_jis": ("cp932",),
    "cp1252": ("cp1252",),
    "windows-1252": ("cp1252",),
}
ENCODINGS = tuple(_SAID)


class Encoding(NamedTuple):
    """A name that `codecs` knows, and how many bytes of mark stand before the text."""

    name: str
    mark: int = 0


def fallbacks_of(said: str | None) -> Sequence[str]:
    """What is tried behind UTF-8: what the caller has said, one of `ENCODINGS`; else all of `FALLBACKS`."""
    return FALLBACKS if said is None else _SAID[said]


def find_encoding(stream: BinaryIO, *, fallbacks: Sequence[str], longest_line: int | None = None) -> Encoding:
    """By the byte order mark; without one the first of UTF-8 and `fallbacks` in which the whole file can be read.

    Reads the file once for each one that it tries, at most to the first line of more than `longest_line` characters.
    Raises `FileProblem`, and `UndecodableByte` naming the first bad byte.
    """
    marked = marked_encoding(stream)
    tried: list[UndecodableByte] = []
    for encoding in [marked] if marked else [Encoding(name) for name in ("utf-8", *fallbacks)]:
        try:
            _read_through(stream, encoding, longest_line)
        except UndecodableByte as problem:
            tried.append(problem)
        else:
            return encoding
    if len(tried) == 1:
        raise tried[0]
    places = ", ".join(f"{problem.encoding} (byte {problem.offset})" for problem in tried)
    raise FileProblem("unknown_encoding", f"The encoding is unknown. The first byte that does not fit: {places}.")


def marked_encoding(stream: BinaryIO) -> Encoding | None:
    stream.seek(0)
    start = stream.read(3)
    for mark, name in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return Encoding(name, len(mark))
    return None


def decoded(stream: BinaryIO, encoding: Encoding) -> Iterator[str]:
    """The text in pieces, from its first character on. Raises `UndecodableByte`, and `FileProblem` at a NUL."""
    decoder = codecs.getincrementaldecoder(encoding.name)("strict")
    stream.seek(encoding.mark)
    n_read = encoding.mark
    while True:
        start = n_read - len(decoder.getstate()[0])  # a character may have begun in the piece before
        piece = stream.read(_PIECE)
        n_read += len(piece)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as problem:
            raise UndecodableByte(_SHOWN.get(encoding.name, encoding.name), start + problem.start) from None
        if "\0" in text:
            offset = start + len(text[: text.index("\0")].encode(encoding.name))
            raise FileProblem("nul_character", f"The file has a NUL character at byte {offset}: it is no text.")
        if text:
            yield text
        if not piece:
            return


def _read_through(stream: BinaryIO, encoding: Encoding, longest_line: int | None) -> None:
    n_without_end = 0
    for text in decoded(stream, encoding):
        last_end = max(text.rfind("\n"), text.rfind("\r"))
        n_without_end = n_without_end + len(text) if last_end < 0 else len(text) - last_end - 1
        if longest_line is not None and n_without_end > longest_line:
            return  # whoever reads the lines says which one it is
