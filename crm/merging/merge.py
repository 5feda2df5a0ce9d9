"""The merge itself: hold what rows refer to, look up, decide, hold what is to change, write."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from crm.errors import Conflict
from crm.ids import base62, from_base62
from crm.locks import hold_rows, lock_matching
from crm.merging.deciding import Deciding, Decision, said
from crm.merging.known import RowKeys
from crm.merging.lookup import keys_of, look_up
from crm.merging.rows import Key, Merged, OnDuplicate, Row, RowResult, Rules, Subject
from crm.merging.writing import Writing
from crm.models import CustomField, LeadStatus, Organization, User
from crm.statuses import hold_default_status

LARGEST_CALL = 10_000  # rows: what a call holds in memory, and for how long it holds up the other merges (about 1 s)
_TRIES = 5  # at looking up what nobody changes before it is held
_OWN_KEYS = {Key.EXTERNAL_ID, Key.CUSTOM}  # values of the record itself, not of what belongs to it

_HOLD_LEADS = """
    SELECT id, date_updated AT TIME ZONE 'UTC' FROM crm_lead
    WHERE id = ANY(%s) AND organization_id = %s AND deleted_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
"""
_HOLD_CONTACTS = """
    SELECT id, date_updated AT TIME ZONE 'UTC' FROM crm_contact WHERE id = ANY(%s) AND organization_id = %s
    ORDER BY id FOR NO KEY UPDATE
"""


@transaction.atomic
def merge_rows(
    *,
    organization: Organization,
    by: User,
    rows: Sequence[Row],
    rules: Rules,
    dry_run: bool = False,
    action_id: UUID | None = None,
) -> Merged:
    """Apply the rows in order: each is merged into the oldest record that it matches, or makes a new one.

    A later row meets what an earlier one has made. A row that refers to a status, a lead or a custom field that is not
    there fails; the others do not mind. At most `LARGEST_CALL` rows; any number of calls may follow each other. One
    call at a time for an organization, until its transaction ends. `action_id` is noted on status changes.

    Raises `Conflict` when records change faster than they can be held.
    """
    if len(rows) > LARGEST_CALL:
        raise ValueError(f"At most {LARGEST_CALL} rows in one call: {len(rows)}.")
    lock_matching(organization.pk)
    held = _Held(organization.pk, rows, rules)
    judged = list(zip(rows, keys_of(rows, rules), (held.problem_of(row) for row in rows), strict=True))
    deciding, decisions = _decide(organization.pk, judged, rules, dry_run=dry_run)
    if dry_run:
        return Merged([_result(decision) for decision in decisions])
    writing = Writing(organization.pk, by.pk, action_id, held.default_status_id)
    writing.write(deciding.companies, deciding.people)
    return Merged(
        [_result(decision) for decision in decisions],
        writing.new_leads,
        writing.new_contacts,
        writing.new_details,
        writing.changes,
    )


def _decide(
    organization_id: UUID, judged: Sequence[tuple[Row, RowKeys, str | None]], rules: Rules, *, dry_run: bool
) -> tuple[Deciding, list[Decision]]:
    keys = [row_keys for _, row_keys, problem in judged if problem is None]
    for _ in range(_TRIES):
        index = look_up(organization_id, [] if rules.on_duplicate is OnDuplicate.CREATE else keys, rules)
        deciding = Deciding(rules, index)
        decisions = deciding.all_of(judged)
        # What is held stays held, so that the next look finds fewer that may have changed.
        if dry_run or _hold(organization_id, deciding, rules):
            return deciding, decisions
    raise Conflict("The records are being changed by others. Try again.")


def _hold(organization_id: UUID, deciding: Deciding, rules: Rules) -> bool:
    """Hold the records that were there and are to change; False when one is not any more what it was when looked up.

    Leads before contacts, each in the order of their keys, as everybody takes them.
    """
    leads = {record.id: record.seen for record in deciding.companies if record.id}
    people = {record.id: record.seen for record in deciding.people if record.id}
    held = dict(_selected(_HOLD_LEADS, leads, organization_id)) if leads else {}
    if leads.keys() != held.keys():
        return False
    # Between look-up and hold its external id or custom value may have become another one, or its own address. What a
    # lead is found by otherwise stands in its contacts, and a bulk edit under way would have each call look twice.
    if (rules.by_own_reach or not _OWN_KEYS.isdisjoint(rules.match)) and leads != held:
        return False
    return not people or people == dict(_selected(_HOLD_CONTACTS, people, organization_id))


def _selected(sql: str, ids: Iterable[UUID], organization_id: UUID) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(ids), organization_id])
        return cursor.fetchall()


class _Held:
    """What the rows refer to, kept from being deleted until this transaction ends: first statuses, then fields, then
    leads, as all writes take them."""

    def __init__(self, organization_id: UUID, rows: Sequence[Row], rules: Rules) -> None:
        is_lead = rules.subject is Subject.LEAD
        self.default_status_id = hold_default_status(organization_id) if is_lead else None
        statuses = {row.lead["status_id"] for row in rows if row.lead.get("status_id")}
        self._statuses = _held(LeadStatus, statuses, organization_id)
        fields = {key for row in rows for key in _custom_keys(row)}
        self._fields = set(map(base62, _held(CustomField, filter(None, map(from_base62, fields)), organization_id)))
        # Contacts of one lead are given their places one after the other.
        leads = {row.contact["lead_id"] for row in rows if not is_lead and row.contact.get("lead_id")}
        self._leads = {key for key, _ in _selected(_HOLD_LEADS, leads, organization_id)} if leads else set()
        self._is_lead = is_lead

    def problem_of(self, row: Row) -> str | None:
        """What the row refers to and is not there, as `RowResult.problem` has it."""
        status_id, lead_id = row.lead.get("status_id"), row.contact.get("lead_id")
        if status_id and status_id not in self._statuses:
            return "status_id"
        if lead_id and not self._is_lead and lead_id not in self._leads:
            return "lead_id"
        return next((f"custom.{key}" for key in _custom_keys(row) if key not in self._fields), None)


def _custom_keys(row: Row) -> Iterator[str]:
    yield from said(row.lead_custom)
    yield from said(row.contact_custom)
    for contact in row.contacts:
        yield from said(contact.contact_custom)


def _held(model: type[Model], wanted: Iterable[UUID], organization_id: UUID) -> set[UUID]:
    ids = list(wanted)
    return (
        set(hold_rows(model, "id = ANY(%s) AND organization_id = %s ORDER BY id", [ids, organization_id]))
        if ids
        else set()
    )


def _result(decision: Decision) -> RowResult:
    company, person = decision.company, decision.person
    lead_id = company.id if company else person.lead_id if person else None
    return RowResult(decision.outcome, lead_id, person.id if person else None, decision.matched_by, decision.problem)
