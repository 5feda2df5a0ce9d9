"""Reading of bodies of what hangs on leads: references, choices, numbers, dates, beside the texts of `Reader`."""

from collections.abc import Collection
from datetime import datetime, tzinfo

from crm.api.close.dates import read_moment
from crm.api.close.inputs import GONE, NOT_A_LIST, REQUIRED, Body, Reader
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.text import clean_text

NOT_YET = "Not supported yet."
LONGEST_BODY = 500_000  # characters of a note or a mail
MAX_RECIPIENTS = 200
_LONGEST_WORD = 500
_MAX_INTEGER = 2**31 - 1


class PartReader(Reader):
    """Each method notes what is wrong under the key, and gives a value that is then of no use."""

    def __init__(self, body: Body, zone: tzinfo) -> None:
        super().__init__(body)
        self.zone = zone
        self.columns: dict[str, object] = {}

    def given(self, key: str) -> bool:
        """Whether the body has that key with a value."""
        return self.body.get(key) is not None

    def text_into(self, column: str, *keys: str, limit: int | None = None) -> None:
        """The text of the last of `keys` that the body has."""
        for key in keys:
            if key in self.body:
                self.columns[column] = self.text(key, limit=limit)

    def reference_into(self, column: str, key: str, prefix: str) -> None:
        if key in self.body:
            found = parse_close_id(prefix, self.body[key])
            if self.body[key] is not None and found is None:
                self.problems[key] = GONE
            self.columns[column] = found

    def needed_into(self, column: str, key: str, prefix: str) -> None:
        """As `reference_into`, for an id that must be given."""
        if self.given(key):
            self.reference_into(column, key, prefix)
        else:
            self.problems[key] = REQUIRED

    def lead_into(self) -> None:
        """The lead, which is needed."""
        self.needed_into("lead_id", "lead_id", "lead")

    def change_into(self) -> None:
        """What every change of a status has beside the record: the statuses, who made it, and when."""
        self.needed_into("new_status_id", "new_status_id", "stat")
        self.reference_into("old_status_id", "old_status_id", "stat")
        self.reference_into("user_id", "user_id", "user")
        for key in ("date_created", "activity_at"):  # one and the same here
            if self.given(key):
                self.moment_into("date_created", key)

    def moment_into(self, column: str, key: str) -> datetime | None:
        if key not in self.body:
            return None
        value = self.body[key]
        read = None if value is None else self.attempt(lambda: read_moment(key, value, self.zone), None)
        self.columns[column] = read
        return read

    def choice_into(self, column: str, key: str, choices: Collection[str], *, not_yet: Collection[str] = ()) -> None:
        if not self.given(key):
            return
        value = self.body[key]
        if isinstance(value, str) and value in not_yet:
            self.problems[key] = NOT_YET
        elif not isinstance(value, str) or value not in choices:
            self.problems[key] = f"Not a valid choice. One of: {', '.join(choices)}."
        else:
            self.columns[column] = value

    def number_into(self, column: str, key: str) -> None:
        """A whole number, not negative."""
        if key not in self.body:
            return
        value = self.body[key]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            self.problems[key] = "Input should be a valid integer"
        elif value is not None and not 0 <= value <= _MAX_INTEGER:
            self.problems[key] = f"Input should be between 0 and {_MAX_INTEGER}"
        else:
            self.columns[column] = value

    def flag(self, key: str) -> bool:
        value = self.body.get(key)
        if value is not None and not isinstance(value, bool):
            self.problems[key] = "Value must be true or false."
        return value is True

    def words(self, key: str) -> list[str]:
        """A list of short texts; null is none."""
        value = self.body.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problems[key] = NOT_A_LIST
            return []
        if len(value) > MAX_RECIPIENTS:
            self.problems[key] = f"List is too long: at most {MAX_RECIPIENTS}."
            return []
        found: list[str] = []
        problems: dict[str, object] = {}
        for position, word in enumerate(value):
            try:
                found.append(clean_text(word, path=str(position), limit=_LONGEST_WORD))
            except FieldErrors as problem:
                problems |= problem.field_errors
        if problems:
            self.problems[key] = problems
        return found

    def refuse(self, *keys: str) -> None:
        """These would do something that cannot be done yet: passing them over would lose it."""
        self.problems |= {key: NOT_YET for key in keys if self.body.get(key)}

    def finished(self) -> dict[str, object]:
        """The columns; raises what is wrong."""
        self.close()
        return self.columns
