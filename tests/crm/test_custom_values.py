"""Values of custom fields: what is taken, what is stored, what is shown."""

import json
import math
import uuid
from datetime import UTC, datetime

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from crm.custom_values import add_values, as_list, clean_value, remove_values, show_value
from crm.errors import FieldErrors
from crm.ids import close_id
from crm.models import CustomField, FieldType, Lead, Organization
from tests import factories

SINGLE_TYPES = [type_ for type_ in FieldType.values if type_ not in ("user", "contact")]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)


def field(type_: str, *, multiple: bool = False, choices: tuple[str, ...] = ()) -> CustomField:
    return CustomField(type=type_, accepts_multiple_values=multiple, choices=list(choices))


def refusal(of: CustomField, value: object) -> str:
    with pytest.raises(FieldErrors) as problem:
        clean_value(of, value, path="custom.x")
    assert list(problem.value.field_errors) == ["custom.x"]
    return str(problem.value.field_errors["custom.x"])


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [
        ("text", " as typed ", " as typed "),
        ("textarea", "two\nlines", "two\nlines"),
        ("hidden", "株式会社", "株式会社"),
        ("text", "x" * 32_000, "x" * 32_000),
        ("number", 7, 7),
        ("number", -0.5, -0.5),
        ("number", 10**15, 10**15),
        ("date", "2024-02-29", "2024-02-29"),
        ("datetime", "2031-03-16T09:30:00+02:00", "2031-03-16T07:30:00.000000+00:00"),
        ("datetime", "2031-03-16T09:30:00.25", "2031-03-16T09:30:00.250000+00:00"),
        ("datetime", "2031-03-16 09:30:00Z", "2031-03-16T09:30:00.000000+00:00"),
        ("datetime", "2031-03-16", "2031-03-16T00:00:00.000000+00:00"),
        ("choices", "Web", "Web"),
    ],
)
def test_a_value_that_fits_is_stored(type_: str, value: object, stored: object) -> None:
    result = clean_value(field(type_, choices=("Web", "Fair")), value, path="x")
    assert result == stored
    assert type(result) is type(stored)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("text", 7),
        ("text", True),
        ("text", {}),
        ("text", ["a"]),
        ("text", "a\0b"),
        ("text", "a\ud800"),
        ("text", "x" * 32_001),
        ("number", "7"),
        ("number", True),
        ("number", math.nan),
        ("number", math.inf),
        ("number", 1e16),
        ("number", -(10**400)),
        ("number", ""),
        ("date", "2023-02-29"),
        ("date", "2023-2-9"),
        ("date", "20230209"),
        ("date", "٢٠٢٣-٠٢-٠٩"),
        ("date", "2023-02-09T00:00:00"),
        ("date", 20230209),
        ("datetime", "yesterday"),
        ("datetime", "2031-03-16T25:00:00"),
        ("datetime", "9999-12-31T23:59:59-01:00"),
        ("datetime", "0001-01-01T00:00:00+01:00"),
        ("datetime", 1_700_000_000),
        ("choices", "web"),
        ("choices", ""),
        ("choices", ["Web"]),
        ("choices", {"Web": 1}),
        ("custom_object", "cont_" + "0" * 22),
        ("custom_object", 7),
    ],
)
def test_a_value_that_does_not_fit_is_refused(type_: str, value: object) -> None:
    refusal(field(type_, choices=("Web",)), value)


def test_a_value_outside_the_choices_says_what_to_do() -> None:
    assert refusal(field("choices"), "Web").startswith("Not a valid choice.")


@pytest.mark.parametrize("type_", FieldType.values)
@pytest.mark.parametrize("value", [None, []])
def test_nothing_unsets_a_field_of_any_type(type_: str, value: object) -> None:
    assert clean_value(field(type_), value, path="x") is None
    assert clean_value(field(type_, multiple=True), value, path="x") is None


@pytest.mark.parametrize("type_", ["text", "textarea", "hidden"])
def test_an_empty_text_is_no_value(type_: str) -> None:
    assert clean_value(field(type_), "", path="x") is None


def test_a_field_with_multiple_values_stores_a_list_in_the_order_given_without_duplicates() -> None:
    many = field("choices", multiple=True, choices=("a", "b", "c"))
    assert clean_value(many, "b", path="x") == ["b"]
    assert clean_value(many, ["c", "a", "c", "b", "a"], path="x") == ["c", "a", "b"]
    refusal(many, ["a", "d"])
    refusal(many, ["a", None])
    assert refusal(many, ["a"] * 1001).startswith("List is too long")


@given(st.sampled_from(SINGLE_TYPES), anything, st.booleans())
def test_any_value_is_stored_in_the_form_of_its_type_or_refused(type_: str, value: object, multiple: bool) -> None:
    of = field(type_, multiple=multiple, choices=("a", "b"))
    try:
        stored = clean_value(of, value, path="x")
    except FieldErrors:
        return
    json.dumps(stored, allow_nan=False).encode()
    assert clean_value(of, show_value(of, stored), path="x") == stored


