"""The way out: in the headers of every bulk and sequence mail, and in its bodies where the organization requires it."""

import re
import uuid

import pytest
from django.test import Client
from pytest_django import Settings

from crm.mail import message, unsubscribe
from crm.mail.suppression import reasons_for
from crm.models import MailState, Organization, OutboxMail, Purpose
from tests.crm.mail.test_delivery import Reserve, deliver_all, state_of
from tests.smtp import Post

HTML = "<html><body><p>Hello Ida</p></body></html>"


@pytest.fixture
def requiring(organization: Organization) -> Organization:
    organization.require_unsubscribe_link = True
    organization.postal_address = "Oak Lane 1\n<Oakvale> & Sons"
    organization.save()
    return organization


def test_following_the_header_of_an_arrived_mail_stops_the_rest_of_the_running_job(
    organization: Organization, reserve: Reserve, post: Post, settings: Settings
) -> None:
    settings.INBOUND_MAIL_DOMAIN = "in.drover.example"
    job = uuid.uuid4()
    first = reserve(source_id=job, step="1", body_html=HTML)
    deliver_all()
    second = reserve(source_id=job, step="2")
    (arrived,) = post.messages()

    link, _ = re.fullmatch(
        r"<(http\S+)>,\s+<mailto:(unsubscribe\+\S+@in\.drover\.example)>", arrived["List-Unsubscribe"]
    ).groups()
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Auto-Submitted" not in arrived
    assert "/u/" not in arrived.get_body(("plain",)).get_content(), "only where it is required"
    answer = Client(enforce_csrf_checks=True).post(
        link.removeprefix(settings.PUBLIC_URL),
        "List-Unsubscribe=One-Click",
        content_type="application/x-www-form-urlencoded",
    )

    assert answer.status_code == 200
    assert state_of(first) == MailState.SENT
    assert state_of(second) == MailState.WITHHELD
    assert reasons_for(organization.pk, [first.address]) == {first.address: "unsubscribed"}
    deliver_all()
    assert len(post.letters) == 1


def test_the_header_is_not_encoded_however_long_it_is(reserve: Reserve) -> None:
    mail = reserve("a" * 60 + "@" + ".".join(["b" * 60] * 3) + ".example")
    raw = message.build(mail).as_bytes()
    found = re.search(rb"^List-Unsubscribe: <(\S+)>\r\n", raw, re.MULTILINE)
    assert found is not None
    assert unsubscribe.link_of(mail).encode() == found[1]
    assert unsubscribe.read_token(str(unsubscribe.token_in(found[1].decode()))).address == mail.address
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_the_envelope_sender_names_the_mail(reserve: Reserve, settings: Settings) -> None:
    mail = reserve()
    assert message.envelope_sender(mail) == "jo@oakvale.example"
    settings.INBOUND_MAIL_DOMAIN = "in.drover.example"
    assert re.fullmatch(r"bounce\+[a-z2-7]{42}@in\.drover\.example", message.envelope_sender(mail))


@pytest.mark.parametrize("purpose", [Purpose.NOTICE, Purpose.SINGLE])
def test_notices_and_single_mails_offer_no_way_out(requiring: Organization, reserve: Reserve, purpose: str) -> None:
    built = message.build(reserve(purpose=purpose, body_html=HTML))
    assert "List-Unsubscribe" not in built
    assert "List-Unsubscribe-Post" not in built
    assert "/u/" not in built.as_string()


@pytest.mark.parametrize("purpose", [Purpose.BULK, Purpose.SEQUENCE])
def test_a_required_link_is_put_at_the_end_of_both_bodies(
    requiring: Organization, reserve: Reserve, purpose: str
) -> None:
    mail = reserve(purpose=purpose, body_html=HTML)
    built, link = message.build(mail), unsubscribe.link_of(mail)
    text, html = (built.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert text == f"Hello Ida\n\n-- \nOak Lane 1\n<Oakvale> & Sons\nUnsubscribe: {link}\n"
    assert f'Oak Lane 1<br>&lt;Oakvale&gt; &amp; Sons<br><a href="{link}">Unsubscribe</a></p></body>' in html


def test_a_mail_that_shows_its_link_gets_no_second_one(requiring: Organization, reserve: Reserve) -> None:
    mail = reserve()
    link = unsubscribe.link_for(mail.organization_id, mail.address, mail.source_id)
    mail.body_text, mail.body_html = f"Leave: {link}", f'<p><a href="{link}">Leave</a></p>'
    assert unsubscribe.bodies_of(mail) == (mail.body_text, mail.body_html)
    mail.body_text = "Leave: ask us"
    text, html = unsubscribe.bodies_of(mail)
    assert text.count(link) == 1
    assert html == mail.body_html


def test_a_row_cannot_bring_its_own_header(reserve: Reserve) -> None:
    with pytest.raises(message.Invalid):
        message.build(reserve(headers={"List-Unsubscribe": "<https://elsewhere.example>"}))


@pytest.mark.parametrize("source_id", [None, uuid.uuid4()])
def test_a_token_says_what_it_was_made_for(source_id: uuid.UUID | None) -> None:
    organization_id = uuid.uuid4()
    token = unsubscribe.token_for(organization_id, "ida@oakvale.example", source_id)
    read = unsubscribe.read_token(token)
    assert read == unsubscribe.Recipient(organization_id, "ida@oakvale.example", source_id)


def test_a_token_that_was_changed_or_made_up_says_nothing(settings: Settings) -> None:
    token = unsubscribe.token_for(uuid.uuid4(), "ida@oakvale.example", None)
    body, _, signature = token.partition(".")
    for wrong in ("", ".", token[:-1], token + "A", f"A{token}", f"{body}.", signature, "\0", "\ud800", "é.é"):
        assert unsubscribe.read_token(wrong) is None
    settings.SECRET_KEY = "n" * 50
    assert unsubscribe.read_token(token) is None


def test_links_of_the_key_before_still_work(settings: Settings) -> None:
    token = unsubscribe.token_for(uuid.uuid4(), "ida@oakvale.example", None)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 50
    assert unsubscribe.read_token(token) is not None


def test_a_body_can_hold_the_closing_tag_anywhere(requiring: Organization) -> None:
    mail = OutboxMail(
        organization=requiring,
        purpose="bulk",
        address="ida@oakvale.example",
        body_text="",
        body_html="<p>a</BODY ><p>b",
    )
    assert unsubscribe.bodies_of(mail)[1].endswith("</a></p></BODY ><p>b")
