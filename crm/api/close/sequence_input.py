"""Bodies of sequences and subscriptions. All that is wrong is told at once, nested like the input."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from crm.api.close.inputs import GONE, NOT_AN_OBJECT, REQUIRED, Body
from crm.api.close.part_input import PartReader
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.mail.addresses import has_controls
from crm.models import Sequence as MailSequence
from crm.models import SequenceStep, StepType
from crm.sequences.rules import MAX_STEPS, StepDraft
from crm.sequences.schedule import clean_schedule, clean_zone
from crm.text import clean_name

LONGEST_NAME = 255
MAX_SECONDS = 10 * 366 * 86_400  # of a delay: ten years
_THREADING = ("new_thread", "old_thread")


class SequenceReader(PartReader):
    """Reads a sequence; `current` is the one that is changed, with its steps."""

    def read(self, current: MailSequence | None = None) -> tuple[dict[str, object], list[StepDraft] | None]:
        """The columns and the steps; None for steps where the body names none. Raises `FieldErrors`."""
        if current is None:
            self.problems |= {key: REQUIRED for key in ("name", "timezone", "steps") if not self.given(key)}
        if "name" in self.body and "name" not in self.problems:
            self.columns["name"] = self.attempt(lambda: _one_line(self.body["name"], "name"), "")
        if "timezone" in self.body and "timezone" not in self.problems:
            self.columns["timezone"] = self.attempt(lambda: clean_zone(self.body["timezone"]), "")
        if "schedule" in self.body:
            self.columns["schedule"] = self.attempt(lambda: clean_schedule(self.body["schedule"]), None)
        self.choice_into("status", "status", MailSequence.Status.values)
        if "trigger_query" in self.body:
            self.columns["trigger_query"] = query = self.body["trigger_query"]
            if query is not None and not isinstance(query, dict):
                self.problems["trigger_query"] = NOT_AN_OBJECT
        if self.given("allow_manual_enrollment"):
            self.columns["allow_manual_enrollment"] = self.flag("allow_manual_enrollment")
        self.reference_into("owner_id", "owner_id", "user")
        known = {step.pk: step for step in current.steps.all()} if current else {}
        drafts = None
        if "steps" in self.body and "steps" not in self.problems:
            drafts = self.items("steps", lambda item: self._step(item, known))
            if not drafts and "steps" not in self.problems:
                self.problems["steps"] = "There must be at least one step."
            elif drafts and len(drafts) > MAX_STEPS:
                self.problems["steps"] = f"List is too long: at most {MAX_STEPS}."
        return self.finished(), drafts

    def _step(self, body: Body, known: Mapping[UUID, SequenceStep]) -> StepDraft:
        """A step. One that the sequence has keeps what the body does not name."""
        reader = PartReader(body, self.zone)
        step_id = parse_close_id("seqstep", body.get("id"))
        if body.get("id") is not None and step_id not in known:
            raise FieldErrors({"id": GONE})
        step = known[step_id] if step_id else SequenceStep()
        reader.columns = {name: getattr(step, name) for name in _STEP_COLUMNS}
        reader.choice_into("step_type", "step_type", StepType.values)
        if not reader.columns["step_type"] and "step_type" not in reader.problems:
            reader.problems["step_type"] = REQUIRED
        _seconds_into(reader, "delay", nothing=0)
        _seconds_into(reader, "step_allowed_delay", nothing=None)
        _template_into(reader, "email_template_id", "tmpl")
        _template_into(reader, "sms_template_id", "smstmpl")
        if "threading" in body:
            reader.columns["threading"] = None
            reader.choice_into("threading", "threading", _THREADING)
        if reader.given("required"):
            reader.columns["required"] = reader.flag("required")
        columns = reader.finished()
        _check_fit(columns)
        return StepDraft(columns, step_id)


_STEP_COLUMNS = (
    "step_type", "delay", "email_template_id", "sms_template_id", "threading", "required", "step_allowed_delay",
)  # fmt: skip


class SubscriptionReader(PartReader):
    """Reads a subscription; a new one needs all of its keys but `calls_assigned_to`."""

    def read(self, *, is_new: bool) -> dict[str, object]:
        ids = {"sender_account_id": "emailacct"} | ({"sequence_id": "seq", "contact_id": "cont"} if is_new else {})
        texts = ["sender_name", "sender_email", *(["contact_email"] if is_new else [])]
        for key in (*ids, *texts):
            missing = self.body.get(key) in (None, "") if key != "sender_name" else not self.given(key)
            if missing and (is_new or key in self.body):
                self.problems[key] = REQUIRED
        for key, prefix in ids.items():
            if self.given(key):
                self.reference_into(key, key, prefix)
        for key in texts:
            if self.given(key):
                self.columns[key] = (self.text(key, limit=LONGEST_NAME) or "").strip()
        if "calls_assigned_to" in self.body:
            self.columns["calls_assigned_to"] = self._people()
        return self.finished()

    def _people(self) -> Sequence[UUID] | None:
        words = self.words("calls_assigned_to")
        keys = [parse_close_id("user", word) for word in words]
        if None in keys and "calls_assigned_to" not in self.problems:
            self.problems["calls_assigned_to"] = {str(place): GONE for place, key in enumerate(keys) if key is None}
        found = list(dict.fromkeys(key for key in keys if key))
        return found or None


def _one_line(value: object, path: str) -> str:
    name = clean_name("" if value is None else value, path=path, limit=LONGEST_NAME)
    if has_controls(name):
        raise FieldErrors({path: "Value must be one line without control characters."})
    return name


def _seconds_into(reader: PartReader, key: str, *, nothing: int | None) -> None:
    if key not in reader.body:
        return
    value = reader.body[key]
    if value is None:
        reader.columns[key] = nothing
    elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SECONDS:
        reader.problems[key] = f"Value must be a whole number of seconds from 0 to {MAX_SECONDS}."
    else:
        reader.columns[key] = value


def _template_into(reader: PartReader, key: str, prefix: str) -> None:
    if key in reader.body:
        value = reader.body[key]
        reader.columns[key] = parse_close_id(prefix, value)
        if value is not None and reader.columns[key] is None:
            reader.problems[key] = GONE


def _check_fit(columns: Mapping[str, object]) -> None:
    """A mail needs its template; the template of another type of step has no place."""
    step_type = columns["step_type"]
    problems = {}
    if step_type == StepType.EMAIL and columns["email_template_id"] is None:
        problems["email_template_id"] = REQUIRED
    if step_type != StepType.EMAIL and columns["email_template_id"] is not None:
        problems["email_template_id"] = f"A step of the type {step_type} has none."
    if step_type != StepType.SMS and columns["sms_template_id"] is not None:
        problems["sms_template_id"] = f"A step of the type {step_type} has none."
    if problems:
        raise FieldErrors(problems)
