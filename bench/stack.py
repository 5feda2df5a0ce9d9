"""The stack that is measured: the real one, with as many bulk workers as asked for, in a temporary home."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.world import World, enter_world
from config.demo.stack import free_port, running_stack
from config.home import Home


@contextmanager
def temporary_home() -> Iterator[Home]:
    """A home for the stacks of one run, named in the environment; with `DATABASE_URL` its database is not used."""
    with tempfile.TemporaryDirectory(prefix="drover-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # under root, PostgreSQL runs as another user and must be able to come here
        os.environ.update(DROVER_HOME=folder, PORT=str(free_port()))
        home = Home.from_environment()
        try:
            yield home
        finally:
            shutil.rmtree(home.run, ignore_errors=True)  # its sockets lie outside the home


@contextmanager
def world_with(home: Home, *, workers: int, **variables: str) -> Iterator[World]:
    """Start the stack with that many bulk worker processes, and with these variables in its environment; ends it
    afterwards. Its database stays for the next one."""
    os.environ["WORKERS"] = str(workers)
    environment = {**os.environ, **variables}
    with running_stack(home.path / f"stack-{workers}.log", environment) as stack:
        world = enter_world(os.environ.get("DATABASE_URL") or home.database_url(), stack.url, environment)
        with world.connection:
            yield world
