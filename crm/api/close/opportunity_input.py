"""Bodies of opportunities, read into drafts. All that is wrong is told at once."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

from crm.api.close.custom_input import CustomFields, read_custom
from crm.api.close.inputs import GONE, Body, Reader
from crm.custom_values import clean_date
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.models import FieldObject, ValuePeriod
from crm.opportunities import LARGEST_VALUE, OpportunityDraft
from crm.pipelines import StatusChoice
from crm.text import clean_text


def read_opportunity(body: Body, organization_id: UUID) -> OpportunityDraft:
    """What the body names. Null empties `value`, `note`, `date_won` and `contact_id`; elsewhere it says nothing."""
    reader = Reader(body)
    columns: dict[str, object] = {}
    for key, read in _COLUMNS.items():
        if key in body and (body[key] is not None or key in _MAY_BE_NULL):
            columns[key] = None if body[key] is None else reader.attempt(_reading(read, key, body[key]), None)
    draft = OpportunityDraft(
        columns=columns,
        status=StatusChoice(
            status_id=_key(reader, "status_id", "stat"),
            # An id goes before a label.
            label=reader.text("status") if body.get("status_id") is None else None,
            pipeline_id=_key(reader, "pipeline_id", "pipe"),
        ),
        lead_id=_key(reader, "lead_id", "lead"),
        user_id=_key(reader, "user_id", "user"),
        contact_id=_key(reader, "contact_id", "cont"),
        names_contact="contact_id" in body,
        custom=reader.attempt(lambda: read_custom(body, CustomFields(organization_id, FieldObject.OPPORTUNITY)), []),
    )
    if body.get("attachments"):
        reader.problems["attachments"] = "Not supported yet."
    reader.close()
    return draft


def _reading(read: Callable[[str, object], object], key: str, value: object) -> Callable[[], object]:
    return lambda: read(key, value)


def _key(reader: Reader, name: str, prefix: str) -> UUID | None:
    text = reader.body.get(name)
    key = parse_close_id(prefix, text)
    if text is not None and key is None:
        reader.problems[name] = GONE
    return key


def _whole(name: str, value: object, lowest: int, highest: int) -> int:
    # A bool is an int to Python, never to a caller; 40.0 is how some clients write 40.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise FieldErrors({name: f"Value must be a whole number between {lowest} and {highest}."})
    return value


def _period(name: str, value: object) -> str:
    if not isinstance(value, str) or value not in ValuePeriod.values:
        raise FieldErrors({name: f"Not a valid choice. One of: {', '.join(ValuePeriod.values)}."})
    return value


def _day(name: str, value: object) -> date:
    return date.fromisoformat(clean_date(value, path=name))


_COLUMNS: dict[str, Callable[[str, object], object]] = {
    "value": lambda name, value: _whole(name, value, -LARGEST_VALUE, LARGEST_VALUE),
    "value_period": _period,
    "confidence": lambda name, value: _whole(name, value, 0, 100),
    "note": lambda name, value: clean_text(value, path=name),
    "date_won": _day,
}
_MAY_BE_NULL = frozenset({"value", "note", "date_won"})
