"""Addresses that name a mail, and cannot be made up."""

import uuid

import pytest
from pytest_django import Settings

from crm.mail import verp
from crm.mail.verp import Box
from crm.models import OutboxMail, Purpose

MAIL = OutboxMail(id=uuid.uuid4(), purpose=Purpose.BULK)


@pytest.fixture(autouse=True)
def domain(settings: Settings) -> None:
    settings.INBOUND_MAIL_DOMAIN = "in.drover.example"


def test_the_address_names_its_mail_whatever_servers_do_to_its_case() -> None:
    address = verp.address_of(Box.BOUNCE, MAIL.id)
    assert address is not None
    assert len(address.partition("@")[0]) <= 64
    for text in (address, address.upper(), f"Mail <{address}>, other@oakvale.example"):
        assert verp.mail_of(text, Box.BOUNCE) == MAIL.id


def test_a_box_is_not_the_other_box() -> None:
    address = verp.address_of(Box.BOUNCE, MAIL.id)
    assert verp.mail_of(str(address), Box.UNSUBSCRIBE) is None
    assert verp.mail_of(str(address).replace("bounce+", "unsubscribe+"), Box.UNSUBSCRIBE) is None


@pytest.mark.parametrize("place", [7, 20, 40, 48])
def test_a_changed_token_is_none(place: int) -> None:
    address = str(verp.address_of(Box.BOUNCE, MAIL.id))
    other = "a" if address[place] != "a" else "b"
    assert verp.mail_of(address[:place] + other + address[place + 1 :], Box.BOUNCE) is None


def test_addresses_of_the_key_before_are_still_read(settings: Settings) -> None:
    address = str(verp.address_of(Box.BOUNCE, MAIL.id))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 50
    assert verp.mail_of(address, Box.BOUNCE) == MAIL.id
    assert verp.address_of(Box.BOUNCE, MAIL.id) != address


def test_notices_and_installations_without_a_domain_keep_their_own_sender(settings: Settings) -> None:
    own = "jo@oakvale.example"
    assert verp.envelope_sender(MAIL, own).startswith("bounce+")
    assert verp.envelope_sender(OutboxMail(id=MAIL.id, purpose=Purpose.NOTICE), own) == own
    settings.INBOUND_MAIL_DOMAIN = ""
    assert verp.envelope_sender(MAIL, own) == own
