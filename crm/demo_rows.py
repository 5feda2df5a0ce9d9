"""The rows of demo leads, in the text form of COPY. What they say follows from the seed alone."""

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID

from crm import demo_words as words
from crm.demo_activities import ACTIVITY_COLUMNS, add_activities, add_task
from crm.demo_ground import Ground, Lines, line, new_key
from crm.slugs import unique_slug

OPPORTUNITIES_PER_LEAD = 0.3
TASKS_PER_LEAD = 0.3
DAYS_BACK = 3 * 365  # how far the dates of creation reach into the past
# Tables in the order in which they refer to each other, with the columns that we fill; the others have defaults.
COLUMNS = {
    "crm_lead": "id, organization_id, name, description, url, status_id, custom, created_by_id, updated_by_id, "
    "date_created, date_updated",
    "crm_address": "organization_id, lead_id, position, label, address_1, city, state, zipcode, country",
    "crm_contact": "id, organization_id, lead_id, name, title, position, custom, created_by_id, updated_by_id, "
    "date_created, date_updated",
    "crm_contactemail": "organization_id, contact_id, position, type, email",
    "crm_contactphone": "organization_id, contact_id, position, type, phone",
    "crm_contacturl": "organization_id, contact_id, position, type, url",
    "crm_opportunity": "id, organization_id, lead_id, contact_id, user_id, status_id, value, value_period, confidence, "
    "note, date_won, date_lost, custom, created_by_id, updated_by_id, date_created, date_updated",
    "crm_opportunitystatuschange": "organization_id, opportunity_id, lead_id, new_status_id, user_id, date_created",
    **ACTIVITY_COLUMNS,
}

_FIRST_DAY = date(2026, 1, 1)  # of renewals and the like


def rows_of_leads(ground: Ground, rng: Random, numbers: range, total: int) -> Lines:
    """The rows of the leads with these numbers out of `total`; a higher number means a later date of creation."""
    lines: Lines = defaultdict(list)
    for number in numbers:
        age = (total - number - rng.random()) / total * DAYS_BACK
        _add_lead(lines, ground, rng, ground.today - timedelta(days=age))
    return lines


def _add_lead(lines: Lines, ground: Ground, rng: Random, created: datetime) -> None:
    key, owner = new_key(created), rng.choice(ground.user_ids)
    if rng.random() < 0.08:
        name = f"{rng.choice(words.COMPANY_JAPANESE)} {rng.randrange(1, 1000)}号店"
        domain = f"jp{rng.randrange(100_000)}.example"
    else:
        name = f"{rng.choice(words.COMPANY_FIRST)} {rng.choice(words.COMPANY_SECOND)} {rng.randrange(1, 10_000)}"
        domain = f"{unique_slug(name, ()).replace('_', '-')}.example"
    contacts = [new_key(created) for _ in range(1 if rng.random() < 0.5 else 2)]
    url = f"https://{domain}" if rng.random() < 0.7 else None
    description = rng.choice(words.DESCRIPTIONS)
    # Early statuses hold more leads than late ones.
    status = ground.status_ids[int(len(ground.status_ids) * rng.random() ** 2)]
    custom = _custom(ground.lead_fields, _lead_values(ground, rng, contacts[0]))
    moment = created.isoformat()
    lines["crm_lead"].append(
        line(key, ground.organization_id, name, description, url, status, custom, owner, owner, moment, moment)
    )
    if rng.random() < 0.8:
        _add_address(lines, ground, rng, key)
    for position, contact in enumerate(contacts):
        _add_contact(lines, ground, rng, contact, key, position, domain, owner, moment)
    if rng.random() < OPPORTUNITIES_PER_LEAD:
        _add_opportunity(lines, ground, rng, key, contacts[0], owner, created)
    if rng.random() < TASKS_PER_LEAD:
        add_task(lines, ground, rng, lead=key, owner=owner, created=created)
    apart = Random(rng.getrandbits(64))  # however many activities there are, the next lead is the same
    add_activities(lines, ground, apart, lead=key, contact=contacts[0], domain=domain, owner=owner, created=created)


def _add_address(lines: Lines, ground: Ground, rng: Random, lead: UUID) -> None:
    street, city, state, zipcode, country = rng.choice(words.PLACES)
    address = f"{rng.randrange(1, 200)} {street}"
    label = rng.choice(("business", "mailing"))
    lines["crm_address"].append(line(ground.organization_id, lead, 0, label, address, city, state, zipcode, country))


