"""Typed nodes as JSON and back, so that a job can keep what its query meant."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from search import nodes
from search.nodes import Mode

_CLASSES = {name: value for name, value in vars(nodes).items() if isinstance(value, type) and is_dataclass(value)}
_SCALARS: dict[str, tuple[type, Callable[[str], object]]] = {
    "decimal": (Decimal, Decimal),
    "moment": (datetime, datetime.fromisoformat),
    "date": (date, date.fromisoformat),
    "mode": (Mode, Mode),
}


def to_json(value: object) -> object:
    """`value` (a node, or what nodes hold) as JSON. A dataclass is an object that names its class under `is`."""
    if is_dataclass(value):
        held = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
        return {"is": type(value).__name__, **held}
    if isinstance(value, tuple):
        if value and all(isinstance(item, UUID) for item in value):
            return {"is": "uuids", "value": [str(item) for item in value]}
        return [to_json(item) for item in value]
    for name, (kind, _) in _SCALARS.items():
        if type(value) is kind:
            return {"is": name, "value": value.isoformat() if isinstance(value, date) else str(value)}
    return value


def from_json(value: object) -> object:
    """What `to_json` was given."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    name = value["is"]
    if name == "uuids":
        return tuple(UUID(item) for item in value["value"])
    if name in _SCALARS:
        return _SCALARS[name][1](value["value"])
    return _CLASSES[name](**{key: from_json(item) for key, item in value.items() if key != "is"})
