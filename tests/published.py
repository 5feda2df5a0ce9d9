"""Holds an answer against the one that a documentation shows: the same keys with the same values, or more.

Where the documentation invents a value, the expected answer has one of these instead, which stands for any such value.
"""

import re
from collections.abc import Mapping


class Like:
    """Equal to any text of a form, as a whole."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._pattern.fullmatch(other) is not None

    def __hash__(self) -> int:
        return hash(self._pattern)

    def __repr__(self) -> str:
        return f"Like({self._pattern.pattern!r})"


class Every:
    """Equal to any list whose elements, one at least, are all like this one."""

    def __init__(self, element: object) -> None:
        self.element = element


ZONED = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")  # of Close's older objects
NAIVE = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")  # of Close's newer ones
SECONDS = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # BlueAI's
MILLISECONDS = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")  # gomega's
UUID = Like(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEXT = Like(r"(?s).+")


def close(prefix: str) -> Like:
    return Like(rf"{prefix}_[0-9A-Za-z]{{22}}")


def blueai(prefix: str) -> Like:
    return Like(rf"{prefix}_[0-9a-f]{{32}}")


def shows(answer: object, documented: object) -> bool:
    """Always true: fails with the first place that differs."""
    problem = _difference(answer, documented, "answer")
    assert problem is None, problem
    return True


def _difference(answer: object, documented: object, path: str) -> str | None:
    if isinstance(documented, Mapping):
        if not isinstance(answer, Mapping):
            return f"{path} is {answer!r}, not an object"
        missing = documented.keys() - answer.keys()
        if missing:
            return f"{path} lacks {sorted(missing)}"
        inner = ((answer[key], documented[key], f"{path}.{key}") for key in documented)
    elif isinstance(documented, list):
        if not isinstance(answer, list) or len(answer) != len(documented):
            return f"{path} is {answer!r}, not a list of {len(documented)}"
        inner = ((one, other, f"{path}[{i}]") for i, (one, other) in enumerate(zip(answer, documented, strict=True)))
    elif isinstance(documented, Every):
        if not isinstance(answer, list) or not answer:
            return f"{path} is {answer!r}, not a list with elements"
        inner = ((one, documented.element, f"{path}[{i}]") for i, one in enumerate(answer))
    else:
        same = documented == answer and isinstance(documented, bool) == isinstance(answer, bool)
        return None if same else f"{path} is {answer!r}, not {documented!r}"
    return next((problem for one in inner if (problem := _difference(*one)) is not None), None)
