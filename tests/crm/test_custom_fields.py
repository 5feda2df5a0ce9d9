"""Custom fields: what can be made and changed, and what goes with a deleted one."""

import pytest
from django.db import transaction
from django.utils import timezone

from crm import custom_fields
from crm.custom_fields import create_field, delete_field, hold_field, order_fields, update_field
from crm.errors import FieldErrors, NotFound
from crm.models import Contact, CustomField, FieldObject, FieldType, Lead, Organization
from tests import factories
from tests.sessions import DEADLINE_SECONDS, other_session, wait_until_blocked


def make(organization: Organization, object_type: FieldObject = FieldObject.LEAD, **properties: object) -> CustomField:
    return create_field(
        organization=organization, object_type=object_type, properties={"name": "Origin", "type": "text", **properties}
    )


def problems(organization: Organization, **properties: object) -> set[str]:
    with pytest.raises(FieldErrors) as problem:
        make(organization, **properties)
    return set(problem.value.field_errors)


@pytest.mark.parametrize("type_", FieldType.values)
def test_a_field_of_every_type_can_be_made(organization: Organization, type_: str) -> None:
    made = make(organization, type=type_)
    assert (made.type, made.accepts_multiple_values, made.choices, made.description) == (type_, False, [], None)


@pytest.mark.parametrize("type_", FieldType.values)
def test_multiple_values_only_where_the_type_allows(organization: Organization, type_: str) -> None:
    if type_ in ("choices", "user", "contact", "custom_object"):
        assert make(organization, type=type_, accepts_multiple_values=True).accepts_multiple_values
    else:
        assert problems(organization, type=type_, accepts_multiple_values=True) == {"accepts_multiple_values"}


def test_a_new_field_comes_last_and_gets_a_slug(organization: Organization) -> None:
    first, second = make(organization, name="Bad Fit?"), make(organization, name="bad fit")
    assert (first.slug, first.position, second.slug, second.position) == ("bad_fit", 0, "bad_fit_2", 1)


def test_names_are_unique_among_the_fields_of_an_object(organization: Organization) -> None:
    make(organization)
    assert problems(organization) == {"name"}
    make(organization, FieldObject.CONTACT)
    make(factories.OrganizationFactory.create())


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"name": " "}, {"name"}),
        ({"name": None, "type": None}, {"name", "type"}),
        ({"name": "a\0"}, {"name"}),
        ({"type": "colour"}, {"type"}),
        ({"type": ["text"]}, {"type"}),
        ({"description": "x" * 281}, {"description"}),
        ({"description": 7}, {"description"}),
        ({"choices": ["a"]}, {"choices"}),
        ({"type": "choices", "choices": "a"}, {"choices"}),
        ({"type": "choices", "choices": ["a", "a"]}, {"choices"}),
        ({"type": "choices", "choices": ["a", ""]}, {"choices"}),
        ({"type": "choices", "choices": [1]}, {"choices"}),
        ({"type": "choices", "accepts_multiple_values": 1}, {"accepts_multiple_values"}),
        ({"editable_with_roles": ["boss"]}, {"editable_with_roles"}),
        ({"editable_with_roles": [[]]}, {"editable_with_roles"}),
        ({"name": "", "type": "number", "choices": ["a"], "description": 1}, {"name", "choices", "description"}),
    ],
)
def test_all_that_is_wrong_is_told_at_once(
    organization: Organization, properties: dict[str, object], named: set[str]
) -> None:
    assert problems(organization, **properties) == named
    assert not CustomField.objects.exists()


def test_a_change_touches_only_what_it_names(organization: Organization) -> None:
    made = make(organization, type="choices", choices=["a"], description="Where from")
    changed = update_field(field=made, properties={"choices": ["b", "a"]})
    assert (changed.choices, changed.description, changed.name) == (["b", "a"], "Where from", "Origin")
    assert changed.date_updated > made.date_updated


