"""What stands around a query: its sort and its limit (close-api.md 3.1, 3.8)."""

from search.conditions import ConditionParser
from search.nodes import SortItem
from search.reading import Reader

MAX_SORT_ITEMS = 3
MAX_RESULTS_LIMIT = 2**63 - 1  # what the database can hold


def one_of(reader: Reader, outer: object, inner: object, name: str, path: str) -> tuple[object, str]:
    """The value (and path) of a key that may stand beside the query or in its wrapper; two that differ: a problem."""
    if inner is None:
        return outer, name
    if outer is not None and outer != inner:
        reader.problem(f"{path}.{name}", f"This contradicts the `{name}` beside the query.")
    return inner, f"{path}.{name}"


def limit_of(reader: Reader, value: object, path: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        reader.problem(path, "Value must be a whole number.")
    elif not 0 <= value <= MAX_RESULTS_LIMIT:
        reader.problem(path, "Value must be 0 or more." if value < 0 else "Value is too large.")
    else:
        return value
    return None


def sort_items(
    reader: Reader, conditions: ConditionParser, value: object, path: str, object_type: str
) -> tuple[SortItem, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        reader.problem(path, "Value must be a list.")
        return ()
    if len(value) > MAX_SORT_ITEMS:
        reader.problem(path, f"List is too long: at most {MAX_SORT_ITEMS} items.")
        return ()
    items = [_item(reader, conditions, item, f"{path}[{place}]", object_type) for place, item in enumerate(value)]
    return tuple(item for item in items if item is not None)


def _item(reader: Reader, conditions: ConditionParser, value: object, path: str, object_type: str) -> SortItem | None:
    data = reader.mapping(value, path)
    if data is None:
        return None
    reader.check_keys(data, path, required=("direction", "field"))
    direction = reader.choice(data, "direction", path, ("asc", "desc"))
    field = conditions.sort_field(data["field"], f"{path}.field", object_type) if "field" in data else None
    return SortItem(field, direction == "desc") if field and direction else None
