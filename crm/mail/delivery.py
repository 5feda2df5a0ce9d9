"""Delivery: reserved mail leaves in small chunks, each mail at most once (docs/architecture.md, "Mail leaves once").

A chunk is of one account. Transaction 1 marks due mails `sending` and commits. Transaction 2 locks them, asks the gates
and the suppression list, sends, and writes what became of each. A worker that dies in between leaves `sending` rows
that nobody has locked; the sweep makes them `unknown`, and only a person may send those again. Where all goes well the
second transaction of a chunk is the first one of the next: at no time is more than one chunk in hand.
"""

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model

from crm.errors import Invalid
from crm.mail import accounts, answers, limits, message, outcomes, transport
from crm.mail.outcomes import Outcome
from crm.models import EmailAccount, MailState, Organization, OutboxMail, Purpose

RELAY_RETRY_SECONDS = 5
LOOK_AGAIN_SECONDS = 0.5  # for other accounts whose mail has become due
LOST_AFTER_SECONDS = 5  # between the two transactions of a live worker lie milliseconds

Gate = Callable[[set[UUID]], set[UUID]]
Listener = Callable[[set[UUID]], None]
Source = tuple[str, UUID | None]  # what has asked for a mail: the mail's purpose, and the key behind it

_gates: list[tuple[Purpose, Gate]] = []
_listeners: list[tuple[Purpose, Listener]] = []
log = structlog.get_logger(__name__)


def register_gate(purpose: Purpose, gate: Gate) -> None:
    """Let `gate` say which sources' mail of that purpose may leave now.

    Called in the sending transaction with the sources at hand; whatever it locks is held until their mail is sent and
    recorded. It lets pass the sources that it knows nothing of.
    """
    if (purpose, gate) not in _gates:
        _gates.append((purpose, gate))


def register_listener(purpose: Purpose, listener: Listener) -> None:
    """Tell `listener`, after each commit, of which sources of that purpose mail was in hand here and none is now."""
    if (purpose, listener) not in _listeners:
        _listeners.append((purpose, listener))


_BACK = Outcome(MailState.RESERVED, tried=False)
_BACK_LATER = Outcome(MailState.RESERVED, wait_seconds=RELAY_RETRY_SECONDS, tried=False)
_ORPHANED = Outcome(MailState.WITHHELD, "account_gone", "The account of this mail was deleted.", tried=False)

# One step into the index `outbox_due` for each account that has reserved mail, however much it has.
_DUE_ACCOUNTS = """
WITH RECURSIVE lane AS (
    (SELECT account_id, not_before FROM crm_outboxmail WHERE state = 'reserved' AND account_id IS NOT NULL
     ORDER BY account_id, not_before LIMIT 1)
    UNION ALL
    SELECT further.* FROM lane CROSS JOIN LATERAL (
        SELECT account_id, not_before FROM crm_outboxmail WHERE state = 'reserved' AND account_id > lane.account_id
        ORDER BY account_id, not_before LIMIT 1) AS further
), due AS (
    SELECT * FROM lane
    UNION ALL
    (SELECT NULL, not_before FROM crm_outboxmail WHERE state = 'reserved' AND account_id IS NULL
     ORDER BY not_before LIMIT 1)
)
SELECT due.account_id FROM due LEFT JOIN crm_emailaccount AS account ON account.id = due.account_id
WHERE due.not_before <= statement_timestamp()
  AND coalesce(greatest(account.paused_until, account.waits_until), '-infinity') <= statement_timestamp()
ORDER BY due.not_before
"""


def deliver_slice(seconds: float) -> bool:
    """Deliver for about `seconds`, a chunk of each account in turn. True when the time was over first, so that more
    may be due."""
    until = monotonic() + seconds
    closed: set[UUID] = set()
    passed: set[UUID | None] = set()
    while turn := [account_id for account_id in due_accounts() if account_id not in passed]:
        look_again = monotonic() + LOOK_AGAIN_SECONDS
        while turn and monotonic() < look_again:
            for account_id in list(turn):
                if not deliver_chunk(account_id, closed, until=min(until, monotonic() + settings.MAIL_CHUNK_SECONDS)):
                    turn.remove(account_id)
                    passed.add(account_id)
                if monotonic() >= until:
                    return True
    return False


