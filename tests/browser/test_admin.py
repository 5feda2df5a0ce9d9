"""A person at a browser watches a job move, pauses it and lets it go on."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from config.home import PROJECT
from config.supervisor import ADMIN_EMAIL
from crm.ids import parse_close_id
from tests.stack import Stack, environment

LEADS = 3000
PER_MINUTE = 9000  # so that the job takes 20 s
CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.skipif(CHROMIUM is None, reason="There is no `chromium` on PATH."),
]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(15_000)
        yield opened
        browser.close()


def manage(stack: Stack, *arguments: str) -> str:
    """What `manage.py` prints beside the running stack."""
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    return subprocess.run(command, env=environment(stack.home), check=True, stdout=subprocess.PIPE, text=True).stdout


def call(stack: Stack, secret: str, method: str, path: str, body: object = None) -> dict[str, object]:
    """The JSON answer of the Close dialect."""
    request = urllib.request.Request(
        f"{stack.url}/api/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def keep_picture(page: Page, name: str) -> None:
    if folder := os.environ.get("DROVER_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def figure(page: Page, name: str) -> int:
    text = page.locator(f"[data-figure={name}]").inner_text()
    return int(text.replace("\u2009", ""))


def open_dialog(page: Page, button: str, title: str) -> None:
    page.get_by_role("link", name=re.compile(rf"\b{button}$")).click()  # its icon is a word before it
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    keep_picture(page, f"dialog-{button.lower().replace(' ', '-')}")


def press(page: Page, button: str, submit: str, reason: str) -> None:
    open_dialog(page, button, f"{button} this job")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=submit, exact=True).click()


def test_a_running_job_moves_pauses_and_goes_on(stack: Stack, page: Page) -> None:
    person = ("--organization", "Oakvale", "--email", "jo@oakvale.example", "--role", "admin")
    secret = manage(stack, "create_api_key", *person).split()[-1]
    manage(stack, "seed_demo", "--organization", "Oakvale", "--leads", str(LEADS))
    status = call(stack, secret, "POST", "status/lead/", {"label": "Called at the fair"})
    order = {
        "s_query": {"type": "match_all"},
        "type": "set_lead_status",
        "lead_status_id": status["id"],
        "leads_per_minute": PER_MINUTE,
        "send_done_email": False,
    }
    job = call(stack, secret, "POST", "bulk_action/edit/", order)

    page.goto(f"{stack.url}/admin/")
    page.get_by_label("Email").fill(ADMIN_EMAIL)
    page.locator("input[name=password]").fill(stack.home.secret("admin_password"))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("The engine now")).to_be_visible()
    keep_picture(page, "first-page")
    page.goto(f"{stack.url}/admin/bulk_actions/bulkaction/")
    keep_picture(page, "list")
    page.get_by_role("link", name="Edit: set lead status").click()

    expect(page.locator("[data-job]")).to_have_attribute("data-status", "processing")
    seen = figure(page, "succeeded")
    page.wait_for_function(
        "before => Number(document.querySelector('[data-figure=succeeded]').innerText.replace(/\\D/g, '')) > before",
        arg=seen,
    )
    keep_picture(page, "running")

    press(page, "Pause", "Pause", reason="lunch")
    expect(page.locator("[data-job]")).to_have_attribute("data-status", "paused")
    expect(page.get_by_text("lunch").first).to_be_visible()
    keep_picture(page, "paused")
    held = figure(page, "succeeded")
    assert 0 < held < LEADS
    page.wait_for_timeout(1500)  # two rounds of the page's own questions
    assert figure(page, "succeeded") == held
    told = call(stack, secret, "GET", f"bulk_action/edit/{job['id']}/")
    assert (told["status"], told["n_leads_processed"]) == ("paused", held)

    open_dialog(page, "Pace", "Change the pace of this job")
    expect(page.get_by_label("Leads per minute")).to_have_value(str(PER_MINUTE))
    page.get_by_label("Leads per minute").fill(str(2 * PER_MINUTE))
    page.get_by_label("Priority").select_option("high")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("Changed: it counts within a second")).to_be_visible()
    told = call(stack, secret, "GET", f"bulk_action/edit/{job['id']}/")
    assert (told["leads_per_minute"], told["priority"]) == (2 * PER_MINUTE, "high")
    assert str(parse_close_id("bulkedit", job["id"])) in page.url

    press(page, "Resume", "Resume", reason="back")
    expect(page.locator("[data-job]")).to_have_attribute("data-status", "done", timeout=60_000)
    assert figure(page, "succeeded") == LEADS
    keep_picture(page, "done")
    look_at_results_and_undo(page)
    page.goto(f"{stack.url}/admin/bulk_actions/bulkaction/")
    expect(page.get_by_text("an undo")).to_be_visible()
    keep_picture(page, "list-with-notes")


def look_at_results_and_undo(page: Page) -> None:
    """From the page of a done job to that of its undo, by the links and buttons."""
    page.get_by_role("link", name="Results").click()
    expect(page.get_by_role("cell", name="succeeded").first).to_be_visible()
    keep_picture(page, "results")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("cell", name="101", exact=True)).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download as CSV").click()
    assert len(Path(saved.value.path()).read_text().splitlines()) == LEADS + 1
    page.get_by_role("link", name="←").click()
    open_dialog(page, "Undo", "Undo this job")
    page.get_by_label("Also where the lead was changed since").check()
    page.get_by_role("button", name="Undo the job", exact=True).click()
    expect(page.get_by_text("Undo of")).to_be_visible()
    expect(page.locator("[data-job]")).to_have_attribute("data-status", "done", timeout=60_000)
    assert figure(page, "succeeded") == LEADS
    keep_picture(page, "undo")
