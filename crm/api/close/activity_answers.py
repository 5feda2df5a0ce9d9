"""Activities as Close spells them. Whole pages at once: the number of queries is fixed."""

from collections.abc import Callable, Sequence

from crm.api.close.conventions import Fields, close_datetime, pick_fields, wants
from crm.api.close.people import user_names
from crm.api.close.showing import Shown, shown_id
from crm.ids import close_id
from crm.models import Activity, ActivityType
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
        answers.append(pick_fields(shown, fields))
    return answers


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
    return {
        "status": email.status,
        "direction": email.direction,
        "subject": email.title,
        "body_text": email.text,
        "body_html": email.html,
        "body_preview": None if email.text is None else email.text[:PREVIEW],
        "sender": email.local_address,
        "to": email.recipients,
        "cc": email.details.get("cc", []),
        "bcc": email.details.get("bcc", []),
        "envelope": {},
        "date_sent": _moment(email, "date_sent"),
        "date_scheduled": None,
        "has_reply": email.has_reply,
        "attachments": [],
        "opens": [],
        "opens_summary": None,
        "send_attempts": [],
        "message_ids": [],
        "references": [],
        "in_reply_to_id": None,
        "thread_id": None,
        "email_account_id": None,
        "send_as_id": None,
        "need_smtp_credentials": False,
        "template_id": None,
        "template_name": None,
        "bulk_email_action_id": None,
        "sequence_id": None,
        "sequence_name": None,
        "sequence_subscription_id": None,
        "followup_sequence_id": None,
        "followup_sequence_delay": None,
        "followup_sequence_add_cc_bcc": False,
    }


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
