"""A client of the stack, and what it may rely on at the end of each story."""

import base64
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from typing import Any
from uuid import UUID

import psycopg

from crm.ids import parse_close_id
from tests.stack import Stack, wait_until

MATCH_ALL = {"type": "match_all"}
LEADS = 20_000  # of the organization that harm is done to
BYSTANDER = "Bystander"  # an organization that nothing is done to
# By the prefix of a job's id.
_PATHS = {
    "bulkedit": "bulk_action/edit",
    "bulkemail": "bulk_action/email",
    "bulkseqsub": "bulk_action/sequence_subscription",
    "bulkimport": "bulk_action/import",
    "expo": "export",
}


def key_of(job: str) -> UUID:
    """The key behind the id of a job of any kind."""
    key = parse_close_id(job.partition("_")[0], job)
    assert key is not None
    return key


def path_of(job: str) -> str:
    return f"/{_PATHS[job.partition('_')[0]]}/{job}/"


@dataclass(frozen=True)
class Undisturbed:
    """What a job that nothing disturbed left behind (`Client.end_state`), and the leads that are nobody's target."""

    end_state: str
    bystanders: str


class Client:
    """Speaks to the stack over HTTP, and looks into its database to see what really happened."""

    def __init__(self, stack: Stack, secret: str, organization: str) -> None:
        self.stack = stack
        self.organization = organization
        self.undisturbed = Undisturbed("", "")
        self._authorization = "Basic " + base64.b64encode(f"{secret}:".encode()).decode()

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return self._send(method, path, None if body is None else json.dumps(body).encode(), "application/json")

    def upload(self, path: str, content: bytes) -> dict[str, Any]:
        """POST a form whose `file` is a CSV file with this content."""
        edge = "a-line-that-stands-in-no-file"
        disposition = 'Content-Disposition: form-data; name="file"; filename="rows.csv"'
        form = f"--{edge}\r\n{disposition}\r\n\r\n".encode() + content + f"\r\n--{edge}--\r\n".encode()
        return self._send("POST", path, form, f"multipart/form-data; boundary={edge}")

    def _send(self, method: str, path: str, data: bytes | None, media_type: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.stack.url}/api/v1{path}",
            method=method,
            data=data,
            headers={"Authorization": self._authorization, "Content-Type": media_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            refused.add_note(refused.read().decode())
            raise

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
        body = {"s_query": MATCH_ALL, "type": "set_lead_status", "lead_status_id": status, **more}
        return self.call("POST", "/bulk_action/edit/", body)["id"]

    def get(self, job: str) -> dict[str, Any]:
        return self.call("GET", path_of(job))

    def put(self, job: str, status: str) -> dict[str, Any]:
        return self.call("PUT", path_of(job), {"status": status})

    def wait_for_progress(self, job: str) -> int:
        """Until some leads are done and most are not; returns how many."""
        wait_until(lambda: self.get(job)["n_leads_processed"] > 0, seconds=30, what="the job moves")
        answer = self.get(job)
        assert answer["n_leads_processed"] < answer["n_leads"] / 2
        return answer["n_leads_processed"]

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

    def recovers(self, job: str, since: float, *, within: float) -> None:
        """The job commits a batch within so many seconds after `since` (seconds of the epoch), which are printed."""
        query = "SELECT extract(epoch FROM min(date_done))::float8 FROM bulk_actions_batch WHERE action_id = %s"
        key, found = key_of(job), [None]

        def committed() -> bool:
            try:
                [found[:]] = self.sql(f"{query} AND date_done > to_timestamp(%s)", key, since)
            except psycopg.OperationalError:  # the server may be what recovers
                return False
            return found[0] is not None

        wait_until(committed, seconds=within + 20, what="the job commits a batch again")
        seconds = found[0] - since
        print(f"committed again after {seconds:.2f} s")
        assert seconds < within

    def finish_freely(self, job: str) -> None:
        """Lift the job's ceiling, and wait for its end."""
        self.call("PUT", path_of(job), {"leads_per_minute": None})
        self.wait_until_done(job, seconds=60)

    def end_state(self, status: str | None = None) -> str:
        """A digest of every lead of the organization, but for when it was updated; with `status` (a key) each status
        counts for whether it is this one."""
        shown = "'{}'" if status is None else "jsonb_build_object('status_id', lead.status_id = %(status)s)"
        [[digest]] = self._digest(f"to_jsonb(lead) - 'date_updated' || {shown}", self.organization, status)
        return digest

    def bystanders(self, organization: str) -> str:
        """A digest of everything that the leads of another organization hold."""
        [[digest]] = self._digest("to_jsonb(lead)", organization, None)
        return digest

    def _digest(self, row: str, organization: str, status: str | None) -> list[tuple[Any, ...]]:
        with self.stack.connect() as connection:
            return connection.execute(
                f"SELECT md5(string_agg(md5(({row})::text), '' ORDER BY lead.id)) FROM crm_lead AS lead"
                " JOIN crm_organization AS o ON o.id = lead.organization_id WHERE o.name = %(organization)s",
                {"organization": organization, "status": status},
            ).fetchall()

    def check_each_lead_was_changed_once(self, job: str) -> None:
        """Every target changed exactly once, nothing else touched, counters right, one done mail, and the end state
        that of a run that nothing disturbed."""
        answer = self.get(job)
        self.check_counts(job, succeeded=LEADS)
        status = parse_close_id("stat", answer["lead_status_id"])
        assert self.end_state(status) == self.undisturbed.end_state
        self.check_one_mail(job)

    def check_counts(self, job: str, *, succeeded: int, failed: int = 0) -> None:
        """The job is done with these counts, so is its ledger, each lead was changed once at most, and no other."""
        answer, key = self.get(job), key_of(job)
        counts = ("done", succeeded + failed, succeeded, failed)
        assert (answer["status"], answer["n_leads"], answer["n_succeeded"], answer["n_failed"]) == counts
        assert answer["n_unchanged"] == answer["n_skipped"] == 0
        changes = self.sql(
            "SELECT count(*), count(DISTINCT lead_id) FROM crm_leadstatuschange WHERE bulk_action_id = %s", key
        )
        assert changes == [(succeeded, succeeded)]
        ledger = self.sql(
            "SELECT sum(n_leads), sum(cardinality(changed_ids)), sum(jsonb_array_length(before)),"
            " bool_and(date_done IS NOT NULL) FROM bulk_actions_batch WHERE action_id = %s", key,
        )  # fmt: skip
        assert ledger == [(succeeded + failed, succeeded, succeeded, True)]
        assert self.bystanders(BYSTANDER) == self.undisturbed.bystanders

    def check_one_mail(self, job: str) -> None:
        """One mail about the job was written, sent, and arrived."""
        wait_until(lambda: self._mails_about(job) > 0, seconds=20, what="the done mail arrives")
        assert self._mails_about(job) == 1
        key = key_of(job)
        wait_until(lambda: self._outbox(key) != [("sending",)], seconds=20, what="the done mail is known to have left")
        assert self._outbox(key) == [("sent",)]

    def _outbox(self, key: object) -> list[tuple[Any, ...]]:
        return self.sql("SELECT state FROM crm_outboxmail WHERE source_id = %s", key)

    def _mails_about(self, job: str) -> int:
        """How many mails that arrived name the job by its id."""
        files = self.stack.home.mail.glob("*.eml")
        mails = (BytesParser(policy=policy.default).parsebytes(file.read_bytes()) for file in files)
        return sum(job in mail.get_content() for mail in mails)
