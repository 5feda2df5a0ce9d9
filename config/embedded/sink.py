"""A local SMTP server that delivers to nobody: each message it accepts becomes one `.eml` file in the home's `mail`.

Run as `python -m config.embedded.sink`. The system chooses a free port; it stands in the home's `smtp-port`.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import smtplib
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from config.home import PROJECT, Home
from config.processes import CannotStart, Process, Program

START_SECONDS = 30


class Keeper:
    """aiosmtpd's handler: accepts everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        # The time first, so that names sort by arrival. Renamed into place, so that no reader sees half a message.
        name = f"{time.time_ns()}-{secrets.token_hex(4)}"
        draft = self._folder / f".{name}"
        recipients = ", ".join(envelope.rcpt_tos)
        draft.write_bytes(f"X-RcptTo: {recipients}\r\n".encode() + bytes(envelope.content or b""))
        draft.rename(self._folder / f"{name}.eml")
        return "250 OK"


async def serve(home: Home) -> None:
    """Listen on 127.0.0.1 until SIGTERM or SIGINT."""
    home.mail.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)

    def session() -> SMTP:
        return SMTP(Keeper(home.mail), hostname="sink.localhost", enable_SMTPUTF8=True, ident="Drover mail sink")

    try:
        # After a restart the same port again, where it is still free: clients may remember it.
        server = await loop.create_server(session, "127.0.0.1", port_of(home) or 0)
    except OSError:
        server = await loop.create_server(session, "127.0.0.1", 0)
    draft = home.sink_port_file.with_suffix(".draft")
    draft.write_text(str(server.sockets[0].getsockname()[1]))
    draft.replace(home.sink_port_file)
    await ending.wait()
    server.close()


def port_of(home: Home) -> int | None:
    """The port that the sink of that home listens on, or listened on last; None when it never ran."""
    try:
        return int(home.sink_port_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def program(home: Home) -> Program:
    return Program(
        name="sink",
        command=(sys.executable, "-m", "config.embedded.sink"),
        environment={**os.environ, "DROVER_HOME": str(home.path)},
        log=home.path / "logs" / "sink.log",
        folder=PROJECT,
    )


def is_ready(home: Home) -> bool:
    """Whether the sink greets."""
    with contextlib.suppress(OSError, smtplib.SMTPException):
        if port := port_of(home):
            with smtplib.SMTP("127.0.0.1", port, timeout=2) as client:
                return client.noop()[0] == 250
    return False


def wait_until_ready(home: Home, process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(home):
        if process.exit_code is not None:
            raise CannotStart(f"The mail sink ended while starting:\n{process.last_words()}")
        if time.monotonic() > deadline:
            raise CannotStart(f"The mail sink does not answer after {START_SECONDS} s.")
        time.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(serve(Home.from_environment()))
