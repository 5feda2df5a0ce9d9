"""Delivery: reserved mail leaves in small chunks, each mail at most once (docs/architecture.md, "Mail leaves once").

Transaction 1 marks due mails `sending` and commits. Transaction 2 locks them, asks the gates and the suppression list,
sends, and writes what became of each. A worker that dies in between leaves `sending` rows that nobody has locked; the
sweep makes them `unknown`, and only a person may send those again.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from crm.errors import Invalid
from crm.mail import message, transport
from crm.models import MailState, OutboxMail, Purpose, Suppression

FIRST_RETRY_SECONDS = 60  # doubled each time
MAX_ATTEMPTS = 13  # the last one 68 hours after the first
RELAY_RETRY_SECONDS = 5
LOST_AFTER_SECONDS = 5  # between the two transactions of a live worker lie milliseconds

Gate = Callable[[set[UUID]], set[UUID]]

_gates: list[Gate] = []
log = structlog.get_logger(__name__)


def register_gate(gate: Gate) -> None:
    """Let `gate` say which sources' mail may leave now. Notices are not asked about.

    Called in the sending transaction with the sources at hand; whatever it locks is held until their mail is sent and
    recorded. It lets pass the sources that it knows nothing of.
    """
    if gate not in _gates:
        _gates.append(gate)


@dataclass(frozen=True)
class Outcome:
    """What became of a mail in one chunk. `wait_seconds`: how much later one that is reserved again may be taken."""

    state: MailState
    code: str | None = None
    text: str | None = None
    wait_seconds: float | None = None
    tried: bool = True


_BACK = Outcome(MailState.RESERVED, tried=False)
_BACK_LATER = Outcome(MailState.RESERVED, wait_seconds=RELAY_RETRY_SECONDS, tried=False)


def deliver_slice(seconds: float) -> bool:
    """Deliver for about `seconds`. True when the time was over first, so that more may be due."""
    until = monotonic() + seconds
    closed: set[UUID] = set()
    if not is_due():
        return False  # and the mail server need not be asked for
    while deliver_chunk(closed):
        if monotonic() >= until:
            return True
    return False


def deliver_chunk(closed: set[UUID] | None = None) -> int:
    """Take at most MAIL_CHUNK due mails in hand, send for about MAIL_CHUNK_SECONDS, and say how many were in hand.

    0 when nothing is due or the relay takes no mail now; then all stay reserved. Mail of the sources in `closed` is
    passed over, and a source that a gate holds back is added to it.
    """
    closed = set() if closed is None else closed
    try:
        # Before any mail is taken in hand: a server that is away, or slow to greet, costs no mail its certainty.
        line = transport.connection_to(transport.default_relay())
    except transport.RelayAway as problem:
        log.warning("mail.relay_away", problem=str(problem))
        return 0
    claim = secrets.randbits(63)
    taken = _take_in_hand(claim, closed)
    if not taken:
        return 0
    with transaction.atomic(durable=True):
        # Those that a sweep has called lost meanwhile are no longer ours.
        mails = OutboxMail.objects.select_for_update().filter(id__in=taken, state=MailState.SENDING, claim=claim)
        outcomes = _send_all(list(mails.order_by("not_before", "id")), line, closed)
        _record(outcomes)
    relay_is_useless = any(outcome is _BACK_LATER for outcome in outcomes.values())
    return 0 if relay_is_useless else len(taken)


def is_due() -> bool:
    """Whether mail waits whose time has come. It may be held back by a gate all the same."""
    return OutboxMail.objects.filter(state=MailState.RESERVED, not_before__lte=Now()).exists()


def sweep_lost() -> int:
    """Make `unknown` what died workers had in hand (1,000 at most). How many mails those were."""
    with connection.cursor() as cursor:
        # A live worker's rows are locked, whatever their age; those of a dead one are not.
        cursor.execute(
            """
            UPDATE crm_outboxmail
            SET state = 'unknown', error_code = 'worker_lost', attempts = attempts + 1,
                error_message = 'The delivery worker was lost while it had this mail in hand.'
            WHERE id = ANY(ARRAY(
                SELECT id FROM crm_outboxmail
                WHERE state = 'sending' AND claimed_at < statement_timestamp() - %s * interval '1 second'
                ORDER BY claimed_at LIMIT 1000 FOR UPDATE SKIP LOCKED))
            """,
            [LOST_AFTER_SECONDS],
        )
        return cursor.rowcount


def _take_in_hand(claim: int, closed: set[UUID]) -> list[UUID]:
    # Committed before the first byte goes out, so that whatever happens later nobody takes these mails for unsent.
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_outboxmail SET state = 'sending', claim = %s, claimed_at = statement_timestamp()
            WHERE id = ANY(ARRAY(
                SELECT id FROM crm_outboxmail
                WHERE state = 'reserved' AND not_before <= statement_timestamp()
                  AND (source_id IS NULL OR purpose = 'notice' OR source_id <> ALL(%s::uuid[]))
                ORDER BY not_before, id LIMIT %s FOR UPDATE SKIP LOCKED))
            RETURNING id
            """,
            [claim, list(closed), settings.MAIL_CHUNK],
        )
        return [key for (key,) in cursor.fetchall()]


