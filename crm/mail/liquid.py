"""The language of templates: Liquid, less what could do harm (docs/templates.md).

Whoever writes a template is not trusted. It sees the values that it is given and nothing else: no file, no other
template, no attribute of a Python object. What it costs is bounded in every direction: its size, the depth of its
blocks, the rounds of its loops, the size of each value, of what it keeps and of what it writes, and processor time.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, wraps
from time import thread_time

from liquid import BoundTemplate, Environment, Expression, FalsyStrictUndefined, Node, RenderContext, Undefined
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import (
    FilterArgumentError,
    LiquidError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    UndefinedError,
)

from crm.mail.liquid_filters import FILTERS, MAX_VALUE

MAX_SOURCE = 1_000_000  # characters
MAX_TAGS = 5_000  # `{{ }}` and `{% %}` of one source
MAX_TAG = 1_000  # characters of one of them
MAX_DEPTH = 30  # of blocks in each other
MAX_ITERATIONS = 10_000  # rounds of all loops of one rendering
MAX_KEPT = 5_000_000  # characters that all `assign` and `capture` of one rendering keep
MAX_OUTPUT = 2_000_000  # bytes
CPU_SECONDS = 0.2  # of the thread that renders, so that a busy machine fails no template

_TAGS = (
    content.Literal, output.Output, illegal.Illegal, if_tag.IfTag, unless_tag.UnlessTag, case_tag.CaseTag,
    for_tag.ForTag,
    for_tag.BreakTag, for_tag.ContinueTag, assign_tag.AssignTag, capture_tag.CaptureTag, comment_tag.CommentTag,
    inline_comment_tag.InlineCommentTag,
)  # fmt: skip
_OPENING = re.compile(r"\{[{%]")
_WORD = re.compile(r"-?\s{0,40}(\w*)")
_LONG_BLANK = re.compile(r"\s{40}")
# What Python raises where a template computes nonsense, such as a division by zero or the floor of infinity.
_NONSENSE = (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RecursionError)


class WrongSource(Exception):
    """The source is no template: `message` says why, `line` and `column` (from 1) where."""

    def __init__(self, message: str, source: str, index: int) -> None:
        super().__init__(message)
        self.line = source.count("\n", 0, index) + 1
        self.column = index - source.rfind("\n", 0, index)

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.args[0]}"


class CannotRender(Exception):
    """The template gives no text for these values. `code`: missing_value, template_limit or template_error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@lru_cache(maxsize=64)
def compiled(source: str, *, html: bool, strict: bool) -> BoundTemplate:
    """`source` ready to render. `html`: values are escaped; `strict`: one that is missing stops it (`CannotRender`).

    Raises `WrongSource`.
    """
    _check_shape(source)
    try:
        template = _ENVIRONMENTS[html, strict].from_string(source)
    except LiquidError as problem:
        token = problem.token
        index = token.start_index if token is not None and token.start_index >= 0 else 0
        raise WrongSource(_sentence(problem.args[0]), source, min(index, len(source))) from problem
    for expression in _expressions(template.nodes):
        if isinstance(expression, RangeLiteral):
            # `(1..99999999999) contains 'x'` walks along all of it, and so do others, where nothing of ours counts.
            raise WrongSource("Ranges such as (1..3) are not supported.", source, expression.token.start_index)
    return template


def check(source: str, *, html: bool) -> None:
    """Raise `WrongSource` unless `source` can be rendered; also for a filter that is not there."""
    used = compiled(source, html=html, strict=False).analyze(include_partials=False).filters
    for name, spans in used.items():
        if name not in FILTERS:
            raise WrongSource(f"Unknown filter '{name}'.", source, spans[0].index)


def rendered(template: BoundTemplate, values: Mapping[str, object]) -> str:
    """What `template` says with these values. Raises `CannotRender`."""
    try:
        return template.render(values)
    except UndefinedError as problem:
        raise CannotRender("missing_value", f"{problem.args[0]}{_place(problem)}.") from problem
    except (LoopIterationLimitError, OutputStreamLimitError, _Exhausted) as problem:
        raise CannotRender("template_limit", f"The template asks for too much: {problem.args[0]}.") from problem
    except LiquidError as problem:
        raise CannotRender("template_error", f"{_sentence(problem.args[0], end='')}{_place(problem)}.") from problem
    except _NONSENSE as problem:
        raise CannotRender("template_error", "The template computes something that has no value.") from problem


def tags_of(source: str) -> Iterator[tuple[int, int]]:
    """Where each `{{ }}` and `{% %}` begins and ends. Raises `WrongSource` for one that does not end or is too long."""
    position = 0
    while opening := _OPENING.search(source, position):
        start = opening.start()
        closing = "}}" if source[start + 1] == "{" else "%}"
        end = source.find(closing, start + 2)
        if end < 0:
            raise WrongSource(f"This is never closed with '{closing}'.", source, start)
        if end - start > MAX_TAG:
            raise WrongSource(f"This is longer than {MAX_TAG} characters.", source, start)
        position = end + 2
        yield start, position


