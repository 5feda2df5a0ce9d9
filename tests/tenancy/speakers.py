"""The three dialects, as one member of an organization speaks them: keys, headers, and how each spells an id."""

import json
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.test import Client

from crm.auth import make_api_key
from crm.ids import close_id, hex_id
from crm.models import Dialect, Membership

PREFIXES = {
    Dialect.CLOSE: {
        "user": "user", "organization": "orga", "membership": "memb", "group": "group", "account": "emailacct",
        "lead": "lead", "other_lead": "lead", "contact": "cont", "lead_status": "stat", "status": "stat",
        "other_status": "stat", "pipeline": "pipe", "empty_pipeline": "pipe", "opportunity": "oppo",
        "lead_field": "cf", "user_field": "cf", "contact_field": "cf", "opportunity_field": "cf", "note": "acti",
        "call": "acti", "email": "acti", "sms": "acti", "meeting": "acti", "lead_change": "acti",
        "opportunity_change": "acti", "task": "task", "template": "tmpl", "sms_template": "smstmpl",
        "sequence": "seq", "other_sequence": "seq",
        "step": "seqstep", "subscription": "sub", "view": "save", "edit": "bulkedit",
        "delete": "bulkdelete", "mailing": "bulkemail", "subscribing": "bulkseqsub", "import": "bulkimport",
        "export": "expo", "upload": "upload",
    },
    Dialect.BLUEAI: {
        "user": "usr", "lead": "comp", "contact": "cont", "opportunity": "deal", "pipeline": "pipe",
        "empty_pipeline": "pipe", "note": "act", "key": "ak", "deals_job": "job",
    },
    Dialect.GOMEGA: {"user": "", "lead": "", "lead_status": "", "webhook": "", "delivery": "", "leads_job": ""},
}  # fmt: skip


def dialect_of(path: str) -> Dialect:
    if path.startswith("/api/agents/"):
        return Dialect.GOMEGA
    return Dialect.BLUEAI if path.startswith(("/api/v1/crm/", "/api/v1/api-keys", "/api/v1/auth/")) else Dialect.CLOSE


def spelled(dialect: Dialect, kind: str, key: UUID) -> str:
    prefix = PREFIXES[dialect][kind]
    if dialect is Dialect.GOMEGA:
        return str(key)
    return (close_id if dialect is Dialect.CLOSE else hex_id)(prefix, key)


@dataclass
class Speaker:
    """Sends requests in the dialect of their path."""

    membership: Membership
    client: Client = field(default_factory=Client)

    def __post_init__(self) -> None:
        keys = {dialect: make_api_key(membership=self.membership, dialect=dialect) for dialect in Dialect}
        self.key = keys[Dialect.BLUEAI][0]
        self._headers = {dialect: {"Authorization": f"Bearer {secret}"} for dialect, (_, secret) in keys.items()}
        self._headers[Dialect.GOMEGA]["x-customer-id"] = str(self.membership.organization_id)

    def send(
        self, method: str, path: str, body: object = None, query: dict[str, object] | None = None, **headers: str
    ) -> HttpResponse:
        """A body of bytes is a file; else it is JSON."""
        file = isinstance(body, bytes)
        raw, kind = (_form(body), "multipart/form-data; boundary=edge") if file else (json.dumps(body or {}), _JSON)
        return self.client.generic(
            method,
            path + (f"?{urlencode(query)}" if query else ""),
            "" if method in ("GET", "DELETE") else raw,
            content_type=kind,
            headers={**self._headers[dialect_of(path)], **headers},
        )

    def make(self, path: str, body: object, **query: object) -> dict:
        answer = self.send("POST", path, body, query)
        assert answer.status_code in (200, 201), (path, answer.content)
        return answer.json()


_JSON = "application/json"


def _form(content: bytes) -> bytes:
    head = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\n'
    )
    return head + content + b"\r\n--edge--\r\n"


def content_of(answer: HttpResponse) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content
