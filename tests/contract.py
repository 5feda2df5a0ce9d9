"""Holds answers against the published shapes of Close's API, where the file with them lies beside the project."""

import json
import re
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

CONTRACT = Path(__file__).resolve().parents[2] / "shared" / "spec" / "close-contract.json"
PREFIX = "/api/v1"


@cache
def _contract() -> dict[str, dict[str, dict[str, dict[str, object]]]] | None:
    return json.loads(CONTRACT.read_text()) if CONTRACT.exists() else None


def template_of(path: str) -> str | None:
    """The path template of the contract that an address falls under: a literal one before one with a parameter."""
    contract = _contract()
    if contract is None:
        return None
    plain = path.removeprefix(PREFIX).partition("?")[0]
    for template in sorted(contract["paths"], key=lambda template: template.count("{")):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), plain):
            return template
    return None


def operations() -> list[tuple[str, list[str]]]:
    """The path templates of the contract with their methods, in lower case."""
    return [(template, sorted(methods)) for template, methods in (_contract() or {"paths": {}})["paths"].items()]


def check(path_template: str, method: str, status: int, answer: object) -> None:
    """Fails where a success has a status that the contract does not give, or lacks a required key, or has another type.

    More keys are fine. Does nothing where the contract is not at hand.
    """
    contract = _contract()
    if contract is None or status >= 300:
        return
    operation = contract["paths"][path_template].get(method.lower())
    if operation is None:  # one of ours: some records can be fetched by id where Close only lists them
        return
    responses = operation["responses"]
    assert str(status) in responses, f"{method} {path_template} answered {status}, not one of {sorted(responses)}"
    schema = {**responses[str(status)], "components": contract["components"]}
    for problem in Draft202012Validator(schema).iter_errors(answer):
        raise AssertionError(f"{method} {path_template}: {problem.json_path}: {problem.message}")
