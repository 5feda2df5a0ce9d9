"""The commands that set things up."""

import io
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from crm.auth import authenticate_secret
from crm.custom_values import clean_value, show_value
from crm.models import (
    Activity,
    ActivityType,
    Address,
    ApiKey,
    Contact,
    ContactEmail,
    ContactPhone,
    CustomField,
    Dialect,
    EmailAccount,
    FieldType,
    Lead,
    LeadStatus,
    Membership,
    Opportunity,
    OpportunityStatusChange,
    Organization,
    Task,
    User,
)
from crm.setup import default_statuses


def run(command: str, **options: object) -> list[str]:
    output = io.StringIO()
    call_command(command, stdout=output, **options)
    return output.getvalue().splitlines()


# --- create_api_key ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_key_comes_with_all_that_was_missing() -> None:
    secret = run("create_api_key", organization="Oakvale", email="ida.moss@oakvale.example", role="admin")[-1]
    caller = authenticate_secret(secret, Dialect.CLOSE)
    assert caller is not None
    assert (caller.organization.name, caller.user.full_name, caller.membership.role) == ("Oakvale", "Ida Moss", "admin")
    statuses = LeadStatus.objects.filter(organization=caller.organization)
    assert [status.label for status in statuses] == list(default_statuses)
    assert EmailAccount.objects.filter(organization=caller.organization).count() == 1
    assert not caller.user.has_usable_password()


@pytest.mark.django_db
def test_a_second_key_makes_nothing_else() -> None:
    first = run("create_api_key", organization="Oakvale", email="ida@oakvale.example", role="admin")[-1]
    second = run("create_api_key", organization="Oakvale", email="IDA@oakvale.example")[-1]
    assert first != second
    assert ApiKey.objects.count() == 2
    assert (Organization.objects.count(), User.objects.count(), Membership.objects.count()) == (1, 1, 1)
    assert Membership.objects.get().role == "admin"
    assert LeadStatus.objects.count() == len(default_statuses)


@pytest.mark.django_db
def test_a_new_member_is_an_admin_and_may_be_given_another_role_and_a_password() -> None:
    run("create_api_key", organization="Oakvale", email="ida@oakvale.example")
    assert Membership.objects.get().role == "admin"
    run("create_api_key", organization="Oakvale", email="ida@oakvale.example", role="user", password="correct horse")
    assert Membership.objects.get().role == "user"
    assert User.objects.get().check_password("correct horse")


@pytest.mark.django_db
def test_a_member_who_had_left_is_back() -> None:
    run("create_api_key", organization="Oakvale", email="ida@oakvale.example")
    Membership.objects.update(is_active=False)
    secret = run("create_api_key", organization="Oakvale", email="ida@oakvale.example")[-1]
    assert authenticate_secret(secret, Dialect.CLOSE) is not None


@pytest.mark.django_db
def test_a_gomega_key_is_followed_by_the_customer() -> None:
    *_, secret, customer = run("create_api_key", organization="Oakvale", email="ida@oakvale.example", dialect="gomega")
    caller = authenticate_secret(secret, Dialect.GOMEGA)
    assert caller is not None
    assert UUID(customer) == caller.organization.pk


@pytest.mark.django_db
def test_scopes_limit_a_key() -> None:
    run(
        "create_api_key",
        organization="Oakvale",
        email="ida@oakvale.example",
        dialect="gomega",
        scopes="public_api:leads:read, public_api:leads:write",
    )
    assert ApiKey.objects.get().scopes == ["public_api:leads:read", "public_api:leads:write"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "boss"},
        {"dialect": "latin"},
        {"dialect": "gomega", "scopes": "everything"},
        {"scopes": "public_api:leads:read"},
        {"email": "nonsense"},
        {"organization": "  "},
    ],
)
def test_what_makes_no_sense_gets_one_sentence_and_leaves_nothing(wrong: dict[str, str]) -> None:
    with pytest.raises(CommandError) as problem:
        run("create_api_key", **{"organization": "Oakvale", "email": "ida@oakvale.example", **wrong})
    assert str(problem.value)
    assert "\n" not in str(problem.value)
    assert not Organization.objects.exists()
    assert not User.objects.exists()


# --- seed_demo --------------------------------------------------------------------------------------------------------


