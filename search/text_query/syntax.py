"""The shape of a one-line query: words, phrases, `field:value`, groups. What the names mean is settled elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from search.errors import InvalidSearch, shown

MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 12  # of parentheses; one takes up to three levels of a query node, which may have 50

_GRAMMAR = r"""
?start: any
?any: all (_OR all)*
?all: _unit (_AND? _unit)*
_unit: not | atom
not: _NOT _unit
?atom: word | phrase | match | related | "(" any ")"
word: WORD
phrase: STRING
match: FIELD SIGN (VALUE | STRING)
related: GROUP "(" any ")"

_NOT.5: /not(?![^\s()"])/i
_OR.5: /or(?![^\s()"])/i
_AND.5: /and(?![^\s()"])/i
FIELD.4: /(?:"(?:[^"\\]|\\[\s\S])+"|[^\s()":<>=]+(?:"(?:[^"\\]|\\[\s\S])+")?)(?=\s*[:<>=])/
GROUP.3: /(?!(?:not|or|and)\()[^\s()":<>=]+(?=\()/i
STRING.2: /"(?:[^"\\]|\\[\s\S])*"/
WORD.1: /(?!(?:not|or|and)(?![^\s()"]))[^\s()":<>=]+/i
SIGN: />=|<=|[:=<>]/
VALUE: /[^\s()":<>=][^\s()"]*/
%ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Phrase:
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Match:
    """`field:value`, or with another of the signs `=`, `<`, `<=`, `>`, `>=`."""

    field: str
    sign: str
    value: str
    is_quoted: bool
    at: int
    value_at: int


@dataclass(frozen=True, slots=True)
class Related:
    """`contact(…)`"""

    name: str
    query: "Query"
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    query: "Query"


@dataclass(frozen=True, slots=True)
class All:
    queries: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Any:
    queries: tuple["Query", ...]


Query = Word | Phrase | Match | Related | Not | All | Any


class Unclear(InvalidSearch):
    """The text cannot be understood; `at` counts its characters from 0, the message from 1."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__({"query": f"Position {at + 1}: {message}"})


def read(text: str) -> Query:
    """The parts of `text`, which is not blank. Raises `Unclear`. Takes time in proportion to the length."""
    if len(text) > MAX_CHARACTERS:
        raise Unclear(f"the query is longer than {MAX_CHARACTERS} characters.", MAX_CHARACTERS)
    try:
        return _parser().parse(text)
    except UnexpectedInput as problem:
        raise _told(problem, text) from problem


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", transformer=_Builder(), postlex=_DepthLimit())


class _DepthLimit:
    """Lets tokens through up to a depth: what is built of them is walked by recursion."""

    always_accept: ClassVar = ()

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        for token in tokens:
            depth += {"LPAR": 1, "RPAR": -1}.get(token.type, 0)
            if depth > MAX_DEPTH:
                raise Unclear(f"the parentheses are nested deeper than {MAX_DEPTH} levels.", token.start_pos)
            yield token


@v_args(inline=True)
class _Builder(Transformer):
    """Called from the bottom up while the text is parsed, so that no nesting can exhaust the stack."""

    def word(self, token: Token) -> Word:
        return Word(str(token), token.start_pos)

    def phrase(self, token: Token) -> Phrase:
        return Phrase(_unquoted(token), token.start_pos)

    def match(self, field: Token, sign: Token, value: Token) -> Match:
        is_quoted = value.type == "STRING"
        text = _unquoted(value) if is_quoted else str(value)
        return Match(_unquoted(field), str(sign), text, is_quoted, field.start_pos, value.start_pos)

    def related(self, name: Token, query: Query) -> Related:
        return Related(str(name), query, name.start_pos)

    def all(self, *queries: Query) -> All:
        return All(queries)

    def any(self, *queries: Query) -> Any:
        return Any(queries)

    def not_(self, query: Query) -> Query:
        return query.query if isinstance(query, Not) else Not(query)


setattr(_Builder, "not", _Builder.not_)  # the rule's name is a word of Python


def _unquoted(token: Token) -> str:
    """`"a \\"b\\""` without its quotation marks; also where they stand behind a prefix, as in `custom."Two words"`."""
    before, mark, rest = token.partition('"')
    if not mark:
        return str(token)
    inner = rest[:-1]
    return before + inner.replace('\\"', '"').replace("\\\\", "\\")


def _told(problem: UnexpectedInput, text: str) -> Unclear:
    at = problem.pos_in_stream if problem.pos_in_stream is not None else len(text)
    if isinstance(problem, UnexpectedToken) and problem.token.type == "$END":
        what = "a `)` is missing." if text.count("(") > text.count(")") else "something is missing here."
        return Unclear(what, len(text))
    if isinstance(problem, UnexpectedCharacters) and text[at : at + 1] == '"':
        return Unclear("this quotation mark is never closed.", at)
    return Unclear(f"this is not understood here: {shown(text[at : at + 20])}", at)