def test_a_renamed_field_keeps_its_slug(organization: Organization) -> None:
    made = make(organization)
    other = make(organization, name="Other")
    assert update_field(field=made, properties={"name": "Source"}).slug == "origin"
    assert update_field(field=made, properties={"name": "Source"}).name == "Source"
    with pytest.raises(FieldErrors):
        update_field(field=other, properties={"name": "Source"})


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("text", "textarea", True),
        ("hidden", "text", True),
        ("number", "number", True),
        ("text", "number", False),
        ("choices", "text", False),
        ("date", "datetime", False),
    ],
)
def test_a_type_changes_only_where_values_are_stored_alike(
    organization: Organization, before: str, after: str, allowed: bool
) -> None:
    made = make(organization, type=before)
    if allowed:
        assert update_field(field=made, properties={"type": after}).type == after
    else:
        with pytest.raises(FieldErrors):
            update_field(field=made, properties={"type": after})


def test_single_and_multiple_are_for_good(organization: Organization) -> None:
    made = make(organization, type="user")
    with pytest.raises(FieldErrors):
        update_field(field=made, properties={"accepts_multiple_values": True})
    assert update_field(field=made, properties={"accepts_multiple_values": False})


def test_a_field_that_is_gone_cannot_be_changed_or_deleted(organization: Organization) -> None:
    made = make(organization)
    delete_field(field=make(organization, name="Other"))
    CustomField.objects.filter(pk=made.pk).delete()
    with pytest.raises(NotFound):
        update_field(field=made, properties={"name": "Source"})
    with pytest.raises(NotFound):
        delete_field(field=made)


def test_a_deleted_field_takes_its_values_along(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_fields, "_ROWS_PER_SWEEP", 2)
    gone, kept = make(organization), make(organization, name="Kept")
    leads = factories.LeadFactory.create_batch(5, organization=organization, custom={gone.key: "x", kept.key: "y"})
    Lead.objects.filter(pk=leads[0].pk).update(deleted_at=timezone.now())
    # Rows of the same moment are told apart by their keys.
    Lead.all_objects.update(date_created=timezone.now())
    stranger = factories.LeadFactory.create(custom={gone.key: "x"})
    delete_field(field=gone)
    of_ours = Lead.all_objects.filter(organization=organization)
    assert [lead.custom for lead in of_ours] == [{kept.key: "y"}] * 5
    stranger.refresh_from_db()
    assert stranger.custom == {gone.key: "x"}


def test_a_deleted_field_of_contacts_leaves_the_contacts(organization: Organization) -> None:
    gone = make(organization, FieldObject.CONTACT)
    contact = factories.ContactFactory.create(lead__organization=organization, custom={gone.key: "x"})
    delete_field(field=gone)
    assert Contact.objects.get(pk=contact.pk).custom == {}


def test_fields_can_be_put_in_order(organization: Organization) -> None:
    first, second, third = (make(organization, name=name) for name in "abc")
    order_fields(organization=organization, object_type=FieldObject.LEAD, first=[third.pk, first.pk])
    assert list(CustomField.objects.filter(organization=organization)) == [third, first, second]
    foreign = make(factories.OrganizationFactory.create())
    with pytest.raises(FieldErrors):
        order_fields(organization=organization, object_type=FieldObject.LEAD, first=[foreign.pk])


@pytest.mark.django_db(transaction=True)
def test_a_held_field_is_deleted_only_after_the_values_written_meanwhile(organization: Organization) -> None:
    held = make(organization)
    lead = factories.LeadFactory.create(organization=organization)
    with other_session() as start:
        with transaction.atomic():
            assert hold_field(held.pk, organization.pk)
            deletion = start(lambda: delete_field(field=held))
            wait_until_blocked(deletion)
            Lead.objects.filter(pk=lead.pk).update(custom={held.key: "late"})
        deletion.result(DEADLINE_SECONDS)
    lead.refresh_from_db()
    assert lead.custom == {}
    with transaction.atomic():
        assert not hold_field(held.pk, organization.pk)


def test_no_field_of_leads_gets_the_slug_of_a_column(organization: Organization) -> None:
    made = {
        kind: create_field(
            organization=organization, object_type=kind, properties={"name": "Lead Line", "type": "text"}
        )
        for kind in (FieldObject.LEAD, FieldObject.CONTACT)
    }
    assert (made[FieldObject.LEAD].slug, made[FieldObject.CONTACT].slug) == ("lead_line_2", "lead_line")
