"""What a bulk change of sequence subscriptions is to do (close-api.md 2.8)."""

from collections.abc import Callable, Mapping
from uuid import UUID

from bulk_actions.actions.sequence_subscription import ActionType
from bulk_actions.api.problems import all_of
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.ids import close_id, parse_close_id
from crm.models import Sequence as MailSequence
from crm.sequences.rules import sequences_of
from crm.sequences.subscriptions import check_assignees, check_sender

PREFERENCES = ("lead", "contact")
_REQUIRED = "This field is required."
_GONE = "Object does not exist."
_SENDER = ("sender_account_id", "sender_name", "sender_email")
_LONGEST = 255  # characters of a name or an address
_MOST_PEOPLE = 100

Body = Mapping[str, object]
Params = dict[str, object]


def sequence_params(body: Body, caller: Caller) -> Params:
    """The `params` of the job (shape: `SequenceSubscriptions`). Raises `Invalid` with all that is wrong.

    A key that the action type does not take does nothing.
    """
    action_type = _action_type(body)
    params: Params = {"action_type": action_type.value, "contact_preference": None, "calls_assigned_to": None}
    params |= dict.fromkeys(_SENDER)
    readers: list[Callable[[Body, Caller], Params]] = [_phone_number]
    match action_type:
        case ActionType.SUBSCRIBE:
            readers += [_open_sequence, _preference, _sender, _people]
        case ActionType.REASSIGN:
            by_mail = any(body.get(key) is not None for key in _SENDER) or body.get("calls_assigned_to") is None
            readers += [_sequence, _people, *([_sender] if by_mail else [])]
        case _:
            readers += [_sequence]
    return params | all_of(body, caller, readers)


def show_sequence(params: Mapping[str, object]) -> dict[str, object]:
    """The keys that such a job adds to the answer."""
    sequence_id = params["sequence_id"]
    return {
        "action_type": params["action_type"],
        "sequence_id": close_id("seq", UUID(str(sequence_id))) if sequence_id else None,
        "contact_preference": params["contact_preference"],
        **show_held({key: params[key] for key in (*_SENDER, "calls_assigned_to")}),
        "from_phone_number_id": None,
    }


def show_held(held: Mapping[str, object]) -> dict[str, object]:
    """Some keys of a subscription, as its own answer spells them."""
    shown = dict(held)
    if account := held.get("sender_account_id"):
        shown["sender_account_id"] = close_id("emailacct", UUID(str(account)))
    people = held.get("calls_assigned_to")
    if isinstance(people, list):
        shown["calls_assigned_to"] = [close_id("user", UUID(key)) for key in people]
    return shown


def _action_type(body: Body) -> ActionType:
    given = body.get("action_type")
    if given is None:
        raise FieldErrors({"action_type": _REQUIRED})
    if not isinstance(given, str) or given not in list(ActionType):
        raise FieldErrors({"action_type": f"Not a valid choice. One of: {', '.join(ActionType)}."})
    return ActionType(given)


def _sequence(body: Body, caller: Caller) -> Params:
    found = _found_sequence(body, caller)
    return {"sequence_id": str(found.pk) if found else None}


def _open_sequence(body: Body, caller: Caller) -> Params:
    """Of a sequence that takes contacts now."""
    found = _found_sequence(body, caller)
    if found is None:
        raise FieldErrors({"sequence_id": _REQUIRED})
    if found.status != MailSequence.Status.ACTIVE:
        raise FieldErrors({"sequence_id": f"The sequence is {found.status}: nobody can be subscribed to it."})
    if not found.allow_manual_enrollment:
        raise FieldErrors({"sequence_id": "The sequence does not take contacts by hand."})
    if not found.steps.exists():
        raise FieldErrors({"sequence_id": "The sequence has no steps."})
    return {"sequence_id": str(found.pk)}


def _found_sequence(body: Body, caller: Caller) -> MailSequence | None:
    given = body.get("sequence_id")
    if given is None:
        return None
    key = parse_close_id("seq", given)
    found = sequences_of(caller.organization.pk).filter(pk=key).first() if key else None
    if found is None:
        raise FieldErrors({"sequence_id": _GONE})
    return found


def _preference(body: Body, caller: Caller) -> Params:
    given = body.get("contact_preference")
    if given is None:
        raise FieldErrors({"contact_preference": _REQUIRED})
    if given not in PREFERENCES:
        raise FieldErrors({"contact_preference": f"Not a valid choice. One of: {', '.join(PREFERENCES)}."})
    return {"contact_preference": given}


def _sender(body: Body, caller: Caller) -> Params:
    problems: dict[str, object] = {}
    texts: dict[str, str] = {}
    for key in _SENDER:
        value = body.get(key)
        if value is None or (value == "" and key != "sender_name"):
            problems[key] = _REQUIRED
        elif not isinstance(value, str):
            problems[key] = "Value must be a string."
        elif len(value) > _LONGEST:
            problems[key] = f"Value is too long: at most {_LONGEST} characters."
        else:
            texts[key] = value.strip()
    account_id = parse_close_id("emailacct", texts.get("sender_account_id"))
    if "sender_account_id" in texts and account_id is None:
        problems["sender_account_id"] = _GONE
    if problems:
        raise FieldErrors(problems)
    check_sender(caller, {**texts, "sender_account_id": account_id})
    return {**texts, "sender_account_id": str(account_id)}


def _people(body: Body, caller: Caller) -> Params:
    given = body.get("calls_assigned_to")
    if given is None:
        return {}
    if not isinstance(given, list) or not given:
        raise FieldErrors({"calls_assigned_to": "Value must be a list of user ids, not empty."})
    if len(given) > _MOST_PEOPLE:
        raise FieldErrors({"calls_assigned_to": f"List is too long: at most {_MOST_PEOPLE}."})
    keys = [parse_close_id("user", one) for one in given]
    if wrong := {str(place): _GONE for place, key in enumerate(keys) if key is None}:
        raise FieldErrors({"calls_assigned_to": wrong})
    check_assignees(caller.organization.pk, {"calls_assigned_to": keys})
    return {"calls_assigned_to": list(dict.fromkeys(map(str, keys)))}


def _phone_number(body: Body, caller: Caller) -> Params:
    if body.get("from_phone_number_id") is not None:
        raise FieldErrors({"from_phone_number_id": "Not supported: text messages are sent by a person, from a task."})
    return {}
