"""A client of the stack, and what it may rely on at the end of each story."""

import base64
import json
import time
import urllib.error
import urllib.request
from email import policy
from email.parser import BytesParser
from typing import Any

from crm.ids import parse_close_id
from tests.stack import Stack, wait_until


class Client:
    """Speaks to the stack over HTTP, and looks into its database to see what really happened."""

    def __init__(self, stack: Stack, secret: str, organization: str) -> None:
        self.stack = stack
        self.organization = organization
        self._authorization = "Basic " + base64.b64encode(f"{secret}:".encode()).decode()

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.stack.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self._authorization, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def status_of(self, path: str) -> int:
        """The status code of a GET, whatever it is."""
        try:
            self.call("GET", path)
        except urllib.error.HTTPError as refused:
            return refused.code
        return 200

    def start_edit(self, **more: object) -> str:
        """A bulk edit of every lead to a status that no lead has yet; returns its id."""
        status = self.call("POST", "/status/lead/", {"label": f"Reached {time.time_ns()}"})["id"]
        body = {"s_query": {"type": "match_all"}, "type": "set_lead_status", "lead_status_id": status, **more}
        return self.call("POST", "/bulk_action/edit/", body)["id"]

    def get(self, job: str) -> dict[str, Any]:
        return self.call("GET", f"/bulk_action/edit/{job}/")

    def put(self, job: str, status: str) -> dict[str, Any]:
        return self.call("PUT", f"/bulk_action/edit/{job}/", {"status": status})

    def wait_for_progress(self, job: str) -> int:
        """Until some leads are done and most are not; returns how many."""
        wait_until(lambda: self.get(job)["n_leads_processed"] > 0, seconds=30, what="the job moves")
        return self.get(job)["n_leads_processed"]

    def wait_for_status(self, job: str, *statuses: str) -> str:
        """Until the job has one of these statuses; returns it."""
        seen: list[str] = []

        def look() -> bool:
            seen.append(self.get(job)["status"])
            return seen[-1] in statuses

        wait_until(look, seconds=30, what=f"one of {statuses}")
        return seen[-1]

    def wait_until_done(self, job: str, *, seconds: float) -> float:
        """Returns the seconds it took from now."""
        began = time.monotonic()
        wait_until(lambda: self.get(job)["status"] == "done", seconds=seconds, what=f"done; is {self.get(job)}")
        return time.monotonic() - began

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.stack.connect() as connection:
            return connection.execute(statement, parameters).fetchall()

    def check_each_lead_was_changed_once(self, job: str, leads: int) -> None:
        """Every target changed exactly once, nothing else touched, counters right, one done mail."""
        answer, key = self.get(job), parse_close_id("bulkedit", job)
        assert (answer["status"], answer["n_leads"], answer["n_succeeded"]) == ("done", leads, leads)
        assert answer["n_unchanged"] == answer["n_skipped"] == answer["n_failed"] == 0
        changes = self.sql(
            "SELECT count(*), count(DISTINCT lead_id) FROM crm_leadstatuschange WHERE bulk_action_id = %s", key
        )
        assert changes == [(leads, leads)]
        status = parse_close_id("stat", answer["lead_status_id"])
        statuses = self.sql(
            "SELECT status_id, count(*) FROM crm_lead JOIN crm_organization o ON o.id = organization_id"
            " WHERE o.name = %s GROUP BY 1", self.organization,
        )  # fmt: skip
        assert statuses == [(status, leads)]
        ledger = self.sql(
            "SELECT sum(n_leads), sum(cardinality(changed_ids)), sum(jsonb_array_length(before)),"
            " bool_and(date_done IS NOT NULL) FROM bulk_actions_batch WHERE action_id = %s", key,
        )  # fmt: skip
        assert ledger == [(leads, leads, leads, True)]
        wait_until(lambda: self._mails_about(job) > 0, seconds=20, what="the done mail arrives")
        assert self._mails_about(job) == 1
        assert self.sql("SELECT state FROM crm_outboxmail WHERE source_id = %s", key) == [("sent",)]

    def _mails_about(self, job: str) -> int:
        """How many mails that arrived name the job by its id."""
        files = self.stack.home.mail.glob("*.eml")
        mails = (BytesParser(policy=policy.default).parsebytes(file.read_bytes()) for file in files)
        return sum(job in mail.get_content() for mail in mails)
