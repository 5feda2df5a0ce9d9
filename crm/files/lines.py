"""The physical lines of a text that comes in pieces."""

import re
from collections.abc import Iterable, Iterator

_END = re.compile(r"\r\n?|\n")


def physical_lines(pieces: Iterable[str], longest: int) -> Iterator[tuple[int, str | None]]:
    """Each line with its number, from 1 on, and with its end (CRLF, LF or CR).

    In place of one of more than `longest` characters, its end included, comes None, as soon as they are read: no more
    than those and a piece are ever kept.
    """
    number, rest, is_told = 1, "", False
    for piece in pieces:
        text, begin = rest + piece, 0
        for end in _END.finditer(text, max(len(rest) - 1, 0)):  # no end stands before, but perhaps a CR there
            if end[0] == "\r" and end.end() == len(text):
                break  # its LF may follow in the next piece
            if not is_told:
                yield number, None if end.end() - begin > longest else text[begin : end.end()]
            number, begin, is_told = number + 1, end.end(), False
        rest = text[begin:]
        if is_told or len(rest) > longest:
            if not is_told:
                yield number, None
            rest, is_told = "\r" if rest.endswith("\r") else "", True
    if rest and not is_told:
        yield number, rest
