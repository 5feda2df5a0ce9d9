"""The demo's work on leads that are there. Each job shows its progress, checks what it promises, returns its counts."""

import time
from collections.abc import Callable

from config.demo.api import FINAL, Crm, Json, has_choice, has_status, lead_field, leads
from config.demo.errors import DemoFailed, expect
from config.demo.mails import Inbox, recipient_of
from config.demo.screen import JobProgress, Screen

CEILING_SECONDS = 10  # what the ceiling makes the status edit last, so that there is time to pause it
PAUSE_AT = 0.4  # of its leads
STAND_STILL_SECONDS = 2.0
JOB_SECONDS = 60
FIELD_NAME = "Mailings"
TEMPLATE = {
    "name": "Demo: new hours",
    "subject": "New hours, also for {{ lead.display_name }}",
    "body": (
        "<p>Dear {{ contact.name | default: 'reader' }},</p>"
        "<p>from next month on we open at eight. Nothing changes for {{ lead.display_name }}"
        "{% if lead.address.city %} in {{ lead.address.city }}{% endif %}.</p>"
        '<p>{{ organization.name }}</p><p><a href="{{ unsubscribe_link }}">No more of these</a></p>'
    ),
}


def set_status(crm: Crm, screen: Screen) -> Json:
    """Move every lead that is not there yet to the status that has the fewest; pause half-way, resume, finish."""
    status, n_before, n_matching = _emptiest_status(crm)
    screen.title(f'1. Bulk edit: set the status of {n_matching:,} leads to "{status["label"]}"')
    started = time.monotonic()
    job = crm.call(
        "post",
        "bulk_action/edit",
        {
            "s_query": leads(has_status(status["id"], negate=True)),
            "type": "set_lead_status",
            "lead_status_id": status["id"],
            "leads_per_minute": max(n_matching * 60 // CEILING_SECONDS, 60),
        },
    )

    def n_moved() -> int:
        return crm.count(has_status(status["id"])) - n_before

    with screen.progress("set_lead_status") as progress:
        follow = _follower(crm, "edit", job, progress)
        follow(lambda job: job["n_leads"] is not None and job["n_leads_processed"] >= PAUSE_AT * job["n_leads"])
        pause = _pause_and_watch(crm, job["id"], n_moved, progress)
        resumed = crm.call("put", f"bulk_action/edit/{job['id']}", {"status": "resuming"})
        expect(resumed["status"] in ("resuming", "processing"), f"Resume answered status {resumed['status']}.")
        job = follow(None)
    counts = _checked_counts(job, n_matching, n_changed=n_moved())
    return {**counts, "seconds": round(time.monotonic() - started, 1), **pause}


def add_choice(crm: Crm, screen: Screen) -> Json:
    """Add a new choice to a multi-value custom field of every lead."""
    field, value = _field_with_new_choice(crm)
    n_matching = crm.count()
    screen.title(f'2. Bulk edit: add "{value}" to the multi-value field {FIELD_NAME} of {n_matching:,} leads')
    started = time.monotonic()
    job = crm.call(
        "post",
        "bulk_action/edit",
        {
            "s_query": leads(),
            "type": "set_custom_field",
            "custom_field_id": field["id"],
            "custom_field_values": [value],
            "custom_field_operation": "add",
        },
    )
    with screen.progress("set_custom_field") as progress:
        job = _follower(crm, "edit", job, progress)(None)
    counts = _checked_counts(job, n_matching, n_changed=crm.count(has_choice(field["id"], [value])))
    return {**counts, "seconds": round(time.monotonic() - started, 1)}


def delete_oldest(crm: Crm, screen: Screen, limit: int) -> Json:
    """Delete the `limit` oldest leads."""
    n_before = crm.count()
    screen.title(f"3. Bulk delete: the {limit:,} oldest of {n_before:,} leads")
    started = time.monotonic()
    job = crm.call(
        "post",
        "bulk_action/delete",
        {
            "s_query": leads(),
            "sort": [{"direction": "asc", "field": lead_field("date_created")}],
            "results_limit": limit,
        },
    )
    with screen.progress("delete") as progress:
        job = _follower(crm, "delete", job, progress)(None)
    counts = _checked_counts(job, min(limit, n_before), n_changed=n_before - crm.count())
    return {**counts, "seconds": round(time.monotonic() - started, 1)}


def send_mails(crm: Crm, screen: Screen, limit: int, inbox: Inbox) -> Json:
    """Write to the first contact of each of the `limit` newest leads; hold what arrived against the job's results."""
    template = _template(crm)
    n_expected = min(limit, crm.count())
    screen.title(f'4. Bulk email: "{template["name"]}" to {n_expected:,} contacts')
    started = time.monotonic()
    job = crm.call(
        "post",
        "bulk_action/email",
        {
            "s_query": leads(),
            "sort": [{"direction": "desc", "field": lead_field("date_created")}],
            "results_limit": limit,
            "template_id": template["id"],
            "contact_preference": "lead",
        },
    )
    with screen.progress("email") as progress:
        job = _follower(crm, "email", job, progress)(None)
    results = crm.call("get", f"bulk_action/email/{job['id']}/results", {"outcome": "succeeded", "_limit": limit})[
        "data"
    ]
    arrived = sorted(recipient_of(mail) for mail in inbox.letters())
    expect(
        arrived == sorted(row["email"].lower() for row in results) and len(arrived) == len(set(arrived)),
        f"{len(arrived)} mails arrived for {len(set(arrived))} addresses; the job says that {len(results)} have left.",
    )
    counts = _checked_counts(job, n_expected, n_changed=len(arrived))
    return {**counts, "seconds": round(time.monotonic() - started, 1)}


def cancel_left_overs(crm: Crm) -> int:
    """End what a demo that was interrupted has left running or paused; returns how many jobs that were."""
    found = [
        f"{kind}/{job['id']}"
        for kind in ("bulk_action/edit", "bulk_action/delete", "bulk_action/email", "bulk_action/import", "export")
        for job in crm.call("get", kind)["data"]
        if job["status"] not in FINAL
    ]
    for path in found:
        crm.call("post", f"{path}/cancel", {})
    return len(found)


def _follower(crm: Crm, kind: str, job: Json, progress: JobProgress) -> Callable[[Callable[[Json], bool] | None], Json]:
    """A function that shows the job until its argument holds (None: until it has ended)."""
    progress.show(job)

    def follow(until: Callable[[Json], bool] | None) -> Json:
        return crm.follow(
            f"bulk_action/{kind}/{job['id']}", JOB_SECONDS, progress.show, **({"until": until} if until else {})
        )

    return follow


def _pause_and_watch(crm: Crm, job_id: str, n_moved: Callable[[], int], progress: JobProgress) -> Json:
    asked = time.monotonic()
    paused = crm.call("put", f"bulk_action/edit/{job_id}", {"status": "paused"})
    pause_seconds = time.monotonic() - asked
    expect(paused["status"] == "paused", f"Pause answered status {paused['status']}.")
    expect(
        0 < paused["n_leads_processed"] < paused["n_leads"],
        f"The job could not be paused half-way: it stood at {paused['n_leads_processed']} of {paused['n_leads']}.",
    )
    progress.say(f"paused in {pause_seconds * 1000:.0f} ms at {paused['n_leads_processed']:,} of {paused['n_leads']:,}")
    n_looks, until = 0, time.monotonic() + STAND_STILL_SECONDS
    while time.monotonic() < until:
        time.sleep(STAND_STILL_SECONDS / 5)
        job, moved = crm.call("get", f"bulk_action/edit/{job_id}"), n_moved()
        progress.show(job)
        expect(
            job["status"] == "paused" and job["n_leads_processed"] == paused["n_leads_processed"],
            f"The paused job went on: {job['status']}, {job['n_leads_processed']} processed"
            f" after {paused['n_leads_processed']} at the pause.",
        )
        expect(
            moved == paused["n_succeeded"],
            f"The pause answered {paused['n_succeeded']} changed leads, but {moved} have the new status.",
        )
        n_looks += 1
    progress.say(
        f"looked {n_looks} times in {STAND_STILL_SECONDS:.0f} s: nothing moved, {moved:,} leads have the new status"
    )
    return {"paused_at": paused["n_leads_processed"], "pause_ms": round(pause_seconds * 1000)}


def _checked_counts(job: Json, n_expected: int, *, n_changed: int) -> Json:
    """The counts of an ended job, once they agree with what was asked for and with what the leads say."""
    counts = {key: job[key] for key in ("id", "n_leads", "n_succeeded", "n_unchanged", "n_skipped", "n_failed")}
    expect(job["status"] == "done", f"The job ended as {job['status']}: {job.get('error_message')}.")
    expect(job["n_leads"] == n_expected, f"The job took {job['n_leads']} leads where {n_expected} match.")
    sum_of_outcomes = counts["n_succeeded"] + counts["n_unchanged"] + counts["n_skipped"] + counts["n_failed"]
    expect(
        sum_of_outcomes == job["n_leads"] == job["n_leads_processed"],
        f"The counts do not add up: {sum_of_outcomes} outcomes, {job['n_leads_processed']} processed,"
        f" {job['n_leads']} leads.",
    )
    expect(counts["n_failed"] == 0, f"{counts['n_failed']} leads failed.")
    expect(
        counts["n_succeeded"] == n_changed,
        f"The job counts {counts['n_succeeded']} changes, the leads show {n_changed}.",
    )
    return {**counts, "leads_per_second": round(job["leads_per_second"] or 0)}


def _emptiest_status(crm: Crm) -> tuple[Json, int, int]:
    """The status with the fewest leads, how many those are, and how many leads are in another one."""
    statuses = crm.call("get", "status/lead")["data"]
    if not statuses:
        raise DemoFailed("The organization has no lead statuses.")
    n_leads = {status["id"]: crm.count(has_status(status["id"])) for status in statuses}
    emptiest = min(statuses, key=lambda status: n_leads[status["id"]])
    return emptiest, n_leads[emptiest["id"]], crm.count() - n_leads[emptiest["id"]]


def _template(crm: Crm) -> Json:
    """The demo's own template, with today's text."""
    known = crm.call("get", "email_template", {"_limit": 200})["data"]
    mine = next((one for one in known if one["name"] == TEMPLATE["name"]), None)
    return (
        crm.call("put", f"email_template/{mine['id']}", TEMPLATE)
        if mine
        else crm.call("post", "email_template", TEMPLATE)
    )


def _field_with_new_choice(crm: Crm) -> tuple[Json, str]:
    """The demo's own field, with a choice that no lead has yet: each run adds one."""
    fields = crm.call("get", "custom_field_schema/lead")["fields"]
    field = next((field for field in fields if field["name"] == FIELD_NAME), None)
    choices = list(field["choices"]) if field else []
    value = f"Mailing {len(choices) + 1}"
    choices.append(value)
    if field is None:
        new = {"name": FIELD_NAME, "type": "choices", "accepts_multiple_values": True, "choices": choices}
        return crm.call("post", "custom_field/lead", new), value
    return crm.call("put", f"custom_field/lead/{field['id']}", {"choices": choices}), value
