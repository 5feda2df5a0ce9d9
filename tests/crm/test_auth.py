"""API keys: whom they stand for, and when they stand for nobody any more."""

import hashlib
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.auth import SCOPES, authenticate_secret, make_api_key
from crm.errors import Invalid
from crm.models import ApiKey, Dialect, Membership, Permission, Role
from tests import factories


@pytest.mark.parametrize(
    ("dialect", "form"),
    [
        (Dialect.CLOSE, r"api_[0-9A-Za-z]{22}\.[0-9A-Za-z]{22}"),
        (Dialect.BLUEAI, r"sk_live_[0-9A-Za-z]{40}"),
        (Dialect.GOMEGA, r"mega_[0-9a-f]{64}"),
    ],
)
def test_a_secret_has_the_form_of_its_dialect(membership: Membership, dialect: str, form: str) -> None:
    key, secret = make_api_key(membership=membership, dialect=dialect)
    assert re.fullmatch(form, secret)
    assert secret.startswith(key.hint)
    assert len(key.hint) < 13


def test_only_the_hash_of_a_secret_is_stored(membership: Membership) -> None:
    key, secret = make_api_key(membership=membership)
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert row["secret_sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in map(str, row.values())


def test_a_secret_stands_for_its_member(membership: Membership) -> None:
    key, secret = make_api_key(membership=membership)
    caller = authenticate_secret(secret, Dialect.CLOSE)
    assert caller is not None
    assert (caller.organization, caller.user, caller.membership, caller.api_key) == (
        membership.organization,
        membership.user,
        membership,
        key,
    )


@pytest.mark.parametrize("secret", ["", "api_x", "api_\0", "\ud800", "x" * 100_000])
def test_an_unknown_secret_stands_for_nobody(db: None, secret: str) -> None:
    assert authenticate_secret(secret, Dialect.CLOSE) is None


def test_a_secret_of_another_dialect_is_refused(membership: Membership) -> None:
    _, secret = make_api_key(membership=membership, dialect=Dialect.GOMEGA)
    assert authenticate_secret(secret, Dialect.CLOSE) is None


def test_revoked_keys_and_people_who_left_are_refused(membership: Membership) -> None:
    key, secret = make_api_key(membership=membership)
    for row, column, refused, accepted in (
        (key, "date_revoked", timezone.now(), None),
        (membership, "is_active", False, True),
        (membership.user, "is_active", False, True),
    ):
        setattr(row, column, refused)
        row.save()
        assert authenticate_secret(secret, Dialect.CLOSE) is None
        setattr(row, column, accepted)
        row.save()
        assert authenticate_secret(secret, Dialect.CLOSE) is not None


def test_last_use_is_written_at_most_once_a_minute(membership: Membership) -> None:
    key, secret = make_api_key(membership=membership)
    authenticate_secret(secret, Dialect.CLOSE)
    key.refresh_from_db()
    first = key.date_last_used
    assert first is not None
    with CaptureQueriesContext(connection) as queries:
        authenticate_secret(secret, Dialect.CLOSE)
    assert len(queries) == 1

    ApiKey.objects.update(date_last_used=first - timedelta(seconds=61))
    authenticate_secret(secret, Dialect.CLOSE)
    key.refresh_from_db()
    assert key.date_last_used is not None
    assert key.date_last_used >= first


def test_a_key_has_all_scopes_unless_told_otherwise(membership: Membership) -> None:
    key, _ = make_api_key(membership=membership, dialect=Dialect.GOMEGA)
    assert key.scopes == list(SCOPES[Dialect.GOMEGA])
    _, secret = make_api_key(membership=membership, dialect=Dialect.GOMEGA, scopes=["public_api:leads:read"])
    caller = authenticate_secret(secret, Dialect.GOMEGA)
    assert caller is not None
    assert caller.has_scope("public_api:leads:read")
    assert not caller.has_scope("public_api:leads:write")


def test_an_unknown_scope_is_refused(membership: Membership) -> None:
    with pytest.raises(Invalid) as problem:
        make_api_key(membership=membership, dialect=Dialect.CLOSE, scopes=["public_api:leads:read"])
    assert "public_api:leads:read" in problem.value.errors[0]
    assert not ApiKey.objects.exists()


def test_a_caller_may_what_the_membership_allows(organization: object) -> None:
    member = factories.MembershipFactory.create(
        organization=organization,
        role=Role.RESTRICTED_USER,
        extra_permissions=[Permission.BULK_EDIT],
    )
    _, secret = make_api_key(membership=member)
    caller = authenticate_secret(secret, Dialect.CLOSE)
    assert caller is not None
    assert caller.may(Permission.BULK_EDIT)
    assert not caller.may(Permission.BULK_DELETE)
