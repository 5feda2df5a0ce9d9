"""Shapes of queries that real clients send, over the fields and ids of a random world.

Five of them speak of what is not supported yet; what remains of each without that stands beside it.
"""

from crm.auth import Caller
from crm.ids import close_id
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    Json,
    all_of,
    any_of,
    custom,
    day,
    no,
    of_type,
    period,
    regular,
    related,
    shifted,
    term,
    text,
    where,
)
from tests.search.pools import World

ALL_PARTS = dict.fromkeys(("years", "months", "weeks", "days", "hours", "minutes", "seconds"), 0)
NOW: Json = {"type": "now"}


def ago(edge: str | None = None, **parts: int) -> Json:
    """As clients write it: every part, zeros too."""
    return shifted(edge=edge, **{**ALL_PARTS, **parts})


def between(first: Json | None, last: Json | None) -> Json:
    return {"type": "moment_range", "on_or_after": first, "before": last}


def number(**bounds: float) -> Json:
    return {"type": "number_range", **bounds}


def reference(kind: str, *written: str) -> Json:
    return {"type": "reference", "reference_type": kind, "object_ids": list(written)}


def lead(name: str, condition: Json) -> Json:
    return where(regular("lead", name), condition)


def contact(name: str, condition: Json) -> Json:
    return where(regular("contact", name), condition)


def deal(name: str, condition: Json) -> Json:
    return where(regular("opportunity", name), condition)


def detail(kind: str, name: str, condition: Json) -> Json:
    return where(regular(f"contact_{kind}", name), condition)


def email(condition: Json) -> Json:
    return detail("email", "email", condition)


def leads(*queries: Json) -> Json:
    return all_of(of_type("lead"), *queries)


def contacts(*queries: Json) -> Json:
    return all_of(of_type("contact"), *queries)


def deals(*queries: Json) -> Json:
    return all_of(of_type("opportunity"), *queries)


def _custom_activity(*queries: Json) -> Json:
    kind = where(regular("activity.custom_activity", "custom_activity_type_id"), term("actitype_made_up"))
    return leads(related("lead", "activity.custom_activity", all_of(kind, *queries)))


def _subscription(*queries: Json) -> Json:
    sequence = where(regular("sequence_subscription", "sequence_id"), reference("sequence", "seq_made_up"))
    return related("contact", "sequence_subscription", all_of(sequence, *queries))


