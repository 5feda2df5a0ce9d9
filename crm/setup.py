"""What a new organization starts with, and who belongs to it."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from crm.errors import Invalid
from crm.locks import lock_customizations
from crm.models import (
    EmailAccount,
    LeadStatus,
    Membership,
    OpportunityStatus,
    Organization,
    Pipeline,
    Role,
    StatusType,
    User,
)
from crm.slugs import unique_slug
from crm.text import clean_name

# In the order of a sale; the first one is the status of a new lead.
default_statuses = ("Potential", "Interested", "Qualified", "Customer", "Bad Fit", "Canceled", "Not Interested")
# Stages of the first pipeline; the first one is the status of a new opportunity. Their slugs are those that BlueAI's
# clients know (blueai-api.md 5).
default_stages = (
    ("Lead", StatusType.ACTIVE),
    ("Qualified", StatusType.ACTIVE),
    ("Proposal", StatusType.ACTIVE),
    ("Negotiation", StatusType.ACTIVE),
    ("Won", StatusType.WON),
    ("Lost", StatusType.LOST),
)
_SENDER = "drover@localhost.localdomain"


@transaction.atomic
def create_organization(name: str) -> Organization:
    """A new organization with the default lead statuses, a pipeline, and one account that sends by `EMAIL_URL`."""
    organization = Organization.objects.create(name=clean_name(name, path="name"))
    LeadStatus.objects.bulk_create(
        LeadStatus(organization=organization, label=label, slug=unique_slug(label, ()), position=position)
        for position, label in enumerate(default_statuses)
    )
    ensure_pipeline(organization)
    EmailAccount.objects.create(organization=organization, sender_name=organization.name, sender_email=_SENDER)
    return organization


@transaction.atomic
def ensure_pipeline(organization: Organization) -> None:
    """Give the organization the default pipeline "Sales" unless it has one already, whatever its name."""
    lock_customizations(organization.pk)
    if Pipeline.objects.filter(organization=organization).exists():
        return
    pipeline = Pipeline.objects.create(organization=organization, name="Sales")
    OpportunityStatus.objects.bulk_create(
        OpportunityStatus(
            organization=organization,
            pipeline=pipeline,
            label=label,
            slug=unique_slug(label, ()),
            type=status_type,
            position=position,
        )
        for position, (label, status_type) in enumerate(default_stages)
    )


def ensure_organization(name: str) -> tuple[Organization, bool]:
    """The (oldest) organization of that name, made where there is none; and whether it was made now."""
    existing = Organization.objects.filter(name=name.strip()).order_by("id").first()
    return (existing, False) if existing else (create_organization(name), True)


@transaction.atomic
def ensure_member(
    *, organization: Organization, email: str, role: str | None = None, password: str | None = None
) -> tuple[Membership, bool]:
    """The membership of the user with that address, and whether it was made now.

    Makes the user and the membership where missing and revives an ended membership. `role` is that of a new member
    (`admin` where not given) and, where given, becomes that of an old one; `password` is set where given.
    """
    if role is not None and role not in Role.values:
        raise Invalid([f"Unknown role: {role}. One of: {', '.join(Role.values)}."])
    user = _ensure_user(email)
    if password is not None:
        user.set_password(password)
        user.save(update_fields=["password"])
    membership, made = Membership.objects.get_or_create(
        organization=organization, user=user, defaults={"role": role or Role.ADMIN}
    )
    if not made and (not membership.is_active or (role and membership.role != role)):
        membership.is_active = True
        membership.role = role or membership.role
        membership.save(update_fields=["is_active", "role"])
    return membership, made


def _ensure_user(email: str) -> User:
    address = email.strip()
    existing = User.objects.filter(email__iexact=address).first()
    if existing:
        return existing
    try:
        validate_email(address)
    except ValidationError as problem:
        raise Invalid([f"Not an email address: {address}"]) from problem
    # mika.sato@… is taken for Mika Sato until somebody says otherwise.
    first_name, _, last_name = address.partition("@")[0].replace("_", ".").partition(".")
    return User.objects.create_user(
        address, first_name=first_name.capitalize(), last_name=last_name.replace(".", " ").title()
    )
