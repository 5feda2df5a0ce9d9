"""A client of the BlueAI dialect, for the tests of every app that speaks it."""

import json
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count
from urllib.parse import urlencode

from django.http import HttpResponse
from django.test import Client

Json = dict[str, object]
_addresses = count(int(IPv4Address("10.0.0.1")))


def _client_elsewhere() -> Client:
    """At a network address of its own: of one address only so many may sign in at a time, and the tests are more."""
    return Client(REMOTE_ADDR=str(IPv4Address(next(_addresses))))


@dataclass
class BlueAI:
    """Speaks JSON with one key; without one, with whatever cookies its browser has."""

    secret: str | None = None
    client: Client = field(default_factory=_client_elsewhere)

    def get(self, path: str, **query: object) -> HttpResponse:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: object = None, **query: object) -> HttpResponse:
        return self.send("POST", path, {} if body is None else body, query=query)

    def patch(self, path: str, body: object) -> HttpResponse:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.send("DELETE", path)

    def make(self, what: str, body: Json) -> Json:
        """A new record of the list `what`, as it is answered."""
        answer = self.post(f"/crm/{what}", body)
        assert answer.status_code == 201, answer.content
        [made] = answer.json().values()
        return made

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Json | None = None,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> HttpResponse:
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        key = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        return self.client.generic(
            method,
            f"/api/v1{path}" + (f"?{urlencode(query)}" if query else ""),
            "" if body is None else raw,
            content_type=content_type,
            headers={**key, **(headers or {})},
        )


def problem_of(answer: HttpResponse, status: int) -> Json:
    """The error of an answer, which has that status and the published shape."""
    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert set(error) == {"type", "code", "message", "param", "details", "request_id"}
    assert error["request_id"] == answer["X-Request-Id"]
    return error
