"""The few calls that the demo makes, through the official Close client, unmodified."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

from closeio_api import API, APIError

from config.demo.errors import DemoFailed, expect
from crm.ids import from_base62

Json = dict[str, object]
POLL_SECONDS = 0.2
FINAL = ("done", "error")


class Crm:
    """One organization as a script of its owner sees it."""

    def __init__(self, url: str, secret: str) -> None:
        self._client = API(f"{url}/api/v1/", api_key=secret)

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """`method` is one of the client's own: get (with parameters as `body`), post, put. Raises `DemoFailed`."""
        try:
            return getattr(self._client, method)(path, *([body] if body is not None else []))
        except APIError as error:
            raise DemoFailed(
                f"{method.upper()} {path}/ was refused with {error.response.status_code}: {error.response.text[:300]}"
            ) from error

    def upload(self, file: Path) -> Json:
        """Hand in a file that is to be imported. Raises `DemoFailed`."""
        try:
            with file.open("rb") as content:
                return self._client.post("bulk_action/import/upload", None, files={"file": (file.name, content)})
        except APIError as error:
            raise DemoFailed(f"{file} was refused: {error.response.text[:300]}") from error

    def count(self, *conditions: Json) -> int:
        """How many leads match all conditions now."""
        found = self.call(
            "post", "data/search", {"query": leads(*conditions), "results_limit": 0, "include_counts": True}
        )
        return found["count"]["total"]

    def follow(
        self,
        path: str,
        seconds: float,
        show: Callable[[Json], None],
        until: Callable[[Json], bool] = lambda job: job["status"] in FINAL,
    ) -> Json:
        """Poll the job at `path` until `until` holds; `show` sees every answer. Raises `DemoFailed` after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.call("get", path)
            show(job)
            if until(job):
                return job
            expect(job["status"] != "error", f"The job ended as error: {job.get('error_message') or job.get('error')}.")
            expect(
                time.monotonic() < deadline,
                f"After {seconds:.0f} s the job was still {job['status']},"
                f" {with_counts(job)['n_leads_processed']} of {with_counts(job)['n_leads']} leads done.",
            )
            time.sleep(POLL_SECONDS)


def with_counts(job: Json) -> Json:
    """A job with the counts of bulk actions: an export tells them under names of its own."""
    if "n_targets" not in job:
        return job
    return {**job, "n_leads": job["n_targets"], "n_leads_processed": job["n_targets_processed"]}


def key_of(close_id: str) -> UUID:
    """The key behind an id of the API."""
    key = from_base62(close_id.rpartition("_")[2])
    expect(key is not None, f"{close_id} is not an id of this server.")
    return key


def leads(*conditions: Json) -> Json:
    """The query for leads that match all conditions."""
    return {"type": "and", "queries": [{"type": "object_type", "object_type": "lead"}, *conditions]}


def lead_field(name: str) -> Json:
    return {"type": "regular_field", "object_type": "lead", "field_name": name}


def has_status(status_id: str, *, negate: bool = False) -> Json:
    condition = {"type": "reference", "reference_type": "status.lead", "object_ids": [status_id]}
    return {"type": "field_condition", "field": lead_field("status_id"), "condition": condition, "negate": negate}


def has_choice(field_id: str, values: Iterable[str]) -> Json:
    field = {"type": "custom_field", "custom_field_id": field_id}
    return {"type": "field_condition", "field": field, "condition": {"type": "term", "values": list(values)}}