def _add_contact(
    lines: Lines,
    ground: Ground,
    rng: Random,
    key: UUID,
    lead: UUID,
    position: int,
    domain: str,
    owner: UUID,
    moment: str,
) -> None:
    if rng.random() < 0.1:
        name, local = rng.choice(words.NAMES_JAPANESE)
    else:
        first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
        name, local = f"{first} {last}", f"{first}.{last}".lower()
    organization, title = ground.organization_id, rng.choice(words.TITLES)
    custom = _custom(ground.contact_fields, _contact_values(rng))
    lines["crm_contact"].append(
        line(key, organization, lead, name, title, position, custom, owner, owner, moment, moment)
    )
    emails = lines["crm_contactemail"]
    emails.append(line(organization, key, 0, "office", f"{local}@{domain}"))
    if rng.random() < 0.2:
        emails.append(line(organization, key, 1, "home", f"{local}{rng.randrange(100)}@mail.example"))
    phone = f"+1{rng.choice(words.AREA_CODES)}55501{rng.randrange(100):02}"
    lines["crm_contactphone"].append(line(organization, key, 0, rng.choice(("office", "mobile", "direct")), phone))
    if rng.random() < 0.3:
        url = f"https://people.example/{local}"
        lines["crm_contacturl"].append(line(organization, key, 0, "url", url))


def _add_opportunity(
    lines: Lines, ground: Ground, rng: Random, lead: UUID, contact: UUID, owner: UUID, created: datetime
) -> None:
    status, status_type = rng.choice(ground.stages)
    period = rng.choice(("one_time", "monthly", "annual"))
    value = rng.randrange(1, 500) * 10_000 if rng.random() < 0.95 else None
    confidence = {"won": 100, "lost": 0}.get(status_type, rng.randrange(10, 100, 10))
    ended = min(created + timedelta(days=rng.randrange(1, 90)), ground.today)
    date_won = ended.date().isoformat() if status_type == "won" else None
    date_lost = ended.isoformat() if status_type == "lost" else None
    note, moment = rng.choice(words.DEALS), created.isoformat()
    person = contact if rng.random() < 0.5 else None
    key = new_key(created)
    reference = (key, ground.organization_id, lead, person, owner, status)
    money = (value, period, confidence, note, date_won, date_lost)
    lines["crm_opportunity"].append(line(*reference, *money, "{}", owner, owner, moment, moment))
    changes = lines["crm_opportunitystatuschange"]
    changes.append(line(ground.organization_id, key, lead, status, owner, moment))


def _lead_values(ground: Ground, rng: Random, contact: UUID) -> dict[str, object]:
    """Values by field name; each field is empty on some leads."""
    values: dict[str, object] = {
        "Industry": rng.choice(words.INDUSTRIES),
        "Employees": int(1.5 ** (rng.random() * 20)),
    }
    if rng.random() < 0.6:
        values["Interests"] = rng.sample(words.INTERESTS, rng.randrange(1, 4))
    if rng.random() < 0.5:
        values["Campaign"] = rng.choice(words.CAMPAIGNS)
    if rng.random() < 0.2:
        values["Remarks"] = f"Visited {rng.randrange(1, 9)} times; prefers mornings."
    if rng.random() < 0.5:
        values["Renewal date"] = (_FIRST_DAY + timedelta(days=rng.randrange(730))).isoformat()
    if rng.random() < 0.4:
        demo = datetime.combine(_FIRST_DAY, datetime.min.time(), UTC) - timedelta(minutes=rng.randrange(1_000_000))
        values["Last demo"] = demo.isoformat(timespec="microseconds")
    if rng.random() < 0.7:
        values["Account manager"] = str(rng.choice(ground.user_ids))
    if rng.random() < 0.3:
        values["Team"] = [str(user) for user in rng.sample(ground.user_ids, min(2, len(ground.user_ids)))]
    if rng.random() < 0.3:
        values["Main contact"] = str(contact)
    if rng.random() < 0.1:
        values["Asset"] = str(UUID(int=rng.getrandbits(128), version=4))
    if rng.random() < 0.5:
        values["External reference"] = f"X-{rng.randrange(10**9):09}"
    return values


def _contact_values(rng: Random) -> dict[str, object]:
    values: dict[str, object] = {"Language": rng.choice(words.LANGUAGES)} if rng.random() < 0.5 else {}
    if rng.random() < 0.3:
        values["Birthday"] = date(rng.randrange(1955, 2004), rng.randrange(1, 13), rng.randrange(1, 29)).isoformat()
    return values


def _custom(keys: dict[str, str], values: dict[str, object]) -> str:
    return json.dumps({keys[name]: value for name, value in values.items() if name in keys}, ensure_ascii=False)