def deliver_chunk(account_id: UUID | None = None, closed: set[UUID] | None = None, *, until: float = 0) -> int:
    """Take at most MAIL_CHUNK due mails of the account in hand, send for about MAIL_CHUNK_SECONDS, and say how many
    were in hand. Without `account_id`: of the mails that have no account. Goes on chunk by chunk, as long as
    all of them leave, until `until` (by the monotonic clock).

    0 when nothing is due or the account sends nothing now; then all stay reserved. Mail of the sources in `closed` is
    passed over, and a source that a gate holds back is added to it.
    """
    closed = set() if closed is None else closed
    account = EmailAccount.objects.filter(pk=account_id).first() if account_id else None
    if account_id and account is None:
        return _withhold_orphans(account_id)
    try:
        # Before any mail is taken in hand: a server that is away, or slow to greet, costs no mail its certainty.
        line = transport.connection_to(accounts.relay_of(account))
    except transport.RelayAway as problem:
        _note_relay_away(account, problem)
        return 0
    claim = secrets.randbits(63)
    taken = _take_in_hand(claim, account, closed)
    n_taken = 0
    while taken:
        n_taken += len(taken)
        with transaction.atomic(durable=True):
            mails = _in_hand(claim, taken)
            chunk = _Chunk(mails, account, line, closed)
            chunk.send()
            outcomes.record(chunk.outcomes)
            chunk.note_account()
            # Trouble is looked after first, with nothing in hand, and limits are counted under their lock.
            goes_on = chunk.has_left and not (account and limits.is_limited(account)) and monotonic() < until
            taken = _claim(claim, account, closed, settings.MAIL_CHUNK) if goes_on else {}
            _tell_of({(mail.purpose, mail.source_id) for mail in mails} - set(taken.values()))
        outcomes.suppress_refused(mails, chunk.outcomes)
        if chunk.sends_no_more:
            return 0
    return n_taken


def due_accounts() -> list[UUID | None]:
    """The accounts that have mail whose time has come and may send now, as far as is known without counting; None
    stands for mail without an account. That which has waited longest comes first."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE_ACCOUNTS)
        return [account_id for (account_id,) in cursor.fetchall()]


def is_due() -> bool:
    """Whether mail waits that an account may send now. It may be held back by a gate all the same."""
    return bool(due_accounts())


def sweep_lost() -> int:
    """Make `unknown` what died workers had in hand (1,000 at most). How many mails those were."""
    with connection.cursor() as cursor:
        # A live worker's rows are locked, whatever their age; those of a dead one are not.
        cursor.execute(
            f"""
            WITH mails AS (
                UPDATE crm_outboxmail
                SET state = 'unknown', error_code = 'worker_lost', attempts = attempts + 1, date_sent = claimed_at,
                    error_message = 'The delivery worker was lost while it had this mail in hand.'
                WHERE id = ANY(ARRAY(
                    SELECT id FROM crm_outboxmail
                    WHERE state = 'sending' AND claimed_at < statement_timestamp() - %s * interval '1 second'
                    ORDER BY claimed_at LIMIT 1000 FOR UPDATE SKIP LOCKED))
                RETURNING activity_id, state, date_sent, error_code, error_message, true AS tried),
            shown AS ({outcomes.SHOW_ON_ACTIVITIES})
            SELECT count(*) FROM mails
            """,
            [LOST_AFTER_SECONDS],
        )
        return cursor.fetchone()[0]


def _note_relay_away(account: EmailAccount | None, problem: transport.RelayAway) -> None:
    account_id = account and str(account.pk)
    log.warning("mail.relay_away", account_id=account_id, problem=str(problem))
    if account and account.smtp_host:  # the relay of EMAIL_URL is the operator's: its trouble is no account's
        accounts.note_failure(account, str(problem))
        accounts.pause(account, anew=False)


def _withhold_orphans(account_id: UUID) -> int:
    with transaction.atomic(durable=True):
        mails = OutboxMail.objects.select_for_update(skip_locked=True).filter(
            account_id=account_id, state=MailState.RESERVED
        )
        found = list(mails.values_list("pk", flat=True)[:1000])
        outcomes.record(dict.fromkeys(found, _ORPHANED))
    return len(found)


def _tell_of(sources: set[Source]) -> None:
    for purpose, listener in _listeners:
        if keys := {key for its_purpose, key in sources if its_purpose == purpose and key}:
            transaction.on_commit(lambda tell=listener, keys=keys: tell(keys), robust=True)


def _take_in_hand(claim: int, account: EmailAccount | None, closed: set[UUID]) -> dict[UUID, Source]:
    # Committed before the first byte goes out, so that whatever happens later nobody takes these mails for unsent.
    with transaction.atomic(durable=True):
        room = settings.MAIL_CHUNK
        if account and limits.is_limited(account):
            limits.lock(account)
            allowed = limits.allowance(account)
            if allowed.mails == 0:
                EmailAccount.objects.filter(pk=account.pk).update(waits_until=allowed.until)
                return {}
            room = room if allowed.mails is None else min(room, allowed.mails)
        return _claim(claim, account, closed, room)


def _claim(claim: int, account: EmailAccount | None, closed: set[UUID], room: int) -> dict[UUID, Source]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_outboxmail SET state = 'sending', claim = %s, claimed_at = statement_timestamp()
            WHERE id = ANY(ARRAY(
                SELECT id FROM crm_outboxmail
                WHERE state = 'reserved' AND not_before <= statement_timestamp()
                  AND (account_id = %s OR (%s AND account_id IS NULL))
                  AND (source_id IS NULL OR purpose = 'notice' OR source_id <> ALL(%s::uuid[]))
                ORDER BY not_before, id LIMIT %s FOR UPDATE SKIP LOCKED))
            RETURNING id, purpose, source_id
            """,
            [claim, account and account.pk, account is None, list(closed), room],
        )
        return {key: (purpose, source_id) for key, purpose, source_id in cursor.fetchall()}


