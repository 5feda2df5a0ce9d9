"""Smart fields of leads, summed up once more in plain Python."""

from datetime import UTC, datetime
from decimal import Decimal

from tests.search.matcher import Thing

KINDS = ("email", "call", "sms", "note", "meeting")
UNSENT = ("draft", "scheduled", "outbox", "error")


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
    for name in ("value", "status_type", "user_id", "pipeline_id", "confidence", "date_won"):
        thing.values[f"primary_opportunity_{name}"] = ranked[0].values[name] if ranked else None


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
        "num_missed_calls": sum(one.values["disposition"] in ("no-answer", "busy") for one in incoming),
        "num_sms": len(sms),
        "num_sent_sms": sum(one.values["direction"] == "outbound" and _is_through(one) for one in sms),
        "num_received_sms": sum(one.values["direction"] == "inbound" for one in sms),
        "num_meetings": len(meetings),
        "num_completed_meetings": meetings.count("completed"),
        "num_upcoming_meetings": meetings.count("upcoming"),
        "num_declined_meetings": meetings.count("declined-by-lead"),
        "num_notes": len(_activities(thing, "note")),
        "num_tasks": len(done),
        "num_completed_tasks": sum(done),
        "num_incomplete_tasks": len(done) - sum(done),
        "num_opportunities": len(deals),
        **{
            f"num_{type_}_opportunities": sum(one["status_type"] == type_ for one in deals)
            for type_ in ("active", "won")
        },
        "num_monthly_opportunities": sum(one["value_period"] == "monthly" for one in deals),
        "times_communicated": len(_communications(thing)),
    }


def _communication(thing: Thing) -> dict[str, object]:
    every, all_calls = _communications(thing), _activities(thing, "call")
    values: dict[str, object] = {}
    for stem, found in [("last_communication", every[-1:]), ("first_communication", every[:1]),
                        ("last_activity", _activities(thing, *KINDS)[-1:])]:  # fmt: skip
        for name, key in (("date", "activity_at"), ("type", "type"), ("user_id", "user_id")):
            values[f"{stem}_{name}"] = found[0].values[key] if found else None
    for name, key in (("created", "activity_at"), ("duration", "duration"), ("note", "text")):
        values[f"last_call_{name}"] = all_calls[-1].values[key] if all_calls else None
    mails = [one for one in _activities(thing, "email") if _is_through(one)]
    values["last_email_date"] = mails[-1].values["activity_at"] if mails else None
    values["last_email_subject"] = mails[-1].values["title"] if mails else None
    return values


def _money(deals: list[dict]) -> dict[str, object]:
    found: dict[str, object] = {}
    for period in ("", "annual", "monthly", "annualized"):
        for state in ("", "active", "won"):
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


SMART = [
    "num_contacts", "num_addresses", "num_email_addresses", "num_phone_numbers", "num_contact_urls", "num_urls",
    "num_activities", "num_emails", "num_sent_emails", "num_received_emails", "num_calls", "num_incoming_calls",
    "num_outgoing_calls", "num_missed_calls", "num_sms", "num_sent_sms", "num_received_sms", "num_meetings",
    "num_completed_meetings", "num_upcoming_meetings", "num_declined_meetings", "num_notes", "num_tasks",
    "num_completed_tasks", "num_incomplete_tasks", "num_opportunities", "num_active_opportunities",
    "num_won_opportunities", "num_monthly_opportunities", "times_communicated", "last_communication_date",
    "last_communication_type", "last_communication_user_id", "first_communication_date", "first_communication_type",
    "last_activity_date", "last_activity_type", "last_activity_user_id", "last_call_created", "last_call_duration",
    "last_call_note", "last_email_date", "last_email_subject", "last_lead_status_change_date",
    "last_opportunity_status_change_date", "primary_opportunity_value", "primary_opportunity_status_type",
    "primary_opportunity_user_id", "primary_opportunity_confidence", "primary_opportunity_date_won", "next_task_date",
    "next_task_text", "next_task_user_id", "primary_email", "primary_phone", "primary_contact_name",
    *(f"{what}_{part}opportunity_value" for what in ("total", "avg", "min", "max")
      for part in ("", "active_", "won_", "annual_", "monthly_active_", "annualized_won_", "annualized_")),
]  # fmt: skip
