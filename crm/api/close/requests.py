"""What a request means: its body, its parameters, its zone (close-api.md 1.1, 1.8)."""

import json
import math
from collections.abc import Collection, Mapping
from datetime import UTC, timedelta, timezone, tzinfo
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.http import QueryDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from crm.api.close.throttles import Rate
from crm.auth import Caller
from crm.errors import FieldErrors

MAX_DEPTH = 200  # of objects and lists (a query node takes two); what is deeper exhausts the stack of whoever walks it
MAX_DRAINED_BYTES = 64 * 1024 * 1024
INVALID_JSON = "The request contains invalid JSON."


class CloseRequest(Request):
    """A request of the Close dialect, as `CloseView.initial` leaves it."""

    caller: Caller
    tz: tzinfo
    rate: Rate

    @property
    def effective_method(self) -> str:
        """The method that the caller means: a long GET comes as a POST."""
        override = self.headers.get("x-http-method-override", "")
        return "GET" if self.method == "POST" and override.upper() == "GET" else str(self.method)


class JsonParser(BaseParser):
    """A JSON object, or a 400. Nothing that PostgreSQL cannot store (NUL, lone surrogates, NaN) gets past it."""

    media_type = "application/json"
    unchecked: ClassVar[Collection[str]] = ()  # keys whose values the view gives to `refuse_unstorable` piece by piece

    def parse(
        self, stream: Request, media_type: str | None = None, parser_context: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            _drain(stream)
            raise ParseError(f"The request is larger than {limit // (1024 * 1024)} MB.")
        try:
            data = strict_json(body.decode())
        except (ValueError, RecursionError) as problem:
            raise ParseError(INVALID_JSON) from problem
        if not isinstance(data, dict):
            raise ParseError("The request must be a JSON object.")
        refuse_unstorable({key: value for key, value in data.items() if key not in self.unchecked})
        return data


def _drain(stream: Request) -> None:
    """Read the rest of a body that is refused: closing on unread bytes would cut off our answer."""
    read = 0
    while read < MAX_DRAINED_BYTES and (chunk := stream.read(1024 * 1024)):
        read += len(chunk)


def strict_json(text: str) -> object:
    """What `text` says. `ValueError` or `RecursionError` for what is no JSON: `NaN` is none, nor is 1e999 a number."""
    return json.loads(text, parse_float=_finite, parse_constant=_refuse)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # such as 1e999
        raise ValueError(text)
    return number


def _refuse(word: str) -> float:
    raise ValueError(word)  # NaN, Infinity, -Infinity: words of JavaScript, not of JSON


def refuse_unstorable(data: object, *, what: str = "request") -> None:
    """Raises `ParseError` for text that cannot be stored and nesting that is too deep. Level by level: no recursion of
    our own. `what` is what the problem is told of."""
    level, depth = [data], 1
    while level:
        if depth > MAX_DEPTH:
            raise ParseError(f"The {what} is nested too deeply.")
        deeper: list[object] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value, what)
            elif isinstance(value, dict):
                deeper += value.keys()
                deeper += value.values()
            elif isinstance(value, list):
                deeper += value
        level, depth = deeper, depth + 1


def _check_text(text: str, what: str) -> None:
    if "\0" in text:
        raise ParseError(f"The {what} contains a NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise ParseError(f"The {what} contains half a surrogate pair.") from problem


def parameters_of_body(data: Mapping[str, object]) -> QueryDict:
    """The query parameters of a GET that was sent as a POST: `{"_params": {...}}`, lists joined by commas."""
    params = data.get("_params", {})
    if not isinstance(params, dict):
        raise FieldErrors({"_params": "Value must be an object."})
    query = QueryDict(mutable=True)
    for name, value in params.items():
        if value is None:
            continue
        if isinstance(value, dict):
            raise FieldErrors({"_params": {name: "Value must be a string, a number, a boolean or a list."}})
        query[name] = ",".join(_word(part) for part in value) if isinstance(value, list) else _word(value)
    return query


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def zone_of(request: Request, caller: Caller) -> tzinfo:
    """The zone of the caller: `x-tz-offset` in hours east of UTC (if well formed), else the user's own, else UTC."""
    try:
        hours = float(request.headers.get("x-tz-offset", "nan"))
    except ValueError:
        hours = math.nan
    if -14 <= hours <= 14:
        return timezone(timedelta(minutes=round(hours * 60)))
    try:
        return ZoneInfo(caller.user.timezone) if caller.user.timezone else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