def _columns(model: type[Model], *names: str) -> list[str]:
    """These columns in the order in which `from_db` takes their values."""
    return [field.attname for field in model._meta.concrete_fields if field.attname in names]


# What sending needs. Written out here: the ORM takes longer over this statement than the mail server for two mails.
_COLUMNS = _columns(
    OutboxMail, "id", "organization_id", "purpose", "source_id", "activity_id", "contact_id", "address", "sender",
    "subject", "body_text", "body_html", "headers", "message_id", "attempts",
)  # fmt: skip
_OF_ORGANIZATION = _columns(Organization, "id", "postal_address", "require_unsubscribe_link")
_IN_HAND = f"""
SELECT {", ".join(f"mail.{name}" for name in _COLUMNS)},
    {", ".join(f"organization.{name}" for name in _OF_ORGANIZATION)}
FROM crm_outboxmail AS mail JOIN crm_organization AS organization ON organization.id = mail.organization_id
WHERE mail.id = ANY(%s) AND mail.state = 'sending' AND mail.claim = %s
ORDER BY mail.not_before, mail.id FOR UPDATE OF mail
"""


def _in_hand(claim: int, taken: Collection[UUID]) -> list[OutboxMail]:
    """The mails of the chunk, locked. Those that a sweep has called lost meanwhile are no longer ours."""
    organizations: dict[UUID, Organization] = {}
    mails = []
    with connection.cursor() as cursor:
        cursor.execute(_IN_HAND, [list(taken), claim])
        for row in cursor.fetchall():
            mail = OutboxMail.from_db(connection.alias, _COLUMNS, row[: len(_COLUMNS)])
            mail.headers = json.loads(mail.headers)
            if mail.organization_id not in organizations:
                found = Organization.from_db(connection.alias, _OF_ORGANIZATION, row[len(_COLUMNS) :])
                organizations[mail.organization_id] = found
            mail.organization = organizations[mail.organization_id]
            mails.append(mail)
    return mails


