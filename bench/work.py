"""The pieces of work that are measured: as a request to the API, and as SQL that does the same to the leads."""

from dataclasses import dataclass

STATUS, NUMBER, DELETE, TEXT = "edit of the status", "edit of a custom field", "delete", "edit of a text field"


@dataclass(frozen=True)
class Work:
    """One kind of work on all leads of the organization.

    `filter` selects the leads, `assignments` change them, `before` is the old value as JSON (or SQL null), and
    `restored` takes the change back where `was` is the same lead as it was before. With `writes_activity`, each changed
    lead gets a LeadStatusChange; with `rewrites_words`, its words in the text index are read anew. Parameters of the
    SQL: those of `World.parameters`.
    """

    name: str
    kind: str
    body: dict[str, object]
    filter: str
    assignments: str
    before: str
    restored: str
    writes_activity: bool = False
    rewrites_words: bool = False


LIVE = "organization_id = %(organization)s AND deleted_at IS NULL"
TOUCH = "date_updated = now(), updated_by_id = %(user)s"
ALL_LEADS = {"type": "object_type", "object_type": "lead"}
NUMBER_VALUE, TEXT_VALUE = 4711, "Spring fair"


def works(*, old_status: str, new_status: str, number_field: str, text_field: str) -> list[Work]:
    """All of them, for these Close ids."""
    in_old_status = {
        "type": "field_condition",
        "field": {"type": "regular_field", "object_type": "lead", "field_name": "status_id"},
        "condition": {"type": "reference", "reference_type": "status.lead", "object_ids": [old_status]},
    }
    return [
        Work(
            name=STATUS,
            kind="edit",
            body={
                "type": "set_lead_status",
                "lead_status_id": new_status,
                "s_query": {"type": "and", "queries": [ALL_LEADS, in_old_status]},
            },
            filter=f"{LIVE} AND status_id = %(old_status)s",
            assignments=f"status_id = %(new_status)s, {TOUCH}",
            before="to_jsonb(old.status_id)",
            restored=f"status_id = was.status_id, {TOUCH}",
            writes_activity=True,
        ),
        _field_edit(NUMBER, number_field, NUMBER_VALUE, word="number", type_in_sql="numeric"),
        Work(
            name=DELETE,
            kind="delete",
            body={"s_query": {"type": "and", "queries": [ALL_LEADS]}},
            filter=LIVE,
            assignments="deleted_at = now(), deleted_by_action = %(action)s",
            before="NULL::jsonb",
            restored="deleted_at = NULL, deleted_by_action = NULL",
        ),
        _field_edit(TEXT, text_field, TEXT_VALUE, word="text", type_in_sql="text"),
    ]


def _field_edit(name: str, field: str, value: object, *, word: str, type_in_sql: str) -> Work:
    """`word`: how the parameters of the field's key and value begin."""
    return Work(
        name=name,
        kind="edit",
        body={
            "type": "set_custom_field",
            "custom_field_id": field,
            "custom_field_value": value,
            "s_query": {"type": "and", "queries": [ALL_LEADS]},
        },
        filter=LIVE,
        assignments=f"""custom = custom || jsonb_build_object(%({word}_key)s::text, %({word}_value)s::{type_in_sql}),
            {TOUCH}""",
        before=f"old.custom -> %({word}_key)s::text",
        restored=f"custom = was.custom, {TOUCH}",
        rewrites_words=word == "text",
    )
