"""SQL that Django has compiled, as a part of statements that are written here."""

import re
from collections.abc import Sequence

_PLACEHOLDER = re.compile(r"%(.)")


def named(sql: str, parameters: Sequence[object], prefix: str) -> tuple[str, dict[str, object]]:
    """The same SQL with named parameters (`%(prefix_0)s`, ...) in place of plain ones; `%%` stays."""
    values = iter(enumerate(parameters))
    found: dict[str, object] = {}

    def name(match: re.Match[str]) -> str:
        if match[1] != "s":
            return match[0]
        place, value = next(values)
        found[f"{prefix}_{place}"] = value
        return f"%({prefix}_{place})s"

    return _PLACEHOLDER.sub(name, sql), found
