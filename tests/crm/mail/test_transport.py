"""Which server mail goes through, and how we log in to it."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from crm.mail import delivery
from crm.mail.transport import Relay
from crm.models import MailState, OutboxMail
from tests.smtp import Post, drop_connections, serving


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://mail.example", Relay("mail.example", 25)),
        ("smtp://mail.example:1025", Relay("mail.example", 1025)),
        ("smtp+tls://jo:p%40ss@mail.example", Relay("mail.example", 587, "smtp+tls", "jo", "p@ss")),
        (
            "smtp+ssl://jo%40oakvale.example:x@mail.example",
            Relay("mail.example", 465, "smtp+ssl", "jo@oakvale.example", "x"),
        ),
    ],
)
def test_a_relay_is_written_as_a_url(url: str, relay: Relay) -> None:
    assert Relay.from_url(url) == relay


@pytest.mark.parametrize(
    "url", ["mail.example", "http://jo:secret@mail.example", "smtp://jo:secret@host:99999", "smtp://"]
)
def test_what_is_no_relay_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="EMAIL_URL") as refused:
        Relay.from_url(url)
    assert "secret" not in str(refused.value)


def test_a_relay_does_not_show_its_password() -> None:
    assert "secret" not in repr(Relay.from_url("smtp://jo:secret@mail.example"))


def test_mail_waits_while_the_login_is_refused(settings: Settings, reserve: Callable[..., OutboxMail]) -> None:
    with serving(Post(login=("jo", "secret"))) as port:
        mail = reserve()
        for login in ("", "jo:wrong@"):
            settings.EMAIL_URL = f"smtp://{login}127.0.0.1:{port}"
            delivery.deliver_slice(5)
            mail.refresh_from_db()
            assert (mail.state, mail.attempts) == (MailState.RESERVED, 0)
        OutboxMail.objects.update(not_before=mail.date_created)
        settings.EMAIL_URL = f"smtp://jo:secret@127.0.0.1:{port}"
        delivery.deliver_slice(5)
        drop_connections()
    mail.refresh_from_db()
    assert mail.state == MailState.SENT
