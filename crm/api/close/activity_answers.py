"""Activities as Close spells them. Whole pages at once: the number of queries is fixed."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db.models import Model

from crm.api.close.conventions import Fields, close_datetime, pick_fields, wants
from crm.api.close.people import user_names
from crm.api.close.showing import Shown, shown_id
from crm.ids import close_id
from crm.models import Activity, ActivityType, EmailTemplate
from crm.models import Sequence as MailSequence
from crm.phones import shown_phone

WORDS: dict[str, str] = {
    ActivityType.CALL: "Call",
    ActivityType.EMAIL: "Email",
    ActivityType.MEETING: "Meeting",
    ActivityType.NOTE: "Note",
    ActivityType.SMS: "SMS",
}
PREVIEW = 140  # characters


def serialize_activities(activities: Sequence[Activity], fields: Fields) -> list[Shown]:
    """The activities in the order given, each with the keys of its type that `fields` asks for."""
    named = wants(fields, "user_name", "created_by_name", "updated_by_name")
    keys = [key for one in activities for key in (one.user_id, one.created_by_id, one.updated_by_id)]
    names = user_names(keys) if named else {}
    templates = _names_of(activities, "template_id", EmailTemplate) if wants(fields, "template_name") else {}
    sequences = _names_of(activities, "sequence_id", MailSequence) if wants(fields, "sequence_name") else {}
    answers = []
    for activity in activities:
        shown: Shown = {
            "id": close_id("acti", activity.pk),
            "_type": WORDS[activity.type],
            "organization_id": close_id("orga", activity.organization_id),
            "lead_id": close_id("lead", activity.lead_id),
            "contact_id": shown_id("cont", activity.contact_id),
            "user_id": shown_id("user", activity.user_id),
            "user_name": names.get(activity.user_id),
            "users": [],
            "created_by": shown_id("user", activity.created_by_id),
            "created_by_name": names.get(activity.created_by_id),
            "updated_by": shown_id("user", activity.updated_by_id),
            "updated_by_name": names.get(activity.updated_by_id),
            "date_created": close_datetime(activity.date_created),
            "date_updated": close_datetime(activity.date_updated),
            "activity_at": close_datetime(activity.activity_at),
            **_SHOW[activity.type](activity),
        }
        if activity.type == ActivityType.EMAIL:
            shown["template_name"] = templates.get(activity.details.get("template_id"))
            shown["sequence_name"] = sequences.get(activity.details.get("sequence_id"))
        answers.append(pick_fields(shown, fields))
    return answers


def _names_of(activities: Sequence[Activity], key: str, model: type[Model]) -> Mapping[object, str]:
    """The names of what the details of mails refer to, by its id as it is kept there. One query, if any does."""
    wanted = {one.details[key] for one in activities if one.type == ActivityType.EMAIL and one.details.get(key)}
    if not wanted:
        return {}
    return {str(found): name for found, name in model.objects.filter(pk__in=wanted).values_list("pk", "name")}


def _note(note: Activity) -> Shown:
    return {"title": note.title, "note": note.text, "note_html": note.html, "attachments": []}


def _call(call: Activity) -> Shown:
    return {
        **_phones(call),
        "phone": call.remote_address,
        "direction": call.direction,
        "status": call.status,
        "duration": call.duration,
        "disposition": call.disposition,
        "note": call.text,
        "note_html": call.html,
        "outcome_id": None,
        "recording_url": None,
        "voicemail_url": None,
        "voicemail_duration": None,
        "transferred_from": None,
        "transferred_to": None,
        "dialer_id": None,
        "cost": None,
        "source": "External",
    }


def _sms(sms: Activity) -> Shown:
    return {
        **_phones(sms),
        "direction": sms.direction,
        "status": sms.status,
        "text": sms.text,
        "date_sent": _moment(sms, "date_sent"),
        "date_scheduled": None,
        "error_message": None,
        "template_id": None,
        "attachments": [],
        "cost": None,
        "source": "External",
    }


def _email(email: Activity) -> Shown:
    details = email.details
    return {
        "status": email.status,
        "direction": email.direction,
        "subject": email.title,
        "body_text": email.text,
        "body_html": email.html,
        "body_preview": None if email.text is None else email.text[:PREVIEW],
        "sender": email.local_address,
        "to": email.recipients,
        "cc": details.get("cc", []),
        "bcc": details.get("bcc", []),
        "envelope": {},
        "date_sent": _moment(email, "date_sent"),
        "date_scheduled": details.get("date_scheduled"),
        "has_reply": email.has_reply,
        "attachments": details.get("attachments", []),
        "opens": [],
        "opens_summary": None,
        "send_attempts": [_known(attempt) for attempt in details.get("send_attempts", [])],
        "message_ids": details.get("message_ids", []),
        "references": details.get("references", []),
        "in_reply_to_id": _reference("acti", email, "in_reply_to_id"),
        "thread_id": None,
        "email_account_id": _reference("emailacct", email, "email_account_id"),
        "send_as_id": None,
        "need_smtp_credentials": False,
        "template_id": _reference("tmpl", email, "template_id"),
        "template_name": None,
        "bulk_email_action_id": _reference("bulkemail", email, "bulk_email_action_id"),
        "sequence_id": _reference("seq", email, "sequence_id"),
        "sequence_name": None,
        "sequence_subscription_id": _reference("sub", email, "sequence_subscription_id"),
        "followup_sequence_id": None,
        "followup_sequence_delay": None,
        "followup_sequence_add_cc_bcc": False,
    }


def _known(attempt: Mapping[str, object]) -> Shown:
    return {key: value for key, value in attempt.items() if value is not None}


def _reference(prefix: str, activity: Activity, key: str) -> str | None:
    """An id of the activity's details, where the canonical uuid is kept as text."""
    stored = activity.details.get(key)
    return None if stored is None else close_id(prefix, UUID(str(stored)))


def _meeting(meeting: Activity) -> Shown:
    return {
        "title": meeting.title,
        "status": meeting.status,
        "note": meeting.text,
        "user_note_html": meeting.html,
        "location": meeting.details.get("location"),
        "starts_at": _moment(meeting, "starts_at"),
        "ends_at": _moment(meeting, "ends_at"),
        "duration": meeting.duration,
        "attendees": [],
        "is_recurring": False,
        "outcome_id": None,
        "source": "External",
    }


def _phones(activity: Activity) -> Shown:
    local, local_country = _phone(activity.local_address)
    remote, remote_country = _phone(activity.remote_address)
    return {
        "local_phone": activity.local_address,
        "local_phone_formatted": local,
        "local_country_iso": local_country,
        "remote_phone": activity.remote_address,
        "remote_phone_formatted": remote,
        "remote_country_iso": remote_country,
    }


def _phone(stored: str | None) -> tuple[str | None, str | None]:
    return (None, None) if stored is None else shown_phone(stored)


def _moment(activity: Activity, column: str) -> str | None:
    moment = getattr(activity, column)
    return None if moment is None else close_datetime(moment)


_SHOW: dict[str, Callable[[Activity], Shown]] = {
    ActivityType.CALL: _call,
    ActivityType.EMAIL: _email,
    ActivityType.MEETING: _meeting,
    ActivityType.NOTE: _note,
    ActivityType.SMS: _sms,
}
