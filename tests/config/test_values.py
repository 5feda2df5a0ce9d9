"""A bad value of the environment costs one clear sentence, not a traceback, and shows no password."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import values
from config.home import PROJECT, Home
from tests.stack import environment

BAD = [
    ("PORT", "http"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "٣"),
    ("WORKERS", "0"),
    ("WORKERS", "two"),
    ("DATABASE_URL", "mysql://drover:hunter2@db/drover"),
    ("DATABASE_URL", "drover"),
    ("DATABASE_URL", "postgres://drover:hunter2@db:port/drover"),
    ("DATABASE_URL", "postgres://drover:hunter2@db"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "http://:hunter2@redis"),
    ("REDIS_URL", "unix://"),
    ("EMAIL_URL", "mail.example"),
    ("EMAIL_URL", "smtp://:hunter2@"),
    ("PUBLIC_URL", "drover.example"),
    ("PUBLIC_URL", "ftp://drover.example"),
    ("ENCRYPTION_KEYS", "hunter2"),
    ("SECRET_KEY", "hunter2"),
    ("API_REQUESTS_PER_SECOND", "-1"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_costs_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "check"],
        env=environment(Home(tmp_path), **{name: value}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert name in sentence
    assert sentence.endswith(".")
    assert "hunter2" not in sentence


def test_a_home_that_cannot_be_made_costs_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "check"],
        env=environment(Home(tmp_path / "file" / "home")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "DROVER_HOME" in ended.stderr


@pytest.mark.parametrize(
    ("url", "cache", "broker"),
    [
        ("redis://h:1/2", "redis://h:1/2", "redis://h:1/2"),
        ("unix:///s?db=3", "unix:///s?db=3", "redis+socket:///s?virtual_host=3"),
        ("redis+socket:///s", "unix:///s?db=0", "redis+socket:///s?virtual_host=0"),
    ],
)
def test_a_redis_address_is_spelled_as_each_library_wants_it(url: str, cache: str, broker: str) -> None:
    assert values.redis_addresses(url) == (cache, broker)


def test_every_encryption_key_is_looked_at() -> None:
    good = "A" * 43 + "="
    assert values.encryption_keys([good, good]) == [good, good]
    with pytest.raises(ImproperlyConfigured, match="key 2"):
        values.encryption_keys([good, good[:-2]])
