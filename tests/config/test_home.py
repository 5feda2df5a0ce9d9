"""The state folder and the secrets in it."""

import concurrent.futures
import os
from pathlib import Path

import pytest

from config.embedded.folders import own_folder
from config.home import Home
from config.processes import CannotStart


def test_secrets_are_made_once_and_readable_by_us_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert home.secret("admin_password") == Home(tmp_path / "home").secret("admin_password")
    assert (tmp_path / "home" / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    homes = [Home(tmp_path / "home") for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda home: home.secret("secret_key"), homes))) == 1
    assert os.listdir(tmp_path / "home") == ["secrets.json"]


def test_two_homes_share_no_socket_and_no_secret(tmp_path: Path) -> None:
    one, two = Home(tmp_path / "one"), Home(tmp_path / "two")
    assert one.run != two.run
    assert one.secret("postgres_password") != two.secret("postgres_password")


def test_a_socket_path_is_short_however_long_the_home_is(tmp_path: Path) -> None:
    home = Home(tmp_path / ("x" * 200))
    assert len(str(home.postgres_socket_folder / ".s.PGSQL.5432.lock")) < 100


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_folder_that_a_stranger_could_have_put_there_is_refused(tmp_path: Path, trap: str) -> None:
    place = tmp_path / "run"
    if trap == "open":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "link":
        (tmp_path / "target").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "target")
    else:
        place.touch()
    with pytest.raises(CannotStart, match="is not a folder of ours alone"):
        own_folder(place, 0o700)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of another user")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir(mode=0o700)
    os.chown(place, 1234, 1234)
    with pytest.raises(CannotStart, match="is not a folder of ours alone"):
        own_folder(place, 0o700)
    assert place.stat().st_uid == 1234
