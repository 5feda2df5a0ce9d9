"""The three pieces of work that are measured: as a request to the API, and as SQL that does the same to the leads."""

from dataclasses import dataclass

VALUE = "Spring fair"


@dataclass(frozen=True)
class Work:
    """One kind of work on all leads of the organization.

    `filter` selects the leads, `assignments` change them, `before` is the old value as JSON (or SQL null). With
    `writes_activity`, each changed lead gets a LeadStatusChange. Parameters of the SQL: those of `World.parameters`.
    """

    name: str
    kind: str
    body: dict[str, object]
    filter: str
    assignments: str
    before: str
    writes_activity: bool = False


LIVE = "organization_id = %(organization)s AND deleted_at IS NULL"
TOUCH = "date_updated = now(), updated_by_id = %(user)s"
ALL_LEADS = {"type": "object_type", "object_type": "lead"}


def works(*, old_status: str, new_status: str, field: str) -> list[Work]:
    """The three, for these Close ids."""
    in_old_status = {
        "type": "field_condition",
        "field": {"type": "regular_field", "object_type": "lead", "field_name": "status_id"},
        "condition": {"type": "reference", "reference_type": "status.lead", "object_ids": [old_status]},
    }
    return [
        Work(
            name="edit of the status",
            kind="edit",
            body={
                "type": "set_lead_status",
                "lead_status_id": new_status,
                "s_query": {"type": "and", "queries": [ALL_LEADS, in_old_status]},
            },
            filter=f"{LIVE} AND status_id = %(old_status)s",
            assignments=f"status_id = %(new_status)s, {TOUCH}",
            before="to_jsonb(old.status_id)",
            writes_activity=True,
        ),
        Work(
            name="edit of a custom field",
            kind="edit",
            body={
                "type": "set_custom_field",
                "custom_field_id": field,
                "custom_field_value": VALUE,
                "s_query": {"type": "and", "queries": [ALL_LEADS]},
            },
            filter=LIVE,
            assignments=f"custom = custom || jsonb_build_object(%(field_key)s::text, %(value)s::text), {TOUCH}",
            before="old.custom -> %(field_key)s::text",
        ),
        Work(
            name="delete",
            kind="delete",
            body={"s_query": {"type": "and", "queries": [ALL_LEADS]}},
            filter=LIVE,
            assignments="deleted_at = now(), deleted_by_action = %(action)s",
            before="NULL::jsonb",
        ),
    ]
