"""Who may do what: organizations, users, their memberships, and the keys that scripts use."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now

from crm.models.base import Dated, Keyed


class Organization(Keyed, Dated):
    """A tenant. Every record belongs to exactly one."""

    name = models.TextField()
    currency = models.CharField(max_length=3, default="USD")
    require_unsubscribe_link = models.BooleanField(default=False, help_text="Every bulk and sequence mail shows one.")
    postal_address = models.TextField(blank=True, default="", help_text="Shown beside the unsubscribe link.")
    # Of gomega's keys (gomega-api.md 3); empty means the usual limit.
    lead_calls_per_minute = models.PositiveIntegerField(null=True, blank=True)
    lead_calls_per_hour = models.PositiveIntegerField(null=True, blank=True)
    lead_bulk_calls_per_minute = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(Keyed, Dated, AbstractBaseUser, PermissionsMixin):
    """A person, the same in every organization that has them as a member."""

    email = models.EmailField(max_length=254, unique=True)
    first_name = models.TextField(blank=True, default="")
    last_name = models.TextField(blank=True, default="")
    timezone = models.TextField(blank=True, default="", help_text="IANA zone name; empty means UTC.")
    is_staff = models.BooleanField(default=False, help_text="May sign in to the admin.")
    is_active = models.BooleanField(default=True)

    objects = UserManager()
    USERNAME_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.email

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


class Role(models.TextChoices):
    ADMIN = "admin"
    SUPERUSER = "superuser"
    USER = "user"
    RESTRICTED_USER = "restricteduser"


class Permission(models.TextChoices):
    """Words of `permissions_granted` (close-api.md 4.16)."""

    BULK_DELETE = "bulk_delete"
    BULK_EDIT = "bulk_edit"
    BULK_EMAIL = "bulk_email"
    DELETE_LEAD = "delete_lead"
    EXPORT = "export"
    IMPORT = "import"
    MANAGE_CUSTOMIZATIONS = "manage_customizations"
    MANAGE_ORGANIZATION = "manage_organization"


PERMISSIONS_OF_ROLE: dict[str, frozenset[str]] = {
    Role.ADMIN: frozenset(Permission.values),
    Role.SUPERUSER: frozenset(Permission.values) - {Permission.MANAGE_ORGANIZATION},
    Role.USER: frozenset({Permission.BULK_EDIT, Permission.BULK_EMAIL, Permission.DELETE_LEAD, Permission.EXPORT}),
    Role.RESTRICTED_USER: frozenset(),
}


class Membership(Keyed, Dated):
    """A user's place in an organization. An ended membership stays as a row with `is_active` false."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.TextField(choices=Role.choices, default=Role.USER)
    extra_permissions = ArrayField(models.TextField(choices=Permission.choices), default=list, blank=True)
    withheld_permissions = ArrayField(models.TextField(choices=Permission.choices), default=list, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"

    @property
    def permissions(self) -> frozenset[str]:
        """What this member may do: what the role allows, and more, less what was withheld."""
        return (PERMISSIONS_OF_ROLE[self.role] | set(self.extra_permissions)) - set(self.withheld_permissions)


class Dialect(models.TextChoices):
    CLOSE = "close"
    BLUEAI = "blueai"
    GOMEGA = "gomega"


class ApiKey(Keyed):
    """A secret that speaks for one member in one dialect. Only the secret's SHA-256 is stored."""

    membership = models.ForeignKey(Membership, models.CASCADE, related_name="api_keys")
    dialect = models.TextField(choices=Dialect.choices, default=Dialect.CLOSE)
    label = models.TextField(blank=True, default="")
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.TextField(editable=False, help_text="First characters of the secret, to tell keys apart.")
    scopes = ArrayField(models.TextField(), default=list, blank=True)
    date_created = models.DateTimeField(auto_now_add=True)
    date_last_used = models.DateTimeField(null=True, editable=False)
    date_revoked = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.hint}… ({self.label})" if self.label else f"{self.hint}…"


class SignInSession(Keyed):
    """A browser that signed in with a password, for one organization. Only the token's SHA-256 is stored."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    date_created = models.DateTimeField(db_default=Now(), editable=False)
    date_expires = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["date_expires"], name="sign_in_session_expires")]


class Group(Keyed, Dated):
    """People who are addressed together."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="user_groups")
    name = models.TextField()
    members = models.ManyToManyField(User, related_name="+", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="group_name_unique")]

    def __str__(self) -> str:
        return self.name
