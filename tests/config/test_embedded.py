"""The embedded servers: what this very test run uses, unless DATABASE_URL or REDIS_URL name others."""

import os
import shutil
import smtplib
import stat
from email.parser import BytesParser
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from config.embedded import postgres, redis, sink
from config.embedded.postgres import Postgres
from config.home import Home
from config.processes import CannotStart, Process, stop
from tests.stack import open_home, wait_until

embedded_database = pytest.mark.skipif(bool(settings.DATABASE_URL), reason="DATABASE_URL names another server")


@embedded_database
def test_the_database_does_not_depend_on_the_locale_of_the_machine(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database"
            " WHERE datname = current_database()"
        )
        assert cursor.fetchone() == ("b", "C.UTF-8", "UTF8")


@embedded_database
def test_the_database_listens_on_no_network(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("",)


@embedded_database
def test_the_database_wants_the_password() -> None:
    folder = str(settings.HOME.postgres_socket_folder)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=folder, user="drover", dbname="postgres", password="wrong")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


@pytest.mark.stack
def test_a_postmaster_left_by_a_killed_supervisor_is_ended_first() -> None:
    with open_home() as home:
        first, second = Postgres(home, {"fsync": "off"}), Postgres(home, {"fsync": "off"})
        first.prepare()
        left = Process(first.program())
        try:
            first.wait_until_ready(left)
            second.prepare()
            assert left.exit_code == 0
        finally:
            stop([left])


@pytest.mark.stack
def test_a_cluster_of_another_version_is_refused_and_left_as_it_is() -> None:
    with open_home() as home:
        server = Postgres(home)
        server.data.mkdir()
        (server.data / "PG_VERSION").write_text("17\n")
        with pytest.raises(CannotStart, match="was made by PostgreSQL 17; this release runs 18"):
            server.prepare()
        assert (server.data / "PG_VERSION").read_text() == "17\n"


@pytest.mark.stack
@pytest.mark.skipif(os.getuid() != 0, reason="the database server runs as ourselves, who may run what we installed")
def test_binaries_that_the_servers_account_cannot_run_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = postgres._installed()
    package = installed.parent
    closed = tmp_path / package.name  # pytest's folders have mode 0700
    shutil.copytree(installed, closed / installed.name, symlinks=True)
    shutil.copytree(f"{package}.libs", f"{closed}.libs")
    monkeypatch.setattr(postgres, "_installed", lambda: closed / installed.name)
    with open_home() as home:
        server = Postgres(home, {"fsync": "off"})
        (note,) = server.prepare()
        copy = Path(server.program().command[0]).parents[4]
        try:
            assert note.startswith(f"PostgreSQL runs from a copy in {copy}: nobody may not enter ")
            process = Process(server.program())
            try:
                server.wait_until_ready(process)
            finally:
                stop([process])
            assert server.data == home.path / "postgres"
        finally:
            shutil.rmtree(copy)


def test_the_sink_keeps_each_message_with_the_recipients_of_its_envelope(tmp_path: Path) -> None:
    home = Home(tmp_path)
    process = Process(sink.program(home))
    try:
        sink.wait_until_ready(home, process)
        with smtplib.SMTP("127.0.0.1", sink.port_of(home) or 0) as client:
            for subject in ("one", "two"):
                text = f"To: shown@example.com\r\nSubject: {subject}\r\n\r\n.\r\nHello\r\n"
                client.sendmail("from@example.com", ["ida@example.com", "bcc@example.com"], text)
    finally:
        stop([process])
    kept = [BytesParser().parsebytes(file.read_bytes()) for file in sorted(home.mail.iterdir())]
    assert [message["Subject"] for message in kept] == ["one", "two"]
    assert {message["X-RcptTo"] for message in kept} == {"ida@example.com, bcc@example.com"}
    assert kept[0].get_payload() == ".\r\nHello\r\n"


def test_the_sink_takes_its_port_again_after_a_restart(tmp_path: Path) -> None:
    home = Home(tmp_path)
    ports = []
    for _ in range(2):
        process = Process(sink.program(home))
        wait_until(lambda: sink.is_ready(home), seconds=30, what="the sink greets")
        ports.append(sink.port_of(home))
        stop([process])
    assert ports[0] == ports[1]


def test_an_old_or_missing_redis_server_is_not_taken(tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64'\n")
    old.chmod(0o755)
    assert redis._version(str(old)) == (6, 0) < redis.OLDEST
    assert redis._version(str(tmp_path / "none")) == ()
