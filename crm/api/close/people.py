"""Names beside ids in answers, looked up for whole pages."""

from collections.abc import Iterable
from uuid import UUID

from crm.models import User


def user_names(keys: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """The full name, else the e-mail address, of each user."""
    wanted = {key for key in keys if key}
    if not wanted:
        return {}
    return {user.pk: user.full_name or user.email for user in User.objects.filter(pk__in=wanted)}
