"""Gathering what is wrong with a body."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from crm.auth import Caller
from crm.errors import Invalid

T = TypeVar("T")


class Problems:
    """Gathers what is wrong with a body, so that the caller hears all of it at once."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.field_errors: dict[str, object] = {}

    def gather(self, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except Invalid as problem:
            self.errors += problem.errors
            self.field_errors.update(problem.field_errors)
            return None

    def raise_any(self) -> None:
        if self.errors or self.field_errors:
            raise Invalid(self.errors, self.field_errors)


def all_of(
    body: Mapping[str, object],
    caller: Caller,
    readers: Iterable[Callable[[Mapping[str, object], Caller], Mapping[str, object]]],
) -> dict[str, object]:
    """What these read of the body. Raises `Invalid` with all that is wrong with it."""
    problems = Problems()
    params: dict[str, object] = {}
    for read in readers:
        params |= problems.gather(partial(read, body, caller)) or {}
    problems.raise_any()
    return params
