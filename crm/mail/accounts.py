"""What delivery needs of an account: its relay, and a note of how its server treats us."""

from django.db import connection

from crm import secrets
from crm.mail import transport
from crm.models import EmailAccount

SHORTEST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 900

_SCHEMES = {
    EmailAccount.Security.NONE: "smtp",
    EmailAccount.Security.STARTTLS: "smtp+tls",
    EmailAccount.Security.SSL: "smtp+ssl",
}


def relay_of(account: EmailAccount | None) -> transport.Relay:
    """Where mail of this account goes: its own server, else the relay of `EMAIL_URL`. Raises `RelayAway`."""
    if account is None or not account.smtp_host:
        return transport.default_relay()
    try:
        password = secrets.decrypt(account.smtp_password)
    except secrets.Undecryptable as problem:
        raise transport.LoginRefused(str(problem)) from None
    return transport.Relay(
        account.smtp_host,
        account.smtp_port or transport.PORTS[_SCHEMES[account.smtp_security]],
        _SCHEMES[account.smtp_security],
        account.smtp_username,
        password,
        is_ours=False,
    )


def pause(account: EmailAccount, *, anew: bool) -> None:
    """Send nothing more by this account for a while: 5 s when `anew`, else twice as long as last time, up to 15 min."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH pause AS (SELECT greatest(%(shortest)s, CASE WHEN %(anew)s THEN 0
                                  ELSE least(%(longest)s, 2 * pause_seconds) END) AS seconds
                           FROM crm_emailaccount WHERE id = %(account)s)
            UPDATE crm_emailaccount
            SET pause_seconds = pause.seconds, paused_until = clock_timestamp() + pause.seconds * interval '1 second'
            FROM pause WHERE id = %(account)s
            """,
            {
                "account": account.pk,
                "anew": anew,
                "shortest": SHORTEST_PAUSE_SECONDS,
                "longest": LONGEST_PAUSE_SECONDS,
            },
        )


def note_failure(account: EmailAccount, problem: str) -> None:
    """Show that the account cannot send now, and what its server said. No mail is lost by that."""
    EmailAccount.objects.filter(pk=account.pk).update(send_status="error", send_error=problem)


def note_success(account: EmailAccount) -> None:
    """The account sends: what stood against it is over."""
    if account.send_status != "ok" or account.send_error or account.pause_seconds or account.paused_until:
        EmailAccount.objects.filter(pk=account.pk).update(
            send_status="ok", send_error="", pause_seconds=0, paused_until=None
        )
