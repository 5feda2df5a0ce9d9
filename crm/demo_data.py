"""Demo leads in bulk: made from a seed and streamed into the tables by COPY, a chunk per transaction."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

from django.db import connection, transaction
from django.utils import timezone

from crm import demo_words as words
from crm.custom_fields import create_field
from crm.demo_ground import Ground, Lines
from crm.demo_rows import COLUMNS, rows_of_leads
from crm.models import CustomField, FieldObject, Lead, LeadStatus, Membership, Organization
from crm.pipelines import statuses_of
from crm.setup import ensure_member, ensure_pipeline

ACTIVITIES_PER_LEAD = 2
_LEADS_PER_CHUNK = 5000

_LEAD_FIELDS = (
    {"name": "Industry", "type": "choices", "choices": list(words.INDUSTRIES)},
    {"name": "Interests", "type": "choices", "choices": list(words.INTERESTS), "accepts_multiple_values": True},
    {"name": "Campaign", "type": "text"},
    {"name": "Remarks", "type": "textarea"},
    {"name": "Employees", "type": "number"},
    {"name": "Renewal date", "type": "date"},
    {"name": "Last demo", "type": "datetime"},
    {"name": "Account manager", "type": "user"},
    {"name": "Team", "type": "user", "accepts_multiple_values": True},
    {"name": "Main contact", "type": "contact"},
    {"name": "Asset", "type": "custom_object"},
    {"name": "External reference", "type": "hidden"},
)
_CONTACT_FIELDS = (
    {"name": "Language", "type": "choices", "choices": list(words.LANGUAGES)},
    {"name": "Birthday", "type": "date"},
)


def seed_leads(
    *, organization: Organization, leads: int, seed: int, activities_per_lead: int = ACTIVITIES_PER_LEAD
) -> Iterator[int]:
    """Add `leads` leads with all that hangs on them; yields the number of leads of each chunk once it is committed.

    The same seed gives the same data in an organization with as many leads. (Keys differ, and dates count back from the
    beginning of today, UTC.) `activities_per_lead` is an average: a lead has none to twice as many.
    """
    ground = _prepare(organization, activities_per_lead)
    rng = Random(f"{seed}:{Lead.all_objects.filter(organization=organization).count()}")
    chunks = [range(start, min(start + _LEADS_PER_CHUNK, leads)) for start in range(0, leads, _LEADS_PER_CHUNK)]
    made = (rows_of_leads(ground, rng, numbers, leads) for numbers in chunks)
    for lines in _ahead(made):
        _copy(lines)
        yield len(lines["crm_lead"])
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(COLUMNS)}")


def _ahead(chunks: Iterator[Lines]) -> Iterator[Lines]:
    """The same chunks, the next of which is made while the database takes in the last."""
    with ThreadPoolExecutor(1) as maker:
        upcoming = maker.submit(next, chunks, None)
        while (lines := upcoming.result()) is not None:
            upcoming = maker.submit(next, chunks, None)
            yield lines


@transaction.atomic
def _copy(lines: Lines) -> None:
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                copy.write("".join(lines[table]))


@transaction.atomic
def _prepare(organization: Organization, activities_per_lead: int) -> Ground:
    """The statuses, people and custom fields that the leads refer to; made where missing."""
    ensure_pipeline(organization)
    for email in words.MEMBERS:
        ensure_member(organization=organization, email=email)
    memberships = Membership.objects.filter(organization=organization, is_active=True, user__email__in=words.MEMBERS)
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return Ground(
        organization_id=organization.pk,
        status_ids=list(LeadStatus.objects.filter(organization=organization).values_list("pk", flat=True)),
        stages=list(statuses_of(organization.pk).values_list("pk", "type")),
        user_ids=list(memberships.order_by("user__email").values_list("user_id", flat=True)),
        lead_fields=_ensure_fields(organization, FieldObject.LEAD, _LEAD_FIELDS),
        contact_fields=_ensure_fields(organization, FieldObject.CONTACT, _CONTACT_FIELDS),
        today=today,
        activities_per_lead=activities_per_lead,
    )


def _ensure_fields(
    organization: Organization, object_type: FieldObject, wanted: tuple[dict[str, object], ...]
) -> dict[str, str]:
    """Name -> key. A field of that name which holds other values than ours is left alone, and out."""
    existing = {
        field.name: field for field in CustomField.objects.filter(organization=organization, object_type=object_type)
    }
    keys = {}
    for properties in wanted:
        field = existing.get(str(properties["name"]))
        if field is None:
            field = create_field(organization=organization, object_type=object_type, properties=properties)
        if all(getattr(field, name) == value for name, value in properties.items()):
            keys[field.name] = field.key
    return keys