def _check_shape(source: str) -> None:
    """Refuse what the lexer's regular expressions would take minutes to look through, before they see it."""
    if len(source) > MAX_SOURCE:
        raise WrongSource(f"A template has at most {MAX_SOURCE} characters.", source, MAX_SOURCE)
    for count, (start, end) in enumerate(tags_of(source), start=1):
        if count > MAX_TAGS:
            raise WrongSource(f"A template has at most {MAX_TAGS} variables and tags.", source, start)
        if _LONG_BLANK.search(source, start, end):
            raise WrongSource("There is too much blank space in this.", source, start)
        word = _WORD.match(source, start + 2)
        if source[start + 1] == "%" and word and word[1] in ("raw", "doc"):
            # The lexer looks for the end of these before anything else: quadratic time where there is none.
            raise WrongSource(f"Unexpected tag '{word[1]}'.", source, start)


def _expressions(nodes: Iterable[Node]) -> Iterator[Expression]:
    """All expressions of a parsed template, those within others too."""
    waiting: list[Node] = list(nodes)
    while waiting:
        node = waiting.pop()
        waiting += node.children(None, include_partials=False)
        found = list(node.expressions())
        while found:
            expression = found.pop()
            found += expression.children()
            yield expression


class _Exhausted(LiquidError):
    """The time is over, or too much was kept."""


class _Context(RenderContext):
    """The state of one rendering, which counts what the engine itself does not."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self.until = thread_time() + CPU_SECONDS
        self.iterations = 0
        self.kept = 0

    def check_time(self) -> None:
        if thread_time() > self.until:
            raise _Exhausted("it takes too long", token=None)

    def assign(self, key: str, val: object) -> None:
        self.check_time()
        # All that was ever kept counts: adding up what is kept now would take longer with each name.
        self.kept += len(val) if isinstance(val, str | list | tuple) else 1
        if self.kept > MAX_KEPT:
            raise _Exhausted("it keeps too much in variables", token=None)
        self.locals[key] = val

    def filter(self, name: str, token: object) -> Callable[..., object]:
        self.check_time()
        return super().filter(name, token)

    def loop(self, namespace: Mapping[str, object], forloop: for_tag.ForLoop) -> object:
        self.count(forloop.length)
        forloop.it = self._timed(forloop.it)
        return super().loop(namespace, forloop)

    def count(self, rounds: int) -> None:
        self.iterations += rounds
        if self.iterations > MAX_ITERATIONS:
            raise LoopIterationLimitError(f"more than {MAX_ITERATIONS} rounds of loops", token=None)

    def _timed(self, items: Iterator[object]) -> Iterator[object]:
        for item in items:
            self.check_time()
            yield item


class _Template(BoundTemplate):
    context_class = _Context


class _Missing(FalsyStrictUndefined):
    """Under the policy `error`: may be asked about (`if`, `default`), not used."""

    def __init__(self, name: str, *, token: object, obj: object = None, hint: str | None = None) -> None:
        path = hint.removesuffix(" is undefined").strip("'") if hint else name
        super().__init__(name, token=token, obj=obj, hint=f"{path} has no value")


class _Environment(Environment):
    template_class = _Template
    block_nesting_limit = MAX_DEPTH
    output_stream_limit = MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in _TAGS:
            self.add_tag(tag)
        for name, function in FILTERS.items():
            self.add_filter(name, _bounded(function))


def _bounded(function: Callable[..., object]) -> Callable[..., object]:
    """The filter, which then neither takes nor gives a value that is too large to be worked on."""

    @wraps(function)  # with the marks by which the engine knows what to hand it
    def call(*arguments: object, **named: object) -> object:
        for argument in arguments:
            _check_size(argument)
        result = function(*arguments, **named)
        _check_size(result)
        return result

    return call


def _check_size(value: object) -> None:
    if isinstance(value, str | list | tuple):
        too_large = len(value) > MAX_VALUE
    else:
        too_large = isinstance(value, int) and not -(10**18) < value < 10**18
    if too_large:
        raise FilterArgumentError("a value is too large for a filter", token=None)


def _sentence(message: object, *, end: str = ".") -> str:
    text = str(message)
    return text[:1].upper() + text[1:] + end


def _place(problem: LiquidError) -> str:
    token = problem.token
    if token is None or token.start_index < 0:
        return ""
    return f" (line {token.source.count(chr(10), 0, token.start_index) + 1})"


_ENVIRONMENTS = {
    (html, strict): _Environment(autoescape=html, undefined=_Missing if strict else Undefined)
    for html in (False, True)
    for strict in (False, True)
}
