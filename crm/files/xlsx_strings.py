"""The shared strings of an XLSX file: kept beside the memory when they are many, looked up by number."""

import re
from tempfile import SpooledTemporaryFile
from typing import IO

from crm.files.problems import FileProblem
from crm.files.xlsx_xml import parse

_IN_MEMORY = 8 * 1024 * 1024  # bytes; more go to a temporary file
_CACHED = 20_000  # texts
_CACHED_LENGTH = 200  # characters of a text that is cached
_PLACE = 8  # bytes of a number
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    """The text that Office Open XML writes so (ST_Xstring): `_x000D_` is a CR. Halves of surrogate pairs stay."""
    return _ESCAPED.sub(_unescape, text) if "_x" in text else text


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return match[0] if "\ud800" <= character <= "\udfff" else character


class TextCollector:
    """Puts a text together out of runs, without those that tell its pronunciation (`rPh`), up to `longest` and one."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.clear()

    def clear(self) -> None:
        self._parts: list[str] = []
        self._n_characters = 0

    def add(self, data: str) -> None:
        if self._n_characters <= self._longest:
            self._parts.append(data)
            self._n_characters += len(data)

    def value(self) -> str:
        return "".join(self._parts)


class SharedStrings:
    """None at first. The temporary files live until `close`."""

    def __init__(self) -> None:
        self._texts = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._ends = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._cache: dict[int, str] = {}
        self._end = 0
        self._n = 0

    def read(self, stream: IO[bytes], longest: int) -> None:
        """Adds all of this part, of each string no more than about `longest` characters. Raises `FileProblem`."""
        for _ in parse(stream, _StringsHandler(self, longest)):
            pass

    def add(self, text: str) -> None:
        data = text.encode()
        self._texts.write(data)
        self._end += len(data)
        self._ends.write(self._end.to_bytes(_PLACE))
        self._n += 1

    def __getitem__(self, number: int) -> str:
        """Raises `FileProblem` where there is no such string."""
        found = self._cache.get(number)
        if found is None:
            found = self._read(number)
            if len(found) <= _CACHED_LENGTH:
                if len(self._cache) >= _CACHED:
                    self._cache.clear()
                self._cache[number] = found
        return found

    def _read(self, number: int) -> str:
        if not 0 <= number < self._n:
            raise FileProblem("broken_file", f"The XLSX file has no shared string {number}.")
        self._ends.seek(max(number - 1, 0) * _PLACE)
        begin = int.from_bytes(self._ends.read(_PLACE)) if number else 0
        end = int.from_bytes(self._ends.read(_PLACE))
        self._texts.seek(begin)
        return self._texts.read(end - begin).decode()

    def close(self) -> None:
        self._texts.close()
        self._ends.close()


class _StringsHandler:
    def __init__(self, strings: SharedStrings, longest: int) -> None:
        self._strings = strings
        self._collector = TextCollector(longest)
        self._in_text = self._in_pronunciation = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self._collector.clear()
        elif name == "t":
            self._in_text = not self._in_pronunciation
        elif name == "rPh":
            self._in_pronunciation = True

    def end(self, name: str) -> None:
        if name == "si":
            self._strings.add(unescaped(self._collector.value()))
        elif name == "t":
            self._in_text = False
        elif name == "rPh":
            self._in_pronunciation = False

    def text(self, data: str) -> None:
        if self._in_text:
            self._collector.add(data)