@given(st.datetimes(timezones=st.timezones()))
def test_moments_come_back_the_same_and_sort_as_texts(moment: datetime) -> None:
    try:
        stored = clean_value(field("datetime"), moment.isoformat(), path="x")
    except FieldErrors:
        # Only the first and the last day of the calendar have no UTC.
        assert moment.year in (1, 9999)
        return
    assert datetime.fromisoformat(str(stored)) == moment.astimezone(UTC)
    assert len(str(stored)) == len("2031-03-16T07:30:00.000000+00:00")


@given(names, names)
def test_adding_keeps_the_order_and_makes_no_duplicates(before: list[str], more: list[str]) -> None:
    stored = list(dict.fromkeys(before))
    result = as_list(add_values(stored or None, more, path="x"))
    assert result[: len(stored)] == stored
    assert len(set(result)) == len(result)
    assert set(result) == {*stored, *more}


def test_adding_stops_at_a_thousand_values() -> None:
    full: list[str | int | float] = [str(place) for place in range(1_000)]
    assert add_values(full[:-1], full[-1:], path="x") == add_values(full, full[:1], path="x") == full
    with pytest.raises(FieldErrors) as problem:
        add_values(full, ["one more"], path="x")
    assert set(problem.value.field_errors) == {"x"}


@given(names, names)
def test_removing_leaves_the_others_in_order_or_no_value(before: list[str], gone: list[str]) -> None:
    stored = list(dict.fromkeys(before))
    result = remove_values(stored or None, gone)
    assert result != []
    assert as_list(result) == [name for name in stored if name not in gone]


# --- references -------------------------------------------------------------------------------------------------------


def reference(organization: Organization, type_: str, *, multiple: bool = False) -> CustomField:
    return factories.CustomFieldFactory.create(organization=organization, type=type_, accepts_multiple_values=multiple)


def test_a_user_is_named_by_id_or_by_exact_full_name(organization: Organization) -> None:
    user = factories.UserFactory.create(first_name="Ida", last_name="Moss")
    factories.MembershipFactory.create(organization=organization, user=user)
    of = reference(organization, "user")
    assert clean_value(of, close_id("user", user.pk), path="x") == str(user.pk)
    assert clean_value(of, "Ida Moss", path="x") == str(user.pk)
    assert show_value(of, str(user.pk)) == close_id("user", user.pk)
    for wrong in ("Ida", "ida moss", "", "user_x", close_id("user", uuid.uuid4()), close_id("cont", user.pk), 7):
        refusal(of, wrong)


def test_a_user_with_one_name_is_found_by_it(organization: Organization) -> None:
    user = factories.UserFactory.create(first_name="", last_name="Moss")
    factories.MembershipFactory.create(organization=organization, user=user)
    assert clean_value(reference(organization, "user"), "Moss", path="x") == str(user.pk)


def test_a_name_that_two_users_have_needs_an_id(organization: Organization) -> None:
    for _ in range(2):
        user = factories.UserFactory.create(first_name="Ida", last_name="Moss")
        factories.MembershipFactory.create(organization=organization, user=user)
    assert "More than one user" in refusal(reference(organization, "user"), "Ida Moss")


def test_former_members_are_known_by_id_and_not_by_name(organization: Organization) -> None:
    user = factories.UserFactory.create(first_name="Ida", last_name="Moss")
    factories.MembershipFactory.create(organization=organization, user=user, is_active=False)
    of = reference(organization, "user")
    assert clean_value(of, close_id("user", user.pk), path="x") == str(user.pk)
    refusal(of, "Ida Moss")


def test_users_of_other_organizations_do_not_exist(organization: Organization) -> None:
    stranger = factories.MembershipFactory.create().user
    of = reference(organization, "user")
    refusal(of, close_id("user", stranger.pk))
    refusal(of, stranger.full_name)


def test_several_users_may_be_named_in_both_ways(organization: Organization) -> None:
    first, second = (factories.UserFactory.create(first_name=name, last_name="Moss") for name in ("Ida", "Lev"))
    for user in (first, second):
        factories.MembershipFactory.create(organization=organization, user=user)
    of = reference(organization, "user", multiple=True)
    stored = clean_value(of, ["Lev Moss", close_id("user", first.pk), close_id("user", second.pk)], path="x")
    assert stored == [str(second.pk), str(first.pk)]
    assert show_value(of, stored) == [close_id("user", second.pk), close_id("user", first.pk)]


def test_a_contact_must_be_a_live_one_of_the_organization(organization: Organization) -> None:
    contact = factories.ContactFactory.create(lead__organization=organization)
    stranger = factories.ContactFactory.create()
    of = reference(organization, "contact", multiple=True)
    shown = close_id("cont", contact.pk)
    assert clean_value(of, [shown, shown], path="x") == [str(contact.pk)]
    refusal(of, [shown, close_id("cont", stranger.pk)])
    refusal(of, [shown, None])
    Lead.objects.filter(pk=contact.lead_id).update(deleted_at=timezone.now())
    refusal(of, shown)


def test_a_custom_object_is_any_well_formed_id() -> None:
    key = uuid.uuid4()
    of = field("custom_object")
    assert clean_value(of, close_id("custobj", key), path="x") == str(key)
    assert show_value(of, str(key)) == close_id("custobj", key)
