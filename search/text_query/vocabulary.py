"""What an organization calls its things: the names and labels that a one-line query may use."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from uuid import UUID

from crm.models import CustomField, LeadStatus, OpportunityStatus, User
from search.errors import shown


@dataclass(frozen=True)
class Vocabulary:
    custom_fields: tuple[CustomField, ...] = ()
    statuses: tuple[tuple[UUID, str], ...] = ()  # of leads: key and label
    opportunity_statuses: tuple[tuple[UUID, str], ...] = ()
    users: tuple[tuple[UUID, str, str], ...] = ()  # key, full name, e-mail address

    def custom_field(self, object_type: str, name: str) -> CustomField | None:
        """The field of that name, whatever its case, or of that slug."""
        own = [field for field in self.custom_fields if field.object_type == object_type]
        folded = name.casefold()
        for fits in (
            lambda field: field.name == name,
            lambda field: field.name.casefold() == folded,
            lambda field: field.slug == folded,
        ):
            found = [field for field in own if fits(field)]
            if len(found) == 1:
                return found[0]
        return None


def vocabulary_of(organization_id: UUID) -> Vocabulary:
    users = User.objects.filter(memberships__organization_id=organization_id)
    return Vocabulary(
        tuple(CustomField.objects.filter(organization_id=organization_id)),
        tuple(LeadStatus.objects.filter(organization_id=organization_id).values_list("pk", "label")),
        tuple(OpportunityStatus.objects.filter(organization_id=organization_id).values_list("pk", "label")),
        tuple((user.pk, user.full_name, user.email) for user in users),
    )


def keys_named(labels: Iterable[tuple[UUID, str]], wanted: str) -> list[UUID]:
    """The keys of those with that label, whatever its case."""
    folded = wanted.casefold()
    return [key for key, label in labels if label.casefold() == folded]


def hint(written: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the nearest one that is, if one is near."""
    close = get_close_matches(written[:100], list(known), n=1, cutoff=0.6)
    return f" Did you mean '{shown(close[0])}'?" if close else ""
