"""What each operation that takes ids is sent: `<kind>` stands for the id of such a thing, `?key` for a parameter.

Only one of them is another organization's at a time. All bodies are accepted when every id is the caller's own: so
what is refused is refused for that one.
"""

import json


def _is(name: str, kind: str, *ids: str) -> dict[str, object]:
    field = {"type": "regular_field", "object_type": "lead", "field_name": name}
    condition = {"type": "reference", "reference_type": kind, "object_ids": ids}
    return {"type": "field_condition", "field": field, "condition": condition}


_FOUND = [
    {"type": "id", "value": "<lead>"},
    _is("status_id", "status.lead", "<lead_status>"),
    _is("created_by", "user_or_group", "<user>", "<group>"),
    {"type": "field_condition", "field": {"type": "custom_field", "custom_field_id": "<lead_field>"},
     "condition": {"type": "exists"}},
    {"type": "bulk_action", "bulk_action_id": "<edit>", "outcome": ["pending"]},
]  # fmt: skip
_OF_VIEW = {"type": "saved_search", "saved_search_id": "<view>"}


def _query(*any_of: object) -> dict[str, object]:
    lead = {"type": "object_type", "object_type": "lead"}
    return {"type": "and", "queries": [lead, {"type": "or", "queries": any_of}]}


_LEAD_QUERY = _query(*_FOUND, _OF_VIEW)
_TEXT = "id:<lead> or lead_status:<lead_status> or custom.<lead_field>:*"
_MEMBERS = {"lead_id": "<lead>", "contact_id": "<contact>", "user_id": "<user>"}
_LISTED = {f"?{key}": value for key, value in _MEMBERS.items()} | {"?organization_id": "<organization>"}
_SENDER = {"email_account_id": "<account>", "template_id": "<template>", "contact_preference": "lead"}
_STATUS = {"type": "set_lead_status", "lead_status_id": "<lead_status>"}
_SUBSCRIBE = {
    "action_type": "subscribe", "sequence_id": "<sequence>", "sender_account_id": "<account>", "sender_name": "Jo",
    "sender_email": "<sender>", "contact_preference": "lead", "calls_assigned_to": ["<user>"],
}  # fmt: skip
_STEP = {"step_type": "email", "email_template_id": "<template>", "delay": 0}
_MESSAGE = {"step_type": "sms", "sms_template_id": "<sms_template>", "delay": 0}
_PLACES = {"contact_id": "<contact>", "deal_id": "<opportunity>"}
_DEAL = {"name": "New", "company_id": "<lead>", "contact_id": "<contact>", "assigned_member_id": "<user>"}
_SHARED = {"shared_with": ["<user>", "<group>"]}
_VIEW = {"name": "New", "type": "lead", "s_query": {"query": _LEAD_QUERY}}


def _activities(**written: object) -> dict[str, object]:
    return {**_MEMBERS, **written}


def _leads(sealed: str | None = None, **more: object) -> list[dict[str, object]]:
    """Every way to say which leads; `sealed` is the kind of job that has a preview."""
    ways = [{"s_query": _LEAD_QUERY}, {"query": _TEXT}, {"lead_ids": ["<lead>", "<other_lead>"]}]
    if sealed:
        ways.append({"preview_token": f"<{sealed}_preview>"})
    return [{**way, **more} for way in ways]


