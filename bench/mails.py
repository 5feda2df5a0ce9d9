"""`python -m bench.mails [--quick] [--write-docs]`: how fast bulk email leaves, alone.

From the POST to the status `done`, so through reserve, render, send and confirm, with one delivery worker, into a mail
server that keeps nothing. Against it: the same messages by smtplib over one connection, and by Django's `send_mail`.
"""

import argparse
import smtplib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bench import docs, engine, machine, tables
from bench.engine import JobFailed
from bench.findings import Mailing
from bench.mail_sink import Sink, mail_sink
from bench.stack import temporary_home, world_with
from bench.work import ALL_LEADS
from bench.world import NotOurs, World, fill_reserve
from config.demo.errors import DemoFailed
from config.home import Home

if TYPE_CHECKING:
    from crm.models import OutboxMail

MAILS, QUICK_MAILS = 10_000, 500
REPEATS = 3
CONNECTIONS = 2_000  # mails with a connection of their own: their time does not depend on the number
WORKERS = 2
WARM_UP = 200

_SUBJECT = "New hours, also for {{ lead.display_name }}"
_BODY = """<html><body><p>Dear {{ contact.first_name | default: "reader" }},</p>
<p>from the first of next month our offices are open from eight in the morning until six in the evening, on Fridays
until four. Nothing changes for {{ lead.display_name }}: your contract, your prices and the people you talk to stay as
they are.</p>
<p>If you have questions, answer this mail or call us. {% if contact.title %}As {{ contact.title }} you may want to know
that invoices come on the same day as before.{% endif %}</p>
<p>Kind regards,<br>{{ user.name }}<br>{{ organization.name }}</p>
<p><a href="{{ unsubscribe_link }}">No more of these</a></p></body></html>
"""
_CONTACTS = """
WITH people AS (
    INSERT INTO crm_contact (organization_id, lead_id, name, title, position, custom)
    SELECT organization_id, id, 'Ida Moss', 'Buyer', 0, '{}' FROM crm_lead RETURNING id, organization_id)
INSERT INTO crm_contactemail (organization_id, contact_id, email, position, type)
SELECT organization_id, id, 'ida' || row_number() OVER () || '@oakvale.example', 0, 'office' FROM people
"""
_TABLES = ("crm_contact", "crm_contactemail", "crm_outboxmail", "crm_activity")


def measure(home: Home, n_mails: int, repeats: int) -> Mailing:
    """In a stack of its own, whose mail goes to a mail server of ours. What leads there are it replaces."""
    found = Mailing(
        n_mails=n_mails, n_connections=min(CONNECTIONS, n_mails), date=datetime.now(UTC).date().isoformat(),
        load=machine.load_now(), job=[], loop=[], send_mail=[],
    )  # fmt: skip
    with mail_sink() as sink, world_with(home, workers=WORKERS, EMAIL_URL=f"smtp://127.0.0.1:{sink.port}") as world:
        fill_reserve(world, n_mails, n_with_words=0)
        _job_seconds(world, sink, min(WARM_UP, n_mails))
        for _ in range(repeats):
            found.job.append(_job_seconds(world, sink, n_mails))
            messages = _messages(world)
            found.loop.append(_seconds(sink, n_mails, partial(_loop, sink, messages)))
            found.send_mail.append(
                _seconds(sink, found.n_connections, partial(_send_mail, sink, _mails()[: found.n_connections]))
            )
    return found


def _job_seconds(world: World, sink: Sink, n_mails: int) -> float:
    """One bulk email to so many people. Raises `JobFailed` unless the mail server has taken each mail once."""
    world.restore(n_mails)
    world.connection.execute(f"TRUNCATE {', '.join(_TABLES)} CASCADE")
    world.connection.execute(_CONTACTS)
    world.connection.execute(f"VACUUM (ANALYZE) {', '.join(_TABLES)}")
    world.connection.execute("CHECKPOINT")
    template = world.crm.call("post", "email_template", {"name": "Bench", "subject": _SUBJECT, "body": _BODY})
    body = {
        "s_query": {"type": "and", "queries": [ALL_LEADS]},
        "template_id": template["id"],
        "send_done_email": False,  # the mail server would count that one too
    }

    def run() -> None:
        engine.run_to_end(world, "email", n_mails, lambda: world.crm.call("post", "bulk_action/email", body))

    return _seconds(sink, n_mails, run)


def _seconds(sink: Sink, n_mails: int, send: Callable[[], None]) -> float:
    before, began = sink.n_taken, time.monotonic()
    send()
    seconds = time.monotonic() - began
    if sink.n_taken - before != n_mails:
        raise JobFailed(f"The mail server took {sink.n_taken - before} of {n_mails} mails.")
    return seconds


def _messages(world: World) -> list[tuple[str, str, bytes]]:
    """What the last job has sent: sender, recipient and content."""
    from crm.mail import message

    return [(message.envelope_sender(mail), mail.address, message.as_octets(mail)) for mail in _mails()]


def _loop(sink: Sink, messages: list[tuple[str, str, bytes]]) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port) as smtp:
        for sender, recipient, content in messages:
            smtp.sendmail(sender, [recipient], content)


def _send_mail(sink: Sink, mails: "list[OutboxMail]") -> None:
    from django.core.mail import get_connection, send_mail

    backend = "django.core.mail.backends.smtp.EmailBackend"
    for mail in mails:
        send_mail(
            mail.subject, mail.body_text, mail.sender, [mail.address], html_message=mail.body_html,
            connection=get_connection(backend, host="127.0.0.1", port=sink.port),
        )  # fmt: skip


def _mails() -> "list[OutboxMail]":
    from django.db import connection

    from crm.models import OutboxMail

    found = list(OutboxMail.objects.filter(purpose="bulk").select_related("organization").order_by("id"))
    connection.close()  # the server ends with the stack
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.mails", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few mails, once: to see that it works")
    parser.add_argument("--write-docs", action="store_true", help="write the row into docs/performance.md")
    options = parser.parse_args()
    import django

    try:
        with temporary_home() as home:
            django.setup()  # not before the environment names the database
            found = measure(home, QUICK_MAILS if options.quick else MAILS, 1 if options.quick else REPEATS)
    except (DemoFailed, NotOurs, JobFailed) as problem:
        print(f"The benchmark failed: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    print(tables.mails(found))  # noqa: T201
    if options.write_docs:
        docs.write_sections({"mails": tables.mails(found)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