def spoken(organization: Organization) -> list[tuple[object, ...]]:
    """What the leads of an organization say, keys apart."""
    fields = {field.key: field for field in CustomField.objects.filter(organization=organization, object_type="lead")}
    plain = ("user", "contact")  # whose values are keys
    return [
        (
            lead.name,
            lead.description,
            lead.url,
            lead.status.label,
            lead.date_created,
            sorted((fields[key].name, value) for key, value in lead.custom.items() if fields[key].type not in plain),
            [
                (contact.name, contact.title, [email.email for email in contact.emails.all()])
                for contact in lead.contacts.prefetch_related("emails")
            ],
            list(lead.addresses.values_list("address_1", "city")),
        )
        for lead in Lead.objects.filter(organization=organization).select_related("status").order_by("id")
    ]


@pytest.mark.django_db
def test_the_same_seed_makes_the_same_data_and_another_one_other_data() -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run("seed_demo", organization=name, leads=30, seed=seed)
    first, second, third = (spoken(Organization.objects.get(name=name)) for name in "abc")
    assert first == second
    assert first != third


@pytest.mark.django_db
def test_seeding_again_adds_more() -> None:
    run("seed_demo", organization="Oakvale", leads=20)
    assert "it has 30 now" in run("seed_demo", organization="Oakvale", leads=10)[-1]
    organization = Organization.objects.get()
    assert Lead.objects.filter(organization=organization).count() == 30
    assert len({lead[0] for lead in spoken(organization)}) > 20
    assert CustomField.objects.filter(name="Industry").count() == 1


@pytest.mark.django_db
def test_demo_data_is_of_every_kind_and_valid() -> None:
    run("seed_demo", organization="Oakvale", leads=200)
    fields = CustomField.objects.filter(object_type="lead")
    assert {field.type for field in fields} == set(FieldType.values)
    leads = list(Lead.objects.all())
    for field in fields:
        values = [lead.custom[field.key] for lead in leads if field.key in lead.custom]
        assert values, field.name
        for value in values:
            assert clean_value(field, show_value(field, value), path=field.name) == value
    assert 200 <= Contact.objects.count() <= 400
    assert ContactEmail.objects.exclude(email__endswith=".example").count() == 0
    assert ContactPhone.objects.exclude(phone__contains="55501").count() == 0
    assert Address.objects.exists()
    assert [lead.pk for lead in sorted(leads, key=lambda lead: lead.pk)] == [
        lead.pk for lead in sorted(leads, key=lambda lead: (lead.date_created, lead.pk))
    ]


@pytest.mark.django_db
def test_a_field_of_that_name_but_another_kind_is_left_alone() -> None:
    run("create_api_key", organization="Oakvale", email="ida@oakvale.example")
    mine = CustomField.objects.create(
        organization=Organization.objects.get(), object_type="lead", name="Industry", slug="industry", type="number"
    )
    run("seed_demo", organization="Oakvale", leads=5)
    assert not any(mine.key in lead.custom for lead in Lead.objects.all())


@pytest.mark.django_db
def test_a_negative_number_of_leads_is_refused() -> None:
    with pytest.raises(CommandError):
        run("seed_demo", organization="Oakvale", leads=-1)
    run("seed_demo", organization="Oakvale", leads=0)


@pytest.mark.django_db
def test_demo_leads_come_with_what_was_done_and_what_is_to_do() -> None:
    run("seed_demo", organization="Oakvale", leads=300)
    activities = Activity.objects.all()
    assert 400 < activities.count() < 800
    assert set(activities.values_list("type", flat=True)) == set(ActivityType.values)
    assert not activities.exclude(lead__organization=F("organization")).exists()
    assert not activities.filter(activity_at__lt=F("lead__date_created")).exists()
    assert set(Task.objects.values_list("is_complete", flat=True)) == {False, True}
    changes = OpportunityStatusChange.objects.values_list("opportunity_id", "new_status_id")
    assert sorted(changes) == sorted(Opportunity.objects.values_list("pk", "status_id"))


@pytest.mark.django_db
def test_the_number_of_activities_changes_nothing_else() -> None:
    for name, activities in (("a", 0), ("b", 3)):
        run("seed_demo", organization=name, leads=30, activities=activities)
    first, second = (spoken(Organization.objects.get(name=name)) for name in "ab")
    assert first == second
    assert not Activity.objects.filter(organization__name="a").exists()
