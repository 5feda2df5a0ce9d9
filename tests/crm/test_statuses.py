"""Lead statuses, alone and while others use them."""

import pytest
from django.db import transaction
from django.utils import timezone

from crm.errors import FieldErrors, Invalid, NotFound
from crm.models import Lead, LeadStatus, Organization
from crm.statuses import create_status, delete_status, hold_default_status, hold_status, rename_status
from tests import factories
from tests.sessions import DEADLINE_SECONDS, other_session, wait_until_blocked


def test_a_new_status_comes_last_and_gets_a_slug(organization: Organization) -> None:
    first = create_status(organization=organization, label="  Bad Fit ")
    second = create_status(organization=organization, label="bad fit")
    assert (first.label, first.slug, first.position) == ("Bad Fit", "bad_fit", 0)
    assert (second.slug, second.position) == ("bad_fit_2", 1)


@pytest.mark.parametrize("label", [None, 7, "", "  ", "a\0b", "\ud800", "x" * 256, ["x"]])
def test_a_label_must_be_text_that_can_be_stored(organization: Organization, label: object) -> None:
    with pytest.raises(FieldErrors) as problem:
        create_status(organization=organization, label=label)
    assert list(problem.value.field_errors) == ["label"]


def test_labels_are_unique_in_an_organization(status: LeadStatus) -> None:
    with pytest.raises(FieldErrors):
        create_status(organization=status.organization, label=status.label)
    create_status(organization=factories.OrganizationFactory.create(), label=status.label)


def test_a_renamed_status_keeps_its_slug(status: LeadStatus) -> None:
    renamed = rename_status(status=status, label="Nurture")
    assert (renamed.label, renamed.slug) == ("Nurture", status.slug)
    assert rename_status(status=status, label="Nurture").label == "Nurture"


def test_a_status_that_is_gone_cannot_be_renamed_or_deleted(status: LeadStatus) -> None:
    LeadStatus.objects.filter(pk=status.pk).delete()
    with pytest.raises(NotFound):
        rename_status(status=status, label="Nurture")
    with pytest.raises(NotFound):
        delete_status(status=status)


def test_a_status_without_leads_can_be_deleted(organization: Organization) -> None:
    kept, gone = factories.LeadStatusFactory.create_batch(2, organization=organization)
    delete_status(status=gone)
    assert list(LeadStatus.objects.filter(organization=organization)) == [kept]


def test_the_last_status_stays(status: LeadStatus) -> None:
    with pytest.raises(Invalid, match="last status"):
        delete_status(status=status)


@pytest.mark.parametrize("marked", [False, True])
def test_a_status_in_use_stays_even_if_only_deleted_leads_have_it(organization: Organization, marked: bool) -> None:
    used, _ = factories.LeadStatusFactory.create_batch(2, organization=organization)
    lead = factories.LeadFactory.create(organization=organization, status=used)
    if marked:
        Lead.objects.filter(pk=lead.pk).update(deleted_at=timezone.now())
    with pytest.raises(Invalid, match="used by leads"):
        delete_status(status=used)
    assert LeadStatus.objects.filter(pk=used.pk).exists()


def test_a_status_is_held_only_for_its_own_organization(status: LeadStatus) -> None:
    other = factories.OrganizationFactory.create()
    assert hold_status(status.pk, status.organization_id)
    assert not hold_status(status.pk, other.pk)
    with pytest.raises(Invalid):
        hold_default_status(other.pk)


@pytest.mark.django_db(transaction=True)
def test_holding_without_a_transaction_is_a_mistake(organization: Organization, status: LeadStatus) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        hold_status(status.pk, organization.pk)


@pytest.mark.django_db(transaction=True)
def test_a_held_status_cannot_be_deleted_until_its_new_lead_is_seen(organization: Organization) -> None:
    used, _ = factories.LeadStatusFactory.create_batch(2, organization=organization)
    with other_session() as start:
        with transaction.atomic():
            assert hold_status(used.pk, organization.pk)
            deletion = start(lambda: delete_status(status=used))
            wait_until_blocked(deletion)
            factories.LeadFactory.create(organization=organization, status=used)
        with pytest.raises(Invalid, match="used by leads"):
            deletion.result(DEADLINE_SECONDS)


@pytest.mark.django_db(transaction=True)
def test_who_comes_after_a_deletion_finds_the_status_gone(organization: Organization) -> None:
    gone, kept = factories.LeadStatusFactory.create_batch(2, organization=organization)

    def hold() -> tuple[bool, object]:
        with transaction.atomic():
            return hold_status(gone.pk, organization.pk), hold_default_status(organization.pk)

    with other_session() as start:
        with transaction.atomic():
            delete_status(status=gone)
            holding = start(hold)
            wait_until_blocked(holding)
        assert holding.result(DEADLINE_SECONDS) == (False, kept.pk)


@pytest.mark.django_db(transaction=True)
def test_a_held_status_can_be_renamed_and_held_by_others(organization: Organization) -> None:
    status = factories.LeadStatusFactory.create(organization=organization)
    with other_session() as start, transaction.atomic():
        hold_status(status.pk, organization.pk)
        renamed = start(lambda: rename_status(status=status, label="Nurture")).result(DEADLINE_SECONDS)
    assert renamed.label == "Nurture"


@pytest.mark.django_db(transaction=True)
def test_of_two_deletions_at_once_one_leaves_a_status(organization: Organization) -> None:
    first, second = factories.LeadStatusFactory.create_batch(2, organization=organization)
    with other_session() as start:
        with transaction.atomic():
            delete_status(status=first)
            deletion = start(lambda: delete_status(status=second))
            wait_until_blocked(deletion)
        with pytest.raises(Invalid, match="last status"):
            deletion.result(DEADLINE_SECONDS)
