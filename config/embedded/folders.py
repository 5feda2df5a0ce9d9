"""Folders of the embedded parts. We never change the mode or the owner of a folder that we did not make."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

from config.processes import Account, CannotStart, as_account


def server_account() -> Account | None:
    """Who PostgreSQL runs as: ourselves (None), or `nobody` when we are root, since it refuses to run as root."""
    if os.getuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def own_folder(folder: Path, mode: int, account: Account | None = None) -> None:
    """Make the folder with that mode and owner, or make sure that the one there is ours.

    Raises CannotStart when it is another user's, open to their writing, or no folder: `/tmp` is everybody's, and a
    folder put there before us could hand our sockets to a stranger.
    """
    try:
        folder.mkdir()
    except FileExistsError:
        found = folder.lstat()
        owners = {os.getuid()} | ({account.uid} if account else set())
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o022:
            raise CannotStart(
                f"{folder} is not a folder of ours alone: remove it, or set DROVER_HOME to another folder."
            ) from None
    else:
        folder.chmod(mode)
        if account:
            os.chown(folder, account.uid, account.gid)


def is_open_to(folder: Path, account: Account | None) -> bool:
    """Whether the account gets into the folder. Tried, not reckoned: modes do not tell of access lists."""
    return account is None or _succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], account)


def can_run(program: Path, account: Account | None) -> bool:
    """Whether the account can run a program that knows `--version`."""
    return account is None or _succeeds([str(program), "--version"], account)


def _succeeds(command: list[str], account: Account) -> bool:
    try:
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **as_account(account)).returncode == 0
    except PermissionError:
        return False
