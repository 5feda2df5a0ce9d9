"""Reads the XML of an XLSX file in flat memory, element by element, and refuses what a sheet has no use for."""

from collections.abc import Iterator
from typing import IO, Protocol
from xml.parsers import expat

from crm.files.problems import FileProblem

_PIECE = 64 * 1024  # bytes
_LONGEST_TOKEN = 1024 * 1024  # bytes; the parser must keep a tag or a comment until its end
_DEEPEST = 64  # elements inside of each other; the parser must keep the name of each


class Handler(Protocol):
    """Hears each start, end and text of the document. Names come without their prefix."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, data: str) -> None: ...


def parse(stream: IO[bytes], handler: Handler) -> Iterator[None]:
    """Tells `handler` what comes, and yields after each piece of the document. Raises `FileProblem`.

    A document type is refused, and with it every entity, inner or outer: no spreadsheet program writes one.
    """
    parser = expat.ParserCreate()
    n_quiet, depth = 0, 0  # bytes since anything was heard; elements that are open

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal n_quiet, depth
        n_quiet, depth = 0, depth + 1
        if depth > _DEEPEST:
            raise FileProblem("broken_file", f"The XLSX file has XML with more than {_DEEPEST} nested elements.")
        handler.start(name.rpartition(":")[2] if ":" in name else name, attributes)

    def end(name: str) -> None:
        nonlocal n_quiet, depth
        n_quiet, depth = 0, depth - 1
        handler.end(name.rpartition(":")[2] if ":" in name else name)

    def text(data: str) -> None:
        nonlocal n_quiet
        n_quiet = 0
        handler.text(data)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = _refuse_document_type
    while piece := stream.read(_PIECE):
        n_quiet += len(piece)
        _feed(parser, piece)
        if n_quiet > _LONGEST_TOKEN:
            raise FileProblem("broken_file", "The XLSX file has a tag or a comment of more than 1 MB.")
        yield
    _feed(parser, b"", is_last=True)
    yield


def _feed(parser: expat.XMLParserType, piece: bytes, *, is_last: bool = False) -> None:
    try:
        parser.Parse(piece, is_last)
    except expat.ExpatError as problem:
        raise FileProblem("broken_file", f"The XLSX file has broken XML: {problem}.") from None


def _refuse_document_type(*_: object) -> None:
    raise FileProblem("forbidden_xml", "The XLSX file declares a document type, as spreadsheets never do.")


class _Elements:
    def __init__(self) -> None:
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self._open = [""]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.found.append((self._open[-1], name, attributes))
        self._open.append(name)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        pass


def elements(stream: IO[bytes]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every element of the document: the name of its parent, its own, its attributes."""
    handler = _Elements()
    for _ in parse(stream, handler):
        yield from handler.found
        handler.found.clear()