V1, AGENTS = "api/v1", "api/agents/crm"
BODIES: dict[str, list[dict[str, object]]] = {
    "GET user/availability/": [{"?organization_id": "<organization>"}],
    "PUT organization/<organization>/": [{"lead_statuses": [{"id": "<lead_status>"}]}],
    "PUT membership/": [{"?id__in": "<membership>", "auto_record_calls": "unset"}],
    "POST group/<group>/member/": [{"user_id": "<user>"}],
    "GET connected_account/": [{"?user_id": "<user>"}],
    "POST connected_account/": [{"user_id": "<user>", "identities": [{"email": "jo@fir.example"}],
                                 "smtp": {"host": "mail.fir.example", "port": 587}}],
    "PUT connected_account/<account>/": [{"user_id": "<user>"}],
    "GET lead/": [{"?query": _TEXT}],
    "POST lead/": [{"status_id": "<lead_status>", "custom.<lead_field>": "x", "custom.<user_field>": "<user>",
                    "contacts": [{"custom.<contact_field>": "<contact>"}]}],
    "PUT lead/<lead>/": [{"status_id": "<lead_status>", "custom.<lead_field>": "x", "custom.<user_field>": "<user>"}],
    "POST lead/merge/": [{"source": "<other_lead>", "destination": "<lead>"}],
    "GET contact/": [{"?lead_id": "<lead>"}],
    "POST contact/": [{"lead_id": "<lead>", "custom.<contact_field>": "<contact>"}],
    "PUT contact/<contact>/": [{"lead_id": "<lead>", "custom.<contact_field>": "<contact>"}],
    "PUT custom_field_schema/lead/": [{"fields": [{"id": "<lead_field>"}]}],
    "GET activity/": [{**_LISTED, "?id__in": "<note>"}],
    **{f"GET activity/{kind}/": [{**_LISTED, "?id__in": f"<{kind}>"}]
       for kind in ("note", "call", "email", "sms", "meeting")},
    "POST activity/note/": [_activities(note="x")],
    "PUT activity/note/<note>/": [{"contact_id": "<contact>", "user_id": "<user>"}],
    "POST activity/call/": [_activities(note="x")],
    "PUT activity/call/<call>/": [{"contact_id": "<contact>", "user_id": "<user>"}],
    "POST activity/email/": [
        _activities(status="draft", template_id="<template>", email_account_id="<account>", to=["a@fir.example"]),
    ],
    "PUT activity/email/<email>/": [
        {"contact_id": "<contact>", "user_id": "<user>", "email_account_id": "<account>", "template_id": "<template>"},
    ],
    "POST activity/sms/": [_activities(status="sent", text="x")],
    "PUT activity/sms/<sms>/": [{"contact_id": "<contact>", "user_id": "<user>"}],
    "POST activity/meeting/": [_activities(title="x")],
    "PUT activity/meeting/<meeting>/": [{"contact_id": "<contact>", "user_id": "<user>"}],
    "GET activity/status_change/lead/": [
        {"?lead_id": "<lead>", "?user_id": "<user>", "?id__in": "<lead_change>", "?organization_id": "<organization>"},
    ],
    "POST activity/status_change/lead/": [
        {"lead_id": "<lead>", "old_status_id": "<lead_status>", "new_status_id": "<lead_status>", "user_id": "<user>"},
    ],
    "GET activity/status_change/opportunity/": [
        {"?lead_id": "<lead>", "?opportunity_id": "<opportunity>", "?user_id": "<user>",
         "?id__in": "<opportunity_change>", "?organization_id": "<organization>"},
    ],
    "POST activity/status_change/opportunity/": [
        {"opportunity_id": "<opportunity>", "old_status_id": "<status>", "new_status_id": "<other_status>",
         "user_id": "<user>"},
    ],
    "GET task/": [
        {"?lead_id": "<lead>", "?contact_id": "<contact>", "?assigned_to": "<user>", "?id": "<task>",
         "?id__in": "<task>", "?organization_id": "<organization>"},
    ],
    "POST task/": [{"lead_id": "<lead>", "contact_id": "<contact>", "assigned_to": "<user>", "text": "x"}],
    "PUT task/": [
        {"?id__in": "<task>", "?organization_id": "<organization>", "assigned_to": "<user>"},
        *({f"?{key}": value, "is_complete": True} for key, value in {
            "id": "<task>", "lead_id": "<lead>", "contact_id": "<contact>", "assigned_to": "<user>"}.items()),
    ],
    "PUT task/<task>/": [{"contact_id": "<contact>", "assigned_to": "<user>"}],
    "GET opportunity/": [
        {f"?{key}{more}": value for more in ("", "__in") for key, value in {
            "id": "<opportunity>", "lead_id": "<lead>", "contact_id": "<contact>", "user_id": "<user>",
            "status_id": "<other_status>", "pipeline_id": "<pipeline>", "organization_id": "<organization>"}.items()},
        {"?lead_saved_search_id": "<view>"},
        {"?lead_query": _TEXT, "?query": "id:<opportunity>"},
    ],
    "POST opportunity/": [
        {"lead_id": "<lead>", "contact_id": "<contact>", "user_id": "<user>", "status_id": "<status>",
         "pipeline_id": "<pipeline>", "custom.<opportunity_field>": "x"},
    ],
    "PUT opportunity/<opportunity>/": [
        {"lead_id": "<lead>", "contact_id": "<contact>", "user_id": "<user>", "status_id": "<status>",
         "pipeline_id": "<pipeline>", "custom.<opportunity_field>": "x"},
    ],
    "POST status/opportunity/": [{"label": "New", "pipeline_id": "<pipeline>"}],
    "PUT status/opportunity/<status>/": [{"pipeline_id": "<empty_pipeline>"}],
    "POST pipeline/": [{"name": "New", "statuses": [{"id": "<status>"}]}],
    "PUT pipeline/<pipeline>/": [{"statuses": [{"id": "<status>"}, {"id": "<other_status>"}]}],
    "GET email_template/<template>/render/": [
        {"?lead_id": "<lead>", "?contact_id": "<contact>"}, {"?s_query": json.dumps(_LEAD_QUERY)}, {"?query": _TEXT},
    ],
    "POST sequence/": [{"name": "New", "timezone": "UTC", "owner_id": "<user>", "steps": [_STEP, _MESSAGE]}],
    "PUT sequence/<sequence>/": [{"owner_id": "<user>", "steps": [{"id": "<step>"}, _STEP, _MESSAGE]}],
    "GET sequence_subscription/": [
        {"?lead_id": "<lead>"}, {"?contact_id": "<contact>"}, {"?sequence_id": "<sequence>"},
    ],
    "POST sequence_subscription/": [
        {"sequence_id": "<other_sequence>", "contact_id": "<contact>", "contact_email": "<contact_email>",
         "sender_account_id": "<account>", "sender_name": "Jo", "sender_email": "<sender>",
         "calls_assigned_to": ["<user>"]},
    ],
    "PUT sequence_subscription/<subscription>/": [{"sender_account_id": "<account>", "calls_assigned_to": ["<user>"]}],
    "POST data/search/": [
        {"query": _LEAD_QUERY, "include_counts": True},
        {"query": {"type": "object_type", "object_type": "lead"}, "_limit": 1, "cursor": "<search_cursor>"},
    ],
    "POST saved_search/": [_VIEW, {"name": "New", "type": "lead", "query": _TEXT, **_SHARED}],
    "PUT saved_search/<view>/": [{"s_query": {"query": _query(*_FOUND)}}, {"query": _TEXT, **_SHARED}],
    "POST bulk_action/delete/": _leads("delete"),
    "POST bulk_action/delete/preview/": _leads(),
    "POST bulk_action/edit/": [
        *_leads("edit", **_STATUS),
        {"lead_ids": ["<lead>"], "type": "set_custom_field", "custom_field_id": "<lead_field>",
         "custom_field_value": "x"},
        {"lead_ids": ["<lead>"], "type": "set_custom_field", "custom_field_id": "<user_field>",
         "custom_field_value": "<user>"},
    ],
    "POST bulk_action/edit/preview/": [
        *_leads(**_STATUS),
        {"lead_ids": ["<lead>"], "type": "clear_custom_field", "custom_field_id": "<lead_field>"},
    ],
    "GET bulk_action/email/": [{"?template_id": "<template>"}],
    "POST bulk_action/email/": _leads("mailing", **_SENDER),
    "POST bulk_action/email/preview/": _leads(**_SENDER),
    "POST bulk_action/sequence_subscription/": [*_leads(**_SUBSCRIBE), *_leads("subscribing", action_type="pause")],
    "POST bulk_action/sequence_subscription/preview/": [*_leads(**_SUBSCRIBE), *_leads(action_type="pause")],
    **{f"GET bulk_action/{word}/<{kind}>/results/": [{"?cursor": f"<{kind}_cursor>"}] for word, kind in {
        "delete": "delete", "edit": "edit", "email": "mailing", "sequence_subscription": "subscribing",
        "import": "import"}.items()},
    "POST bulk_action/import/": [
        {"upload_id": "<upload>"},
        {"upload_id": "<upload>", "mapping": {"Company": "lead.custom.<lead_field>", "Email": "contact.email"}},
        {"upload_id": "<upload>", "mapping": {"Company": "lead.custom.<lead_field>"}, "match": ["custom.<lead_field>"]},
        {"upload_id": "<upload>", "like": "<import>"},
    ],
    "POST bulk_action/import/preview/": [{"upload_id": "<upload>"}, {"upload_id": "<upload>", "like": "<import>"}],
    "POST export/lead/": [{"format": "csv", "type": "leads", "s_query": _LEAD_QUERY}],
    "POST export/opportunity/": [
        {"format": "csv", "params": {
            "id": "<opportunity>", "lead_id": "<lead>", "contact_id": "<contact>", "user_id": "<user>",
            "status_id": "<other_status>", "pipeline_id": "<pipeline>", "organization_id": "<organization>"}},
        {"format": "csv", "params": {"lead_saved_search_id": "<view>"}},
    ],
    "GET crm/contacts/": [{"?company_id": "<lead>"}],
    "POST crm/contacts/": [{"first_name": "a", "last_name": "b", "company_id": "<lead>"}],
    "PATCH crm/contacts/<contact>/": [{"company_id": "<lead>"}],
    "POST crm/deals/": [{**_DEAL, "pipeline_id": "<pipeline>"}],
    "PATCH crm/deals/<opportunity>/": [_DEAL],
    "GET crm/activities/": [{f"?{key}": value} for key, value in _PLACES.items()],
    "POST crm/activities/": [{"type": "note", "content": "x", **_PLACES}],
    "PATCH crm/activities/<note>/": [_PLACES],
    "POST crm/bulk/deals/update/": [{"ids": ["<opportunity>"], "assigned_member_id": "<user>"}],
    "POST crm/bulk/deals/delete/": [{"ids": ["<opportunity>"]}],
    "GET agents/leads/": [{"?stageId": "<lead_status>"}, {"?cursor": "<leads_cursor>"}],
    "POST agents/leads/bulk/": [{"leads": [{"contact_name": "New", "owner_id": "<user>"}]}],
}  # fmt: skip


def bodies() -> dict[str, list[dict[str, object]]]:
    """By method and address as `routes.served` has it."""
    return {
        operation.replace(" agents/", f" {AGENTS}/")
        if " agents/" in operation
        else operation.replace(" ", f" {V1}/", 1): sent
        for operation, sent in BODIES.items()
    }
