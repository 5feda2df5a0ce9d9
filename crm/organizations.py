"""What an organization is called, counts in, and how it orders its lead statuses."""

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from crm.errors import FieldErrors
from crm.locks import lock_customizations
from crm.models import LeadStatus, Organization
from crm.text import clean_name, clean_text

_CURRENCY = re.compile(r"[A-Z]{3}")


@transaction.atomic
def update_organization(
    *, organization: Organization, properties: Mapping[str, object], first_statuses: Sequence[UUID | None] = ()
) -> None:
    """Set what is given of name, currency, `require_unsubscribe_link` and `postal_address`.

    `first_statuses` come first among the lead statuses; the others follow as they stood.
    The first status of all is that of new leads. All problems at once as `FieldErrors`, an unknown status as one.
    """
    lock_customizations(organization.pk)
    problems: dict[str, object] = {}
    changes: dict[str, object] = {}
    if "name" in properties:
        try:
            changes["name"] = clean_name(properties["name"], path="name")
        except FieldErrors as problem:
            problems |= problem.field_errors
    if "currency" in properties:
        currency = properties["currency"]
        if isinstance(currency, str) and _CURRENCY.fullmatch(currency):
            changes["currency"] = currency
        else:
            problems["currency"] = "Not a valid choice. A currency is given by its three-letter code."
    if "require_unsubscribe_link" in properties:
        changes["require_unsubscribe_link"] = properties["require_unsubscribe_link"]
        if not isinstance(changes["require_unsubscribe_link"], bool):
            problems["require_unsubscribe_link"] = "Value must be a boolean."
    if "postal_address" in properties:
        try:
            changes["postal_address"] = clean_text(properties["postal_address"], path="postal_address", limit=1000)
        except FieldErrors as problem:
            problems |= problem.field_errors
    statuses = {status.pk: status for status in LeadStatus.objects.filter(organization=organization)}
    if any(key not in statuses for key in first_statuses):
        problems["lead_statuses"] = "Object does not exist."
    if problems:
        raise FieldErrors(problems)
    if changes:
        Organization.objects.filter(pk=organization.pk).update(**changes, date_updated=Now())
    if first_statuses:
        ordered = [statuses[key] for key in dict.fromkeys([*first_statuses, *statuses]) if key]
        for position, status in enumerate(ordered):
            status.position = position
        LeadStatus.objects.bulk_update(ordered, ["position"])
    organization.refresh_from_db()
