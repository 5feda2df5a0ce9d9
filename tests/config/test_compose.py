"""docker-compose.yml and Dockerfile, held against the code: each command, queue, role, variable, port and probe."""

import re
from typing import Any

import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.worker import worker
from django.conf import settings
from django.core.management import get_commands
from django.urls import resolve

from config import stack, values
from config.embedded.postgres import SETTINGS as EMBEDDED_POSTGRES
from config.embedded.redis import Redis
from config.home import PROJECT

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (PROJECT / "Dockerfile").read_text()


def value(text: object) -> str:
    """What a variable is when the environment of compose is empty."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


def option(command: list[str] | tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_services_are_those_of_the_stack() -> None:
    local = {program.name: program for program in stack.services(settings.HOME, 8000, 1)}
    assert set(OURS) == {"migrate", "web", "worker", "files", "mail", "control", "beat"}
    assert set(SERVICES) - set(OURS) == {"postgres", "redis", "mailpit"}
    for name in ("web", "worker", "files", "mail", "control", "beat"):
        program = local["worker-1" if name == "worker" else name]
        assert OURS[name]["environment"]["DROVER_ROLE"] == program.environment["DROVER_ROLE"]
        theirs, ours = OURS[name]["command"], program.command[2:]
        flags = {part for part in ours if part.startswith("-")} - {"--graceful-timeout"}
        assert {part for part in theirs if part.startswith("-")} == flags
        for flag in ("-Q", "--concurrency", "--pool", "--worker-class", "--workers", "--threads", "--timeout"):
            if flag in flags:
                assert option(theirs, flag) == option(ours, flag)


def test_every_queue_has_a_worker() -> None:
    queues = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()} | {settings.CELERY_TASK_DEFAULT_QUEUE}
    assert {option(s["command"], "-Q") for s in OURS.values() if "-Q" in s["command"]} == queues


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_command_has_only_options_that_its_program_knows(name: str) -> None:
    command = OURS[name]["command"]
    if command[0] == "celery":
        known = {o for p in (worker if "worker" in command else beat).params for o in (*p.opts, *p.secondary_opts)}
        assert {part for part in command[4:] if part.startswith("-")} <= known
    elif command[0] == "python":
        assert command[1] == "manage.py"
        assert command[2] in get_commands()
    else:
        assert command[:2] == ["gunicorn", "config.wsgi:application"]


def test_every_variable_is_one_that_the_code_reads() -> None:
    sources = "\n".join(file.read_text() for file in (PROJECT / "config").glob("*.py"))
    for service in OURS.values():
        assert all(f'"{name}"' in sources for name in service["environment"])


def test_every_variable_that_the_settings_read_is_handed_on_with_their_default() -> None:
    source = (PROJECT / "config" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|whole_number)\(\s*"(\w+)"', source))
    of_no_use = {"PORT", "DEMO_LEADS", "DROVER_TEST_DATABASE"}  # the port of the container is fixed
    assert read - of_no_use == set(OURS["web"]["environment"])
    environment = {name: value(text) for name, text in OURS["web"]["environment"].items()}
    same = ("BULK_MAX_RUNNING_PER_ORGANIZATION", "API_REQUESTS_PER_SECOND")
    assert {name: int(environment[name]) for name in same} == {name: getattr(settings, name) for name in same}
    assert environment["NOTICE_SENDER"] == settings.NOTICE_SENDER


def test_the_addresses_are_good_and_point_at_services() -> None:
    environment = {name: value(text) for name, text in OURS["web"]["environment"].items()}
    database = values.database(environment["DATABASE_URL"])
    theirs = {name: value(text) for name, text in SERVICES["postgres"]["environment"].items()}
    assert (database["HOST"], database["USER"], database["NAME"], database["PASSWORD"]) == (
        "postgres",
        theirs["POSTGRES_USER"],
        theirs["POSTGRES_DB"],
        theirs["POSTGRES_PASSWORD"],
    )
    assert values.redis_addresses(environment["REDIS_URL"])[0] == "redis://redis:6379/0"
    assert values.smtp_address(environment["EMAIL_URL"]) == "smtp://mailpit:1025"
    assert values.public_address(environment["PUBLIC_URL"])


def test_one_port_is_bound_published_exposed_and_probed() -> None:
    web = OURS["web"]
    assert option(web["command"], "--bind") == "0.0.0.0:8000"
    assert value(web["ports"][0]) == "8000:8000"
    assert "EXPOSE 8000" in DOCKERFILE
    (path,) = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", web["healthcheck"]["test"][-1])
    assert resolve(path).func.__name__ == "readyz"


def test_everything_that_lives_on_is_restarted_and_looked_at() -> None:
    for name in set(SERVICES) - {"migrate"}:
        assert SERVICES[name]["restart"] == "unless-stopped"
    assert OURS["migrate"]["restart"] == "no"
    assert all("healthcheck" in SERVICES[name] for name in set(SERVICES) - {"migrate", "mailpit"})


def test_what_others_wait_for_exists() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    for name in set(OURS) - {"migrate"}:
        assert OURS[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_a_stopping_worker_has_the_time_that_the_settings_promise() -> None:
    for name in ("worker", "files", "mail", "control"):
        assert OURS[name]["stop_grace_period"] == f"{settings.WORKER_STOP_GRACE_SECONDS}s"


def test_the_servers_are_set_like_the_embedded_ones() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert "--locale-provider=builtin --builtin-locale=C.UTF-8" in str(SERVICES["postgres"]["environment"])
    for setting in SERVICES["postgres"]["command"][2::2]:
        name, _, text = setting.partition("=")
        assert EMBEDDED_POSTGRES[name] == text
    redis, embedded = SERVICES["redis"]["command"], Redis(settings.HOME).program().command
    for name in ("--appendonly", "--appendfsync", "--save", "--maxmemory-policy"):
        assert option(redis, name) == option(embedded, name)


def test_one_beat_only() -> None:
    assert OURS["beat"]["deploy"]["replicas"] == 1


def test_the_image_holds_what_runs_and_runs_it_as_nobody_special() -> None:
    copied = re.findall(r"^COPY (.+) \./?\S*$", DOCKERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names == {"requirements.txt", "manage.py", "pyproject.toml", "config", "crm", "search", "bulk_actions"}
    ignored = (PROJECT / ".dockerignore").read_text()
    assert all((PROJECT / name).exists() and f"!{name}\n" in ignored for name in names)
    assert "USER drover" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    home = re.search(r"DROVER_HOME=(\S+)", DOCKERFILE)
    assert home is not None
    assert all(service["volumes"] == [f"state:{home[1]}"] for service in OURS.values())