def shapes_of(caller: Caller, world: World) -> dict[str, Json]:
    """Queries by name. `sort` and the like stand in `EXTRAS`."""
    fields = {(one.type, one.accepts_multiple_values): one for one in world.custom["lead"]}
    choice, listed = (custom(fields["choices", is_listed]) for is_listed in (False, True))
    external, owner, moment = (custom(fields[type_, False]) for type_ in ("text", "user", "datetime"))
    me = close_id("user", caller.user.pk)
    users = [close_id("user", key) for key in world.users]
    first, second, third = (close_id("stat", key) for key in world.statuses)
    active, won, _ = (close_id("stat", stage.pk) for stage in world.stages)
    some_leads = [{"type": "id", "value": close_id("lead", key)} for key in list(world.things["lead"])[:2]]
    view = {"type": "saved_search", "saved_search_id": next(iter(world.views))}
    outgoing = where(regular("activity.email", "direction"), term("outgoing"))
    replied = where(regular("activity.email", "has_reply"), {"type": "boolean", "value": True})
    stale, today = between(None, ago("start", weeks=1)), between(period("today"), period("today", "end"))
    quiet_deals = [
        deal("status_type", term("active")),
        deal("date_updated", stale),
    ]
    unpaid = where(regular("custom_object", "custom_object_type_id"), term("cotype_made_up"))
    return {
        "contact title by word": contacts(contact("title", text("oakvale"))),
        "contacts with an email": contacts(contact("emails_count", number(gt=0))),
        "contacts by a choice of their lead": contacts(related("contact", "lead", where(choice, term("Gold", "東京")))),
        "lead by its whole name": leads(lead("display_name", text("Oakvale Mills", "exact_value"))),
        "lead by an email, related twice": leads(
            related("lead", "contact", related("contact", "contact_email", email(text("ida@oakvale.example"))))
        ),
        "contact by its whole email": contacts(
            related("contact", "contact_email", email(text("ida@oakvale.example", "exact_value")))
        ),
        "leads with a phone": leads(related("lead", "contact_phone", detail("phone", "phone", EXISTS))),
        "contacts by type and beginning of a url": contacts(
            related("contact", "contact_url", all_of(
                detail("url", "type", term("url")), detail("url", "url", text("oak", "beginning_of_words"))
            ))
        ),
        "free text by beginnings beside an empty group": leads(text("blueh", "beginning_of_words"), all_of()),
        "leads in another status": leads(no(lead("status_id", reference("status.lead", first)))),
        "leads in a status by term": leads(lead("status_id", term(second))),
        "any of some choices": leads(where(listed, term("Silver", "Gold plated"))),
        "custom field is empty": leads(no(where(choice, EXISTS))),
        "custom field is empty or another": leads(any_of(no(where(choice, EXISTS)), no(where(choice, term("Gold"))))),
        "any of some external ids": leads(
            any_of(*(where(external, text(one, "exact_value")) for one in ("oakvale", "OAKVALE MILLS", "10-5")))
        ),
        "custom user is the caller": leads(where(owner, reference("user_or_group", "CURRENT_USER"))),
        "unclaimed or mine": leads(any_of(no(where(owner, EXISTS)), where(owner, reference("user", me)))),
        "made by one of two": leads(lead("created_by", reference("user", *users[:2]))),
        "made in the last 30 days": leads(lead("date_created", between(ago("start", days=30), NOW))),
        "not updated in the last two hours": leads(no(lead("date_updated", between(ago(hours=2), NOW)))),
        "made in a month": leads(lead("date_created", between(day("2031-03-01"), day("2031-03-31", "end")))),
        "custom moment today": leads(where(moment, today)),
        "last activity yesterday": leads(
            lead("last_activity_date", between(ago("start", days=1), ago("end", days=1)))
        ),
        "overdue": leads(lead("next_task_date", between(None, NOW))),
        "never called": leads(
            lead("num_phone_numbers", number(gt=0)), lead("num_outgoing_calls", number(gte=0, lte=0))
        ),
        "office hours there": leads(
            lead("timezone_id", {"type": "local_time", "on_or_after": "09:00:00", "before": "17:30:00"})
        ),
        "mailed in the last 14 days": leads(
            related("lead", "activity.email", all_of(
                outgoing, where(regular("activity.email", "date"), between(ago("start", days=14), NOW))
            ))
        ),
        "with a completed meeting": leads(
            related("lead", "activity.meeting", where(regular("activity.meeting", "status"), term("completed")))
        ),
        "with a deal in a status": leads(
            related("lead", "opportunity", deal("status_id", reference("status.opportunity", active)))
        ),
        "a deal entered a status": leads(related("lead", "opportunity", {
            "type": "in_status", "status_ids": [won], "on_or_after": day("2031-01-01"),
            "before": day("2031-03-31", "end"), "negate": False,
        })),
        "deals by the status of their lead": deals(
            related("opportunity", "lead", lead("status_id", reference("status.lead", third)))
        ),
        "custom activity today": _custom_activity(
            where({"type": "custom_field", "custom_field_id": "cf_made_up"}, term("Interested")),
            where(regular("activity.custom_activity", "date_created"), today),
        ),
        "any custom activity": _custom_activity(MATCH_ALL),
        "no address in a country": leads(
            no(related("lead", "address", where(regular("address", "country"), term("FR"))))
        ),
        "a Smart View": view,
        "a Smart View, updated lately": all_of(view, lead("date_updated", between(ago(hours=200), NOW))),
        "contacts in a sequence": contacts(
            _subscription(where(regular("sequence_subscription", "status"), term("active"))),
            related("contact", "lead", lead("times_communicated", number(gte=0, lte=0))),
        ),
        "contacts in a sequence, without the sequence": contacts(
            related("contact", "lead", lead("times_communicated", number(gte=0, lte=0)))
        ),
        "contacts never in a sequence": contacts(no(_subscription()), contact("emails_count", number(gt=0))),
        "mails that were answered": all_of(of_type("activity.email"), replied, outgoing),
        "a list of ids": leads(any_of(*some_leads, {"type": "id", "value": "lead_made_up"})),
        "all leads": leads(MATCH_ALL),
        "match_all alone": MATCH_ALL,
        "by a smart number, most first": leads(lead("num_emails", number(gte=1))),
        "count only": leads(lead("primary_email", EXISTS)),
        "worth more than": leads(lead("total_active_opportunity_value", number(gt=10_000))),
        "quiet for a while": leads(
            lead("times_communicated", number(gt=0)),
            lead("last_communication_date", between(None, ago("end", months=1))),
        ),
        "stale deals without a payment": deals(
            *quiet_deals,
            related("opportunity", "lead", all_of(
                lead("last_communication_date", stale),
                no(related("lead", "custom_object", all_of(MATCH_ALL, unpaid))),
            )),
        ),
        "stale deals": deals(*quiet_deals, related("opportunity", "lead", lead("last_communication_date", stale))),
        "a range with one bound": leads(all_of(all_of({
            **lead("last_lead_status_change_date", {"type": "moment_range", "on_or_after": day("2031-03-10")}),
            "negate": False,
        }))),
    }  # fmt: skip


NOT_YET = {
    "custom activity today", "any custom activity", "contacts in a sequence", "contacts never in a sequence",
    "stale deals without a payment",
}  # fmt: skip
ALL_OF_THEM = {"all leads", "match_all alone"}
EXTRAS: dict[str, Json] = {
    "by a smart number, most first": {
        "results_limit": 500, "sort": [{"direction": "desc", "field": regular("lead", "num_emails")}],
    },
    "count only": {"results_limit": 0, "include_counts": True},
    "stale deals": {
        "_fields": {"opportunity": ["id", "lead_id", "lead_name", "value_formatted", "date_updated", "note"]},
        "sort": [{"direction": "asc", "field": regular("opportunity", "date_updated")}],
    },
    "a range with one bound": {"limit": None, "include_counts": True, "_limit": 10, "cursor": None, "sort": []},
}  # fmt: skip
