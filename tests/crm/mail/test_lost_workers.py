"""Delivery workers that are killed or frozen: real processes, at most one chunk in doubt, no address twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from crm.mail import delivery
from crm.models import MailState, OutboxMail
from tests.smtp import Post
from tests.stack import wait_until

Reserve = Callable[..., OutboxMail]
pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def delivery_worker() -> Iterator[subprocess.Popen[bytes]]:
    """A worker process on this test's database and mail server; killed at the end if it still lives."""
    worker = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("deliver_forever.py")), connection.settings_dict["NAME"]],
        env={
            **os.environ,
            "EMAIL_URL": django_settings.EMAIL_URL,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def settle() -> None:
    """Sweep as if the sweep's age had passed, until the server has let go of what the lost worker had locked."""

    def nothing_in_hand() -> bool:
        in_hand = OutboxMail.objects.filter(state=MailState.SENDING)
        in_hand.select_for_update(skip_locked=True).update(claimed_at=timezone.now() - timedelta(minutes=1))
        delivery.sweep_lost()
        return not in_hand.exists()

    wait_until(nothing_in_hand, seconds=20, what="the server has ended the lost worker's transaction")


def states() -> Counter[str]:
    return Counter(OutboxMail.objects.values_list("state", flat=True))


def assert_nobody_was_written_to_twice(post: Post, number_of_mails: int) -> None:
    assert set(post.recipients.values()) <= {1}
    sent = set(OutboxMail.objects.filter(state=MailState.SENT).values_list("address", flat=True))
    in_doubt = set(OutboxMail.objects.filter(state=MailState.UNKNOWN).values_list("address", flat=True))
    assert len(sent) + len(in_doubt) == number_of_mails
    assert sent <= set(post.recipients) <= sent | in_doubt


def test_a_killed_worker_leaves_at_most_one_chunk_in_doubt(post: Post, reserve: Reserve) -> None:
    post.seconds_per_letter = 0.01
    for number in range(120):
        reserve(f"ida{number}@oakvale.example")

    for kills, letters in ((1, 13), (2, 47), (3, 86)):
        with delivery_worker() as worker:
            # Every letter is looked for, so that the kill comes in the middle of a chunk.
            wait_until(
                lambda letters=letters: len(post.letters) >= letters, seconds=20, what=f"{letters} letters", every=0.005
            )
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        settle()
        assert states()[MailState.UNKNOWN] <= kills * django_settings.MAIL_CHUNK

    assert delivery.deliver_slice(20) is False
    assert_nobody_was_written_to_twice(post, 120)
    assert states()[MailState.UNKNOWN] >= 1  # the kills did hit chunks


def test_a_frozen_worker_loses_its_chunk_and_sends_none_of_it_later(post: Post, reserve: Reserve) -> None:
    post.seconds_per_letter = 0.05
    for number in range(30):
        reserve(f"ida{number}@oakvale.example")

    with delivery_worker() as worker:
        wait_until(lambda: len(post.letters) >= 6, seconds=20, what="six letters")
        os.kill(worker.pid, signal.SIGSTOP)
        settle()  # the server ends the frozen worker's transaction
        in_doubt = set(OutboxMail.objects.filter(state=MailState.UNKNOWN).values_list("address", flat=True))
        received = set(post.recipients)
        assert 1 <= len(in_doubt) <= django_settings.MAIL_CHUNK
        os.kill(worker.pid, signal.SIGCONT)
        wait_until(
            lambda: states().keys().isdisjoint([MailState.RESERVED, MailState.SENDING]),  # seen at one moment
            seconds=20,
            what="the rest is sent",
        )

    assert_nobody_was_written_to_twice(post, 30)
    assert len((set(post.recipients) - received) & in_doubt) <= 1  # the one it was in the middle of
    assert set(OutboxMail.objects.filter(state=MailState.UNKNOWN).values_list("address", flat=True)) == in_doubt
