"""A real HTTPS server with a certificate of a test authority, that keeps what is posted to it."""

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "localhost"  # resolves everywhere, to an address that is not public
_PACE_SECONDS = 0.1  # between two of the little things that `dribbling` says


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What came in, and what is answered: statuses one after the other, the last one for all that follow. `answering`
    runs before an answer is given; `name` is that of the last handshake."""

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [200])
    location: str | None = None
    answering: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
    received: list[Received] = field(default_factory=list)
    name: str | None = None

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/hooks?source=test"

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def receiving(folder: Path, name: str = HOST) -> Iterator[tuple[Receiver, Path]]:
    """A running receiver whose certificate is for `name`, and the file with the certificate of its authority."""
    receiver = Receiver()
    authority, context = _trusted(folder, name)

    def note_name(connection: ssl.SSLObject, asked: str | None, _: ssl.SSLContext) -> None:
        receiver.name = asked

    context.sni_callback = note_name

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.append(Received(self.path, dict(self.headers), body))
            receiver.answering(self)
            self.send_response(receiver.next_status())
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up, or does not like the certificate, is what some tests are about

        def finish_request(self, request: object, client_address: object) -> None:
            with context.wrap_socket(request, server_side=True) as secured:  # the handshake in the thread
                super().finish_request(secured, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver, authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dribbling(folder: Path, *, handshake_seconds: float) -> Iterator[tuple[str, Path]]:
    """The URL of a server that takes a second to connect to, so long for its part of the handshake, piece by piece, and
    then answers with header after header without end; and the file with the certificate of its authority."""
    authority, context = _trusted(folder, HOST)
    over = threading.Event()

    def serve() -> None:
        over.wait(0.5)
        listener.accept()[0].close()
        with listener.accept()[0] as line, suppress(OSError):  # the client hangs up
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            secured = context.wrap_bio(incoming, outgoing, server_side=True)
            pieces = max(1, int(handshake_seconds / _PACE_SECONDS))
            while True:
                with suppress(ssl.SSLWantReadError):
                    secured.do_handshake()
                    break
                said = outgoing.read()
                size = len(said) // pieces + 1
                for start in range(0, len(said), size):
                    line.sendall(said[start : start + size])
                    over.wait(handshake_seconds and _PACE_SECONDS)
                incoming.write(line.recv(65536))
            secured.write(b"HTTP/1.1 200 OK\r\n")
            while not over.is_set():
                line.sendall(outgoing.read())
                over.wait(_PACE_SECONDS)
                secured.write(b"X-Patience: please\r\n")

    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        listener.settimeout(20)
        # It fills the queue: who connects next is heard at the second try, which Linux makes after a second.
        with socket.create_connection(listener.getsockname()):
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            try:
                yield f"https://{HOST}:{listener.getsockname()[1]}/", authority
            finally:
                over.set()
                thread.join()


def _trusted(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """The file of an authority's certificate, and what serves with one for `name` that it has signed."""
    authority, chain = _certificates(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return authority, context


def _certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """The files of an authority's certificate, and of one for `name` that it has signed, with its key."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Oakvale test authority")])
    authority = (
        _certificate(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), authority_name, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    authority_file, chain_file = folder / "authority.pem", folder / "chain.pem"
    authority_file.write_bytes(authority.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain_file.write_bytes(secret + leaf.public_bytes(pem))
    return authority_file, chain_file


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
