"""An event on the real stack: made by a call, posted by the worker of mail, also after that was killed in mid-post."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from config.home import PROJECT
from tests.https import Receiver, receiving
from tests.stack import Stack, environment, open_home, wait_until

pytestmark = pytest.mark.faults
ARRIVES_SECONDS = 15
TAKEN_UP_SECONDS = 60  # the time of an attempt (1 s), the grace for one that is only slow (20 s), and a busy machine


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving(tmp_path) as (receiver, authority):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        monkeypatch.setenv("ALLOW_PRIVATE_WEBHOOK_HOSTS", "true")
        yield receiver


def test_an_event_arrives_also_when_the_worker_that_had_it_in_hand_was_killed(receiver: Receiver) -> None:
    with open_home() as home, Stack(home, workers=1) as stack:
        made = subprocess.run(
            [sys.executable, "manage.py", "create_api_key", "--organization", "Oakvale", "--email", "ada@x.example",
             "--dialect", "gomega"],
            cwd=PROJECT, env=environment(home), check=True, capture_output=True, text=True,
        )  # fmt: skip
        *_, secret, customer = made.stdout.split()

        def call(path: str, body: dict[str, object]) -> dict[str, object]:
            request = urllib.request.Request(
                f"{stack.url}/api/agents/crm{path}",
                json.dumps(body).encode(),
                {"Authorization": f"Bearer {secret}", "x-customer-id": customer, "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)

        call("/lead-webhooks", {"url": receiver.url, "timeout_seconds": 1})
        first = call("/leads", {"contact_name": "Ada"})["lead"]["id"]
        wait_until(lambda: len(receiver.received) == 1, seconds=ARRIVES_SECONDS, what="the event has arrived")
        assert receiver.received[0].json()["lead"]["id"] == first

        killed = threading.Event()
        receiver.answering = lambda handler: killed.wait(30)
        second = call("/leads", {"contact_name": "Bea"})["lead"]["id"]
        wait_until(lambda: len(receiver.received) == 2, seconds=ARRIVES_SECONDS, what="the event is in hand")
        stack.kill("mail")
        receiver.answering = lambda handler: None
        killed.set()
        wait_until(lambda: len(receiver.received) > 2, seconds=TAKEN_UP_SECONDS, what="it is posted again")
        again = receiver.received[-1]
        assert again.json()["lead"]["id"] == second
        assert again.headers["X-Mega-Delivery"] == receiver.received[1].headers["X-Mega-Delivery"]
        with stack.connect() as database:
            wait_until(
                lambda: (
                    database.execute(
                        "SELECT count(*) FROM crm_webhookdelivery WHERE state = 'delivered' AND lead_id = ANY(%s)",
                        [[UUID(first), UUID(second)]],
                    ).fetchone()[0]
                    == 2
                ),
                seconds=ARRIVES_SECONDS,
                what="both are written down",
            )
