"""Races between writes of one record and what they refer to."""

from uuid import UUID

import pytest

from crm.contacts import ContactDraft, add_contacts
from crm.custom_changes import CustomChange, Operation, changed_custom
from crm.custom_fields import delete_field
from crm.errors import FieldErrors, NotFound
from crm.leads import LeadDraft, create_lead, delete_lead, update_lead
from crm.models import CustomField, Lead, LeadStatus, Membership
from crm.statuses import delete_status
from tests import factories


@pytest.fixture
def status(membership: Membership) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=membership.organization)


def test_a_status_deleted_since_it_was_read_is_refused(membership: Membership, status: LeadStatus) -> None:
    factories.LeadStatusFactory.create(organization=membership.organization)
    delete_status(status=status)
    with pytest.raises(FieldErrors):
        create_lead(organization=membership.organization, by=membership.user, draft=LeadDraft(status_id=status.pk))
    assert not Lead.all_objects.exists()


def test_a_field_deleted_since_it_was_read_is_refused(membership: Membership, status: LeadStatus) -> None:
    organization, by = membership.organization, membership.user
    lead = create_lead(organization=organization, by=by, draft=LeadDraft())
    field: CustomField = factories.CustomFieldFactory.create(organization=organization)
    change = CustomChange(field, Operation.SET, "x")
    delete_field(field=CustomField.objects.get(pk=field.pk))
    with pytest.raises(FieldErrors):
        update_lead(lead_id=lead.pk, organization=organization, by=by, draft=LeadDraft(custom=[change]))
    with pytest.raises(FieldErrors):
        add_contacts(lead=lead, drafts=[ContactDraft(custom=[change])], by=by)
    assert Lead.objects.get().custom == {}


def test_a_lead_deleted_since_it_was_read_takes_no_contact(membership: Membership, status: LeadStatus) -> None:
    organization, by = membership.organization, membership.user
    lead = create_lead(organization=organization, by=by, draft=LeadDraft())
    delete_lead(lead_id=lead.pk, organization=organization, by=by)
    with pytest.raises(FieldErrors):
        add_contacts(lead=lead, drafts=[ContactDraft()], by=by)
    with pytest.raises(NotFound):
        update_lead(lead_id=lead.pk, organization=organization, by=by, draft=LeadDraft())


def test_changes_of_custom_values_are_made_in_order_and_leave_no_empty_value() -> None:
    tags = CustomField(id=UUID(int=1), accepts_multiple_values=True)
    key = tags.key
    add, remove = CustomChange(tags, Operation.ADD, ["b", "a"]), CustomChange(tags, Operation.REMOVE, ["a"])
    assert changed_custom({key: ["a"], "other": 1}, [add]) == {key: ["a", "b"], "other": 1}
    assert changed_custom({key: ["a"]}, [add, remove]) == {key: ["b"]}
    assert changed_custom({key: ["a"]}, [remove]) == {}
    assert changed_custom({}, [CustomChange(tags, Operation.SET, None)]) == {}


def test_an_addition_beyond_a_thousand_values_changes_nothing(membership: Membership, status: LeadStatus) -> None:
    organization, by = membership.organization, membership.user
    tags = factories.CustomFieldFactory.create(organization=organization, accepts_multiple_values=True)
    full = LeadDraft(custom=[CustomChange(tags, Operation.SET, [str(place) for place in range(1_000)])])
    lead = create_lead(organization=organization, by=by, draft=full)
    more = LeadDraft(texts={"name": "Oakvale"}, custom=[CustomChange(tags, Operation.ADD, ["one more"])])
    with pytest.raises(FieldErrors) as problem:
        update_lead(lead_id=lead.pk, organization=organization, by=by, draft=more)
    assert set(problem.value.field_errors) == {f"custom.cf_{tags.key}"}
    lead.refresh_from_db()
    assert (lead.name, len(lead.custom[tags.key])) == (None, 1_000)
