"""A mail server that takes everything and keeps nothing: the smallest that a mail can be handed over to."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized

_LARGEST = 1 << 26  # bytes of a message
# PIPELINING (RFC 2920): as the usual servers do. smtplib makes no use of it.
_ANSWERS = {b"QUIT": b"221 bye\r\n", b"EHLO": b"250-sink\r\n250 PIPELINING\r\n"}


@dataclass(frozen=True)
class Sink:
    """Where it listens, on 127.0.0.1."""

    port: int
    taken: Synchronized

    @property
    def n_taken(self) -> int:
        """How many messages it has answered 250 to."""
        return self.taken.value


@contextmanager
def mail_sink() -> Iterator[Sink]:
    """Run it in a process of its own, so that it costs no client any of its time but the way there and back."""
    context = multiprocessing.get_context("spawn")
    taken = context.Value("q", 0)
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, taken), daemon=True)
    process.start()
    try:
        yield Sink(ours.recv(), taken)
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection, taken: Synchronized) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await _talk(reader, writer, taken)
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=_LARGEST)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, taken: Synchronized) -> None:
    """One session, until the client leaves."""
    writer.write(b"220 sink\r\n")
    while command := await reader.readline():
        word = command[:4].upper()
        if word == b"DATA":
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            with taken.get_lock():
                taken.value += 1
        writer.write(_ANSWERS.get(word, b"250 OK\r\n"))
        await writer.drain()
        if word == b"QUIT":
            return
