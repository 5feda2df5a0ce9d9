"""Smart fields of leads, summed up once more in plain Python."""

from datetime import UTC, datetime
from decimal import Decimal

from tests.search.matcher import Thing

KINDS = ("email", "call", "sms", "note", "meeting")
UNSENT = ("draft", "scheduled", "outbox", "error")
MISSED = ("no-answer", "busy", "abandoned", "missed")
NEVER = ["email_last_opened", "first_source"]  # known names of what is not recorded
PERIODS, STATES = ("", "annual", "monthly", "one_time", "annualized"), ("", "active", "won", "lost")


def add_smart_values(thing: Thing) -> None:
    deals = [one.values for one in thing.related["opportunity"]]
    thing.values |= _counts(thing) | _communication(thing) | _money(deals) | _next_task(thing) | _people(thing)
    changes = [date for date, _ in thing.entered[1:]]
    thing.values["last_lead_status_change_date"] = max(changes, default=None)
    moved = [one.changed for one in thing.related["opportunity"] if one.changed]
    thing.values["last_opportunity_status_change_date"] = max(moved, default=None)
    order = ["active", "won", "lost"]
    ranked = sorted(thing.related["opportunity"], key=lambda one: (one.values["date_created"], one.key), reverse=True)
    ranked.sort(key=lambda one: order.index(one.values["status_type"]))
    primary = ranked[0].values if ranked else {}
    for name in ("value", "status_type", "user_id", "pipeline_id", "confidence", "date_won"):
        thing.values[f"primary_opportunity_{name}"] = primary.get(name)
    thing.values["primary_opportunity_status"] = primary.get("status_label")
    thing.values["primary_opportunity_period"] = primary.get("value_period")
    thing.values["timezone_id"] = _zone(thing)
    thing.values |= dict.fromkeys(NEVER)


def _activities(thing: Thing, *kinds: str) -> list[Thing]:
    found = [one for kind in kinds for one in thing.related[f"activity.{kind}"]]
    return sorted(found, key=lambda one: (one.values["activity_at"], one.key))


def _is_through(one: Thing) -> bool:
    return one.values["status"] not in UNSENT


def _communications(thing: Thing) -> list[Thing]:
    return [
        one
        for one in _activities(thing, "email", "sms", "call", "meeting")
        if one.object_type == "activity.call"
        or (one.values["status"] == "completed" if one.object_type == "activity.meeting" else _is_through(one))
    ]


def _counts(thing: Thing) -> dict[str, object]:
    emails, calls, sms = (_activities(thing, kind) for kind in ("email", "call", "sms"))
    meetings = [one.values["status"] for one in _activities(thing, "meeting")]
    incoming = [one for one in calls if one.values["direction"] == "inbound"]
    deals = [one.values for one in thing.related["opportunity"]]
    done = [one.values["is_complete"] for one in thing.related["task"]]
    return {
        "num_contacts": len(thing.related["contact"]),
        "num_addresses": len(thing.related["address"]),
        "num_email_addresses": len(thing.related["contact_email"]),
        "num_phone_numbers": len(thing.related["contact_phone"]),
        "num_contact_urls": len(thing.related["contact_url"]),
        "num_urls": thing.values["all_urls_count"],
        "num_activities": len(_activities(thing, *KINDS)),
        "num_emails": len(emails),
        "num_sent_emails": sum(one.values["direction"] == "outgoing" and _is_through(one) for one in emails),
        "num_received_emails": sum(one.values["direction"] == "incoming" for one in emails),
        "num_calls": len(calls),
        "num_incoming_calls": len(incoming),
        "num_outgoing_calls": sum(one.values["direction"] == "outbound" for one in calls),
        "num_missed_calls": sum(one.values["disposition"] in MISSED for one in incoming),
        "num_sms": len(sms),
        "num_sent_sms": sum(one.values["direction"] == "outbound" and _is_through(one) for one in sms),
        "num_received_sms": sum(one.values["direction"] == "inbound" for one in sms),
        "num_meetings": len(meetings),
        "num_completed_meetings": meetings.count("completed"),
        "num_upcoming_meetings": meetings.count("upcoming"),
        "num_canceled_meetings": meetings.count("canceled"),
        "num_declined_meetings": meetings.count("declined-by-lead"),
        "num_notes": len(_activities(thing, "note")),
        "num_tasks": len(done),
        "num_completed_tasks": sum(done),
        "num_incomplete_tasks": len(done) - sum(done),
        "num_opportunities": len(deals),
        **{
            f"num_{type_}_opportunities": sum(one["status_type"] == type_ for one in deals)
            for type_ in ("active", "won", "lost")
        },
        **{
            f"num_{period}_opportunities": sum(one["value_period"] == period for one in deals)
            for period in ("annual", "monthly", "one_time")
        },
        "times_communicated": len(_communications(thing)),
    }


