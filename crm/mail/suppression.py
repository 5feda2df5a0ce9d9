"""Addresses that an organization must not write to. One row per address, with its strongest reason.

A person's wish outranks what a server said: complained, then unsubscribed, then manual, then bounced. So lifting a
bounce, which an administrator may do once a mailbox is back, never lifts a wish that lay beneath it.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from crm.errors import Invalid
from crm.mail.addresses import normalise
from crm.mail.events import Happening, announce, event_of
from crm.models import OutboxMail, Suppression

Reason = Suppression.Reason

DETAIL_LENGTH = 500  # characters
_WEAKEST_FIRST = ["bounced", "manual", "unsubscribed", "complained"]
_HAPPENINGS = {
    Reason.BOUNCED: Happening.BOUNCE,
    Reason.MANUAL: Happening.UNSUBSCRIBE,
    Reason.UNSUBSCRIBED: Happening.UNSUBSCRIBE,
    Reason.COMPLAINED: Happening.COMPLAINT,
}


@transaction.atomic
def suppress(
    organization_id: UUID, address: str, reason: str, detail: str = "", *, mail: OutboxMail | None = None
) -> bool:
    """Stop all mail to `address` but notices. False where as strong a reason stood already; then nothing is changed.

    Mail that is reserved for it is withheld at once; what a delivery worker has in hand is held against the list once
    more before it is sent. `mail` is the one that it is about, for those who registered with `crm.mail.events`.
    Raises `Invalid` for what is no address.
    """
    address = normalise(address)
    with connection.cursor() as cursor:
        # The row before the mails: a reservation that commits in between is withheld when it is to be sent.
        cursor.execute(
            """
            INSERT INTO crm_suppression AS known (organization_id, address, reason, detail) VALUES (%s, %s, %s, %s)
            ON CONFLICT (organization_id, address) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
                WHERE array_position(%s, known.reason) < array_position(%s, excluded.reason)
            """,
            [organization_id, address, str(reason), detail[:DETAIL_LENGTH], _WEAKEST_FIRST, _WEAKEST_FIRST],
        )
        is_news = cursor.rowcount == 1
        if is_news:
            _withhold(cursor, organization_id, address, reason)
    if is_news:
        announce(event_of(_HAPPENINGS[Reason(reason)], organization_id, address, mail))
    return is_news


def release(organization_id: UUID, address: str) -> bool:
    """Let mail go to `address` again. False where it was not suppressed. What was withheld stays unsent."""
    return Suppression.objects.filter(organization_id=organization_id, address=_normal(address)).delete()[0] > 0


def reasons_for(organization_id: UUID, addresses: Iterable[str]) -> dict[str, str]:
    """Why each suppressed one of `addresses` is, by the address as it was given. One query."""
    normal = {address: _normal(address) for address in addresses}
    rows = Suppression.objects.filter(organization_id=organization_id, address__in=set(normal.values()))
    reasons = dict(rows.values_list("address", "reason"))
    return {address: reasons[plain] for address, plain in normal.items() if plain in reasons}


def unwanted(organization_id: UUID) -> QuerySet[Suppression]:
    """The unsubscribe list of close-api.md 4.17: those who do not want mail. Bounced addresses are not on it."""
    return Suppression.objects.filter(organization_id=organization_id, reason__in=Suppression.UNWANTED)


def _withhold(cursor: object, organization_id: UUID, address: str, reason: str) -> None:
    cursor.execute(
        """
        WITH withheld AS (
            UPDATE crm_outboxmail SET state = 'withheld', error_code = 'suppressed', error_message = %s
            WHERE organization_id = %s AND address = %s AND state = 'reserved' AND purpose <> 'notice'
            RETURNING activity_id)
        UPDATE crm_activity SET status = 'error', date_updated = statement_timestamp()
        FROM withheld WHERE crm_activity.id = withheld.activity_id
        """,
        [str(reason), organization_id, address],
    )


def _normal(address: str) -> str:
    """The form in which suppressed addresses are kept; one that nobody could write to as it stands."""
    try:
        return normalise(address)
    except Invalid:
        return address