def _send_all(mails: Sequence[OutboxMail], line: transport.Connection, closed: set[UUID]) -> dict[UUID, Outcome]:
    """Send what may leave until the chunk's time is over. An outcome for every mail."""
    outcomes = dict.fromkeys((mail.id for mail in mails), _BACK)
    held = _held_sources(mails)
    closed |= held
    suppressed = _suppressed(mails)
    until = monotonic() + settings.MAIL_CHUNK_SECONDS
    for mail in mails:
        # Also before the first: a worker that was frozen after it passed the gate sends nothing more.
        if line.broken or monotonic() >= until:
            break
        if mail.purpose != Purpose.NOTICE and mail.source_id in held:
            continue
        reason = suppressed.get((mail.organization_id, mail.address))
        if reason and mail.purpose != Purpose.NOTICE:
            outcomes[mail.id] = Outcome(MailState.WITHHELD, "suppressed", reason, tried=False)
            continue
        try:
            outcomes[mail.id] = _send(mail, line)
        except transport.RelayAway as problem:
            # Many servers hang up after some number of messages; one that takes none at all is not asked at once again.
            log.warning("mail.relay_away", problem=str(problem), messages_taken=line.messages_taken)
            if not line.messages_taken:
                outcomes = {key: _BACK_LATER if outcome is _BACK else outcome for key, outcome in outcomes.items()}
            break
    return outcomes


def _held_sources(mails: Sequence[OutboxMail]) -> set[UUID]:
    sources = {mail.source_id for mail in mails if mail.source_id and mail.purpose != Purpose.NOTICE}
    open_ones = set(sources)
    for gate in _gates if sources else ():
        open_ones &= gate(set(sources))
    return sources - open_ones


def _suppressed(mails: Sequence[OutboxMail]) -> dict[tuple[UUID, str], str]:
    """Why each suppressed (organization, address) is, as it stands in this transaction."""
    found = Suppression.objects.filter(
        organization__in={mail.organization_id for mail in mails}, address__in={mail.address for mail in mails}
    )
    return {(row.organization_id, row.address): row.reason for row in found}


def _send(mail: OutboxMail, line: transport.Connection) -> Outcome:
    """Try one mail. Raises `RelayAway` when the trouble has nothing to do with this mail."""
    try:
        content = message.build(mail)
        sender = message.envelope_sender(mail)
    except Invalid as problem:
        return Outcome(MailState.ERROR, "invalid_message", problem.errors[0], tried=False)
    except Exception:
        # The e-mail package has surprised before; one mail that it cannot build must not stop those behind it.
        log.exception("mail.not_built", mail_id=str(mail.id))
        return Outcome(MailState.ERROR, "invalid_message", "The message could not be built.", tried=False)
    try:
        line.send(content, sender=sender, recipient=mail.address)
    except transport.Refused as answer:
        return Outcome(MailState.ERROR, f"smtp_{answer.code}", answer.text)
    except transport.Deferred as answer:
        if mail.attempts + 1 >= MAX_ATTEMPTS:
            return Outcome(MailState.ERROR, f"smtp_{answer.code}", answer.text)
        wait_seconds = FIRST_RETRY_SECONDS * 2**mail.attempts
        return Outcome(MailState.RESERVED, f"smtp_{answer.code}", answer.text, wait_seconds)
    except transport.Doubtful as problem:
        return Outcome(MailState.UNKNOWN, "no_answer", f"The mail server did not answer: {problem}")
    return Outcome(MailState.SENT)


def _record(outcomes: dict[UUID, Outcome]) -> None:
    """Write all outcomes of a chunk in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_outboxmail AS mail
            SET state = done.state,
                error_code = coalesce(done.code, CASE WHEN done.state = 'reserved' THEN mail.error_code END),
                error_message = coalesce(done.text, CASE WHEN done.state = 'reserved' THEN mail.error_message END),
                attempts = mail.attempts + done.tried::int,
                not_before = coalesce(clock_timestamp() + done.wait * interval '1 second', mail.not_before),
                date_sent = CASE WHEN done.state = 'sent' THEN clock_timestamp() END,
                claim = NULL,
                claimed_at = NULL
            FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::bool[])
                AS done (id, state, code, text, wait, tried)
            WHERE mail.id = done.id
            """,
            [
                list(outcomes),
                [str(outcome.state) for outcome in outcomes.values()],
                [outcome.code for outcome in outcomes.values()],
                [outcome.text for outcome in outcomes.values()],
                [outcome.wait_seconds for outcome in outcomes.values()],
                [outcome.tried for outcome in outcomes.values()],
            ],
        )