def _communication(thing: Thing) -> dict[str, object]:
    every, all_calls = _communications(thing), _activities(thing, "call")
    values: dict[str, object] = {}
    for stem, found in [("last_communication", every[-1:]), ("first_communication", every[:1]),
                        ("last_activity", _activities(thing, *KINDS)[-1:])]:  # fmt: skip
        for name, key in (("date", "activity_at"), ("type", "type"), ("user_id", "user_id")):
            values[f"{stem}_{name}"] = found[0].values[key] if found else None
    last_call = all_calls[-1].values if all_calls else {}
    for name, key in (("created", "activity_at"), ("duration", "duration"), ("disposition", "disposition"),
                      ("note", "text"), ("user_id", "user_id")):  # fmt: skip
        values[f"last_call_{name}"] = last_call.get(key)
    mails, messages = ([one for one in _activities(thing, kind) if _is_through(one)] for kind in ("email", "sms"))
    values["last_email_subject"] = mails[-1].values["title"] if mails else None
    dated = {
        "last_email": mails,
        "last_sms": messages,
        "last_note": _activities(thing, "note"),
        "last_outgoing_call": [one for one in all_calls if one.values["direction"] == "outbound"],
        "last_incoming_call": [one for one in all_calls if one.values["direction"] == "inbound"],
        "last_outgoing_email": [one for one in mails if one.values["direction"] == "outgoing"],
        "last_incoming_email": [one for one in _activities(thing, "email") if one.values["direction"] == "incoming"],
        "last_outgoing_sms": [one for one in messages if one.values["direction"] == "outbound"],
        "last_incoming_sms": [one for one in _activities(thing, "sms") if one.values["direction"] == "inbound"],
    }
    for stem, found in dated.items():
        values[f"{stem}_date"] = max((one.values["activity_at"] for one in found), default=None)
    return values


def _money(deals: list[dict]) -> dict[str, object]:
    found: dict[str, object] = {}
    for period in PERIODS:
        for state in STATES:
            column = "annualized_value" if period == "annualized" else "value"
            amounts = [
                one[column]
                for one in deals
                if one["value"] is not None
                and state in ("", one["status_type"])
                and period in ("", "annualized", one["value_period"])
            ]
            name = "_".join(part for part in (period, state, "opportunity_value") if part)
            found[f"total_{name}"] = sum(amounts)
            found[f"avg_{name}"] = Decimal(sum(amounts)) / len(amounts) if amounts else None
            found[f"min_{name}"], found[f"max_{name}"] = min(amounts, default=None), max(amounts, default=None)
    return found


def _zone(thing: Thing) -> str | None:
    """Of the places that worlds name, these tell their zone."""
    zones = {("DE", None): "Europe/Berlin", ("FR", None): "Europe/Paris", ("IN", None): "Asia/Kolkata",
             ("US", "CA"): "America/Los_Angeles"}  # fmt: skip
    for address in thing.related["address"]:
        country, state = (str(address.values[part]).upper() for part in ("country", "state"))
        found = zones.get((country, state)) or zones.get((country, None))
        if found:
            return found
    return None


def _next_task(thing: Thing) -> dict[str, object]:
    latest = datetime.max.replace(tzinfo=UTC)
    open_tasks = [one for one in thing.related["task"] if not one.values["is_complete"]]
    open_tasks.sort(key=lambda one: (one.values["date"] or latest, one.key))
    first = open_tasks[0].values if open_tasks else {}
    return {"next_task_date": first.get("date"), "next_task_text": first.get("text"),
            "next_task_user_id": first.get("assigned_to")}  # fmt: skip


def _people(thing: Thing) -> dict[str, object]:
    def first(kind: str) -> object:
        written = [detail.values[kind] for one in thing.related["contact"] for detail in one.related[f"contact_{kind}"]]
        return next((text for text in written if text), None)

    names = [one.values["name"] for one in thing.related["contact"][:1]]
    return {"primary_email": first("email"), "primary_phone": first("phone"),
            "primary_contact_name": names[0] if names else None}  # fmt: skip


_WHAT = "date", "type", "user_id"
SMART = [
    *(f"num_{name}" for name in (
        "contacts", "addresses", "email_addresses", "phone_numbers", "contact_urls", "urls", "activities", "emails",
        "sent_emails", "received_emails", "calls", "incoming_calls", "outgoing_calls", "missed_calls", "sms",
        "sent_sms", "received_sms", "meetings", "completed_meetings", "upcoming_meetings", "canceled_meetings",
        "declined_meetings", "notes", "tasks", "completed_tasks", "incomplete_tasks", "opportunities",
        "active_opportunities", "won_opportunities", "lost_opportunities", "annual_opportunities",
        "monthly_opportunities", "one_time_opportunities",
    )),
    "times_communicated",
    *(f"{stem}_{what}" for stem in ("last_communication", "first_communication", "last_activity") for what in _WHAT),
    *(f"last_call_{what}" for what in ("created", "duration", "disposition", "note", "user_id")),
    *(f"last_{way}{kind}_date" for way in ("", "outgoing_", "incoming_") for kind in ("email", "sms")),
    "last_outgoing_call_date", "last_incoming_call_date", "last_email_subject", "last_note_date",
    "last_lead_status_change_date", "last_opportunity_status_change_date",
    *(f"primary_opportunity_{what}" for what in (
        "value", "status", "status_type", "user_id", "pipeline_id", "confidence", "date_won", "period",
    )),
    "next_task_date", "next_task_text", "next_task_user_id",
    "primary_email", "primary_phone", "primary_contact_name", "timezone_id",
    *("_".join(part for part in (what, period, state, "opportunity_value") if part)
      for what in ("total", "avg", "min", "max") for period in PERIODS for state in STATES),
]  # fmt: skip
