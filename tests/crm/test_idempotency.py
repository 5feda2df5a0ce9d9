"""What all dialects share of `Idempotency-Key`; whole requests stand in the tests of each dialect."""

from uuid import UUID, uuid4

import pytest
from rest_framework.response import Response

from crm.errors import Conflict, Invalid
from crm.idempotency import REPLAYED, Attempt, answer_once, digests_of, forget_answers_with, read_key
from crm.ids import close_id, hex_id
from crm.models import IdempotentAnswer, Lead, LeadStatus, Organization
from tests import factories


def attempt(organization: Organization, **other: object) -> Attempt:
    known = {"owner": organization.pk, "path": "/leads", "key": "k", "digests": digests_of({"a": 1})}
    return Attempt(organization_id=organization.pk, **{**known, **other})


def make(status: LeadStatus) -> Response:
    lead = factories.LeadFactory.create(organization=status.organization, status=status)
    return Response({"lead": {"id": str(lead.pk)}}, status=201)


def test_the_same_key_of_the_same_owner_is_carried_out_once(organization: Organization, status: LeadStatus) -> None:
    first, second = (answer_once(attempt(organization), lambda: make(status)) for _ in range(2))
    assert (first.status_code, second.status_code, second.data) == (201, 201, first.data)
    assert (first.get(REPLAYED), second[REPLAYED]) == (None, "true")
    assert Lead.objects.count() == 1


@pytest.mark.parametrize("other", [{"owner": uuid4()}, {"path": "/leads/bulk"}, {"key": "K"}])
def test_another_owner_path_or_key_is_another_request(
    organization: Organization, status: LeadStatus, other: dict[str, object]
) -> None:
    answer_once(attempt(organization), lambda: make(status))
    answer_once(attempt(organization, **other), lambda: make(status))
    assert Lead.objects.count() == 2


def test_another_body_is_refused_and_an_error_is_not_kept(organization: Organization, status: LeadStatus) -> None:
    refused = answer_once(attempt(organization), lambda: Response({"error": {}}, status=400))
    assert refused.status_code == 400
    answer_once(attempt(organization), lambda: make(status))
    with pytest.raises(Conflict):
        answer_once(attempt(organization, digests=digests_of({"a": 2})), lambda: make(status))
    assert Lead.objects.count() == 1


def test_what_says_the_same_has_one_digest() -> None:
    assert digests_of([{"a": 1, "b": [None, "ü"]}]) == digests_of([{"b": [None, "ü"], "a": 1}])
    assert digests_of({"a": 1}) != digests_of({"a": "1"})


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    with pytest.raises(Invalid):
        read_key(key)


def test_answers_that_name_a_lead_are_forgotten_in_whatever_spelling(organization: Organization) -> None:
    wanted, other = uuid4(), uuid4()

    def spellings(key: UUID) -> list[str]:
        return [close_id("lead", key), hex_id("comp", key), str(key)]

    for number, spelling in enumerate([*spellings(wanted), *spellings(other)]):
        answer_once(attempt(organization, key=str(number)), lambda text=spelling: Response({"id": text}))
    assert forget_answers_with(organization.pk, wanted) == 3
    assert forget_answers_with(factories.OrganizationFactory.create().pk, other) == 0
    assert IdempotentAnswer.objects.count() == 3