class _Chunk:
    """Mails of one account in hand, in the sending transaction. `send` leaves an outcome for each."""

    def __init__(
        self,
        mails: Sequence[OutboxMail],
        account: EmailAccount | None,
        line: transport.Connection,
        closed: set[UUID],
    ) -> None:
        self.outcomes: dict[UUID, Outcome] = dict.fromkeys((mail.pk for mail in mails), _BACK)
        self._mails = mails
        self._account = account
        self._line = line
        self._closed = closed
        self._relay_is_useless = False
        self._patience_asked = False
        self._sender_problem = ""

    def send(self) -> None:
        """Send what may leave until the chunk's time is over."""
        held = _held_sources(self._mails)
        self._closed |= held
        suppressed = _suppressed(self._mails)
        until = monotonic() + settings.MAIL_CHUNK_SECONDS
        for mail in self._mails:
            # Also before the first: a worker that was frozen after it passed the gate sends nothing more.
            if self._line.broken or self._patience_asked or monotonic() >= until:
                break
            if mail.purpose != Purpose.NOTICE and mail.source_id in held:
                continue
            reason = suppressed.get((mail.organization_id, mail.address))
            if reason and mail.purpose != Purpose.NOTICE:
                self.outcomes[mail.pk] = Outcome(MailState.WITHHELD, "suppressed", reason, tried=False)
                continue
            try:
                self.outcomes[mail.pk] = self._send(mail)
            except transport.RelayAway as problem:
                self._note_away(problem)
                break

    @property
    def has_left(self) -> bool:
        """Whether all of them were sent."""
        return all(outcome.state == MailState.SENT for outcome in self.outcomes.values())

    @property
    def sends_no_more(self) -> bool:
        """Whether another chunk of this account would be of no use now."""
        return self._relay_is_useless or self._patience_asked

    def note_account(self) -> None:
        """Slow the account down where its server asked for patience, and forget old trouble where a mail has left."""
        if self._account is None:
            return
        sent = any(outcome.state == MailState.SENT for outcome in self.outcomes.values())
        if sent and not self._sender_problem:
            accounts.note_success(self._account)
        if self._sender_problem:
            accounts.note_failure(self._account, self._sender_problem)
        if self._patience_asked:
            accounts.pause(self._account, anew=sent)

    def _note_away(self, problem: transport.RelayAway) -> None:
        log.warning("mail.relay_away", problem=str(problem), messages_taken=self._line.messages_taken)
        if isinstance(problem, transport.LoginRefused):
            self._sender_problem = str(problem)
        self._patience_asked |= isinstance(problem, transport.PatienceAsked | transport.LoginRefused)
        # Many servers hang up after some number of messages; one that takes none at all is not asked at once again.
        if not self._line.messages_taken:
            self._relay_is_useless = True
            self.outcomes = {
                key: _BACK_LATER if outcome is _BACK else outcome for key, outcome in self.outcomes.items()
            }

    def _send(self, mail: OutboxMail) -> Outcome:
        """Try one mail. Raises `RelayAway` when the trouble has nothing to do with this mail."""
        try:
            content, sender = message.as_octets(mail), message.envelope_sender(mail)
        except Invalid as problem:
            return Outcome(MailState.ERROR, "invalid_message", problem.errors[0], tried=False)
        except Exception:
            # The e-mail package has surprised before; one mail that it cannot build must not stop those behind it.
            log.exception("mail.not_built", mail_id=str(mail.pk))
            return Outcome(MailState.ERROR, "invalid_message", "The message could not be built.", tried=False)
        try:
            self._line.send(content, sender=sender, recipient=mail.address)
        except transport.Answered as answer:
            return self._judge(mail, answer)
        except transport.Doubtful as problem:
            return Outcome(MailState.UNKNOWN, "no_answer", f"The mail server did not answer: {problem}")
        return Outcome(MailState.SENT)

    def _judge(self, mail: OutboxMail, answer: transport.Answered) -> Outcome:
        code = f"smtp_{answer.code}"
        self._patience_asked |= self._account is not None and answers.asks_for_patience(answer)
        if isinstance(answer, transport.SenderRefused):
            self._sender_problem = f"{mail.sender} is refused as a sender: {answer.code} {answer.text}"
        if not isinstance(answer, transport.Refused):
            wait_seconds = answers.retry_seconds(mail.attempts)
            if wait_seconds is not None:
                return Outcome(MailState.RESERVED, code, answer.text, wait_seconds)
        return Outcome(
            MailState.ERROR,
            code,
            answer.text,
            address_is_dead=answers.means_dead_address(answer),
            may_pass=answers.may_pass(answer),
        )


def _held_sources(mails: Sequence[OutboxMail]) -> set[UUID]:
    held: set[UUID] = set()
    for purpose, gate in _gates:
        if sources := {mail.source_id for mail in mails if mail.source_id and mail.purpose == purpose}:
            held |= sources - gate(set(sources))
    return held


def _suppressed(mails: Sequence[OutboxMail]) -> dict[tuple[UUID, str], str]:
    """Why each suppressed (organization, address) is, as it stands in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organization_id, address, reason FROM crm_suppression "
            "WHERE organization_id = ANY(%s) AND address = ANY(%s)",
            [list({mail.organization_id for mail in mails}), list({mail.address for mail in mails})],
        )
        return {(organization_id, address): reason for organization_id, address, reason in cursor.fetchall()}
