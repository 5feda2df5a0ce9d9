"""Reads JSON Lines: an object in each line, UTF-8. The header is made of all keys, in the order of their appearance."""

import json
import math
from collections.abc import Iterator
from typing import BinaryIO

from crm.files.encodings import Encoding, decoded, marked_encoding
from crm.files.limits import Limits
from crm.files.lines import physical_lines
from crm.files.problems import FileProblem
from crm.files.rows import TOO_DEEP, Bad, Cell, named_columns
from crm.text import is_storable

_WHOLE = range(-(2**63), 2**63)  # PostgreSQL's bigint


class JsonlReader:
    format = "jsonl"
    encoding = "utf-8"
    delimiter = None

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        """Reads the file once for its keys. Raises `FileProblem`."""
        self._stream, self._limits = stream, limits
        self._encoding = marked_encoding(stream) or Encoding("utf-8")
        if self._encoding.name != "utf-8":
            raise FileProblem("unknown_encoding", "JSON Lines must be UTF-8; this file says that it is UTF-16.")
        self._keys = self._all_keys()
        if not all(key.strip() for key in self._keys):
            raise FileProblem("unnamed_column", "An object has a value without a name.")
        self.header = named_columns(self._keys, limits)

    def records(self) -> Iterator[tuple[int, list[Cell] | Bad]]:
        for line, text in self._lines():
            if text is None:
                yield line, Bad("line_too_long", f"The line has more than {self._limits.json_line_bytes:,} bytes.")
                continue
            found = _object_of(text)
            yield line, found if isinstance(found, Bad) else [found.get(key) for key in self._keys]

    def _lines(self) -> Iterator[tuple[int, str | None]]:
        """The lines that are not blank."""
        longest = self._limits.json_line_bytes
        for number, text in physical_lines(decoded(self._stream, self._encoding), longest):
            if text is None or (not text.isascii() and len(text.encode()) > longest):
                yield number, None
            elif text.strip():
                yield number, text

    def _all_keys(self) -> list[str]:
        keys: dict[str, None] = {}
        for _, text in self._lines():
            found = None if text is None else _object_of(text)
            if isinstance(found, dict):
                keys.update(dict.fromkeys(found))
            if len(keys) > self._limits.columns:
                raise FileProblem("too_many_columns", f"The objects have more than {self._limits.columns:,} keys.")
        return list(keys)


class _Refused(ValueError):
    def __init__(self, bad: Bad) -> None:
        super().__init__(bad.message)
        self.bad = bad


def _object_of(text: str) -> dict[str, Cell] | Bad:
    try:
        found = _DECODER.decode(text.strip())
        if not isinstance(found, dict):
            return Bad("not_an_object", "The line is JSON, but no object.")
        if "\\u" in text:
            _refuse_unstorable(found)
    except _Refused as problem:
        return problem.bad
    except json.JSONDecodeError as problem:
        return Bad("not_json", f"The line is not JSON: {problem.msg} at character {problem.pos + 1}.")
    except RecursionError:
        return Bad("too_deep", TOO_DEEP)
    return found


def _unique(pairs: list[tuple[str, Cell]]) -> dict[str, Cell]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise _Refused(Bad("duplicate_key", f"The object has the key {twice[:100]!r} twice.", column=twice))
    return found


def _whole(text: str) -> int:
    # Long digits are never converted: that takes quadratic time.
    if len(text) > 20 or int(text) not in _WHOLE:
        raise _Refused(Bad("number_too_large", "A whole number must be below 2 to the power of 63.", value=text))
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(Bad("number_too_large", "The number is too large.", value=text))
    return number


def _no_number(text: str) -> float:
    raise _Refused(Bad("not_a_number", f"{text} is no number in JSON.", value=text))


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_whole, parse_float=_real, parse_constant=_no_number)


def _refuse_unstorable(value: Cell) -> None:
    if isinstance(value, str):
        if not is_storable(value):
            raise _Refused(Bad("unstorable_text", "A text has NUL or half a surrogate pair, which cannot be stored."))
    elif isinstance(value, dict):
        for key, part in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(part)
    elif isinstance(value, list):
        for part in value:
            _refuse_unstorable(part)
