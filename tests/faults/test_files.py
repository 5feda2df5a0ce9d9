"""Workers are killed while they write files and read them: no row twice, none lost, and no file that is not whole."""

import csv
import gzip
import signal
import time
import urllib.request
from collections.abc import Callable

import psutil
import pytest

from crm.ids import close_id
from tests.faults.client import Client, key_of
from tests.faults.conftest import manage
from tests.faults.harm import FROZEN_RECOVERY_SECONDS, WORKERS, killed_asleep, slow, whole
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]

LEADS = 10_000  # a file of 10 parts
ROWS = 20_000  # staged in 4 pieces, merged in 20 batches


@pytest.fixture(scope="module")
def carrier(stack: Stack) -> Client:
    """An organization of these tests alone, with leads to export."""
    person = ("--organization", "Carrier", "--email", "carrier@oakvale.example")
    secret = manage(stack, "create_api_key", *person).splitlines()[-1]
    manage(stack, "seed_demo", "--organization", "Carrier", "--leads", str(LEADS))
    return Client(stack, secret, "Carrier")


# --- written ----------------------------------------------------------------------------------------------------------
def start_export(client: Client) -> str:
    body = {"format": "csv", "type": "leads", "fields": ["id", "name"], "results_limit": LEADS}
    return client.call("POST", "/export/lead/", body)["id"]


def wait_for_rows(client: Client, job: str) -> None:
    wait_until(lambda: client.get(job)["n_docs_processed"] > 0, seconds=30, what="rows are written")
    answer = client.get(job)
    assert (answer["status"], answer["download_url"], answer["n_docs"]) == ("in_progress", None, None)


def check_whole(client: Client, job: str) -> None:
    """The file has every lead once, it is the only one, and ledger and mail say so once."""
    client.wait_for_status(job, "done")
    answer, key = client.get(job), key_of(job)
    assert (answer["n_docs"], answer["n_targets"], answer["n_targets_processed"]) == (LEADS, LEADS, LEADS)
    with urllib.request.urlopen(
        answer["download_url"],
        timeout=30,
    ) as file:
        rows = list(csv.DictReader(gzip.decompress(file.read()).decode().splitlines()))
    targets = client.sql("SELECT unnest(lead_ids) FROM bulk_actions_batch WHERE action_id = %s ORDER BY rank", key)
    assert sorted(row["id"] for row in rows) == sorted(close_id("lead", lead) for (lead,) in targets)
    assert len({row["id"] for row in rows}) == LEADS
    kept = "SELECT count(*), bool_and(date_finished IS NOT NULL) FROM bulk_actions_exportfile WHERE action_id = %s"
    assert client.sql(kept, key) == [(1, True)]
    assert len(list((client.stack.home.path / "exports").glob(f"{key.hex}-*"))) == 1
    client.check_one_mail(job)


def writer(stack: Stack) -> list[psutil.Process]:
    pid = stack.pid_of("files")
    assert pid is not None
    return [psutil.Process(pid)]


def test_a_writer_killed_in_the_midst_of_a_file_leaves_nothing_and_the_next_one_writes_all_of_it(
    stack: Stack, carrier: Client
) -> None:
    with slow(stack, "bulk_actions_exportfile", "UPDATE", 0.4):
        job = start_export(carrier)
        wait_for_rows(carrier, job)
        killed = killed_asleep(carrier, "files", lambda: writer(stack))
        carrier.recovers(job, killed, within=FROZEN_RECOVERY_SECONDS)
    check_whole(carrier, job)


def test_a_writer_asked_to_end_does_so_between_two_parts_and_the_next_one_writes_all_of_it(
    stack: Stack, carrier: Client
) -> None:
    with slow(stack, "bulk_actions_exportfile", "UPDATE", 2):  # 20 s for the whole file
        job = start_export(carrier)
        wait_for_rows(carrier, job)
        [process] = writer(stack)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: stack.pid_of("files") not in (process.pid, None), seconds=12, what="another has its place")
        assert carrier.get(job)["status"] == "in_progress"
    check_whole(carrier, job)


def test_bulk_jobs_do_not_wait_for_files(stack: Stack, carrier: Client) -> None:
    """As many files as there are bulk workers, and slots of the organization but one."""
    with slow(stack, "bulk_actions_exportfile", "UPDATE", 2):
        exports = [start_export(carrier) for _ in WORKERS]
        for job in exports:
            wait_for_rows(carrier, job)
        edit = carrier.start_edit(send_done_email=False)
        print(f"the edit took {carrier.wait_until_done(edit, seconds=15):.2f} s")
        assert [carrier.get(job)["status"] for job in exports] == ["in_progress"] * len(exports)
        for job in exports:
            carrier.call("POST", f"/export/{job}/cancel/")

    def is_tidied_up() -> bool:
        keys = [key_of(job).hex for job in exports]
        return not [file for file in (stack.home.path / "exports").iterdir() if file.name.startswith(tuple(keys))]

    wait_until(is_tidied_up, seconds=20, what="the files of the cancelled exports are gone")


# --- read -------------------------------------------------------------------------------------------------------------
def start_import(client: Client, tag: str) -> str:
    rows = (f"{tag} {i},Ida Moss {i},{tag}-{i}@oakvale.example\r\n" for i in range(ROWS))
    return client.upload("/bulk_action/import/", ("Company,Name,Email\r\n" + "".join(rows)).encode())["id"]


def staged(client: Client, job: str) -> bool:
    return bool(client.sql("SELECT FROM bulk_actions_importrow WHERE action_id = %s LIMIT 1", key_of(job)))


def merged(client: Client, job: str) -> bool:
    return client.get(job)["n_leads_processed"] > 0


@pytest.mark.parametrize(("table", "has_begun"), [("bulk_actions_importrow", staged), ("crm_lead", merged)])
def test_workers_killed_in_the_midst_of_an_import_make_each_lead_once(
    stack: Stack, carrier: Client, table: str, has_begun: Callable[[Client, str], bool]
) -> None:
    tag = f"killed{time.time_ns()}"
    with slow(stack, table, "INSERT", 0.3):
        job = start_import(carrier, tag)
        wait_until(lambda: has_begun(carrier, job), seconds=30, what="some of it is done")
        victims = [process for name in WORKERS for process in whole(stack, name)]
        killed = killed_asleep(carrier, "worker", lambda: victims)
        carrier.recovers(job, killed, within=FROZEN_RECOVERY_SECONDS)
    carrier.wait_until_done(job, seconds=60)
    answer, key = carrier.get(job), key_of(job)
    assert (answer["n_leads"], answer["n_succeeded"], answer["n_failed"], answer["n_skipped"]) == (ROWS, ROWS, 0, 0)
    found = carrier.sql(
        "SELECT count(*), count(DISTINCT lead.id), count(DISTINCT detail.email) FROM crm_contactemail AS detail"
        " JOIN crm_contact AS contact ON contact.id = contact_id JOIN crm_lead AS lead ON lead.id = lead_id"
        " WHERE detail.email LIKE %s AND starts_with(lead.name, %s)", f"{tag}-%", tag,
    )  # fmt: skip
    assert found == [(ROWS, ROWS, ROWS)]
    rows = carrier.sql(
        "SELECT count(*), count(DISTINCT number), count(DISTINCT lead_id), bool_and(outcome = 'created')"
        " FROM bulk_actions_importrow WHERE action_id = %s", key,
    )  # fmt: skip
    assert rows == [(ROWS, ROWS, ROWS, True)]
    carrier.check_one_mail(job)
