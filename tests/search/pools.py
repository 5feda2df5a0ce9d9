"""What random worlds are made of: values that are easily confused, and the world that is being made."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from crm.models import CustomField, OpportunityStatus
from search.schema import RESULT_TYPES as RESULTS
from tests.search.matcher import Thing

TEXTS = [
    None,
    "",
    "Oakvale Mills",
    "oakvale",
    "Mills & Søn, Oakvale",
    "École du Nord",
    "E\u0301COLE DU NORD",
    "東京タワー株式会社",
    "東京 Mills",
    "กรุงเทพ",
    "10-5 and/or 100%",
    "ida@oakvale.example",
    "lev.adler@blueharbor.example",
    "😀 !?",
    "İzmir ΣΟΦΟΣ",
    "a\\b'c\"%_",
    "हिन्दी",
]
WANTED = [text for text in TEXTS if text is not None]
WANTED += ["mill", "oak mi", "タワー", "東京", "ecole", "nord", "%", "oakvale.example"]
TYPES = ["office", "mobile", "", "url"]
CHOICES = ["Gold", "Silver", "Gold plated", "東京"]
DAYS = ["2031-03-14", "2031-03-15", "2031-03-16", "2031-03-17"]
MOMENTS = [datetime(2031, 3, day, hour, tzinfo=UTC) for day in (14, 15, 16, 17) for hour in (0, 4, 9, 23)]
NUMBERS = [0, 1, -2, 2.5, 10**12]
FIELD_TYPES = [
    ("text", False), ("number", False), ("date", False), ("datetime", False), ("choices", False), ("choices", True),
    ("user", False), ("user", True), ("hidden", False), ("textarea", False), ("contact", True),
]  # fmt: skip
PARTS = ["address_1", "address_2", "city", "state", "zipcode", "country"]


@dataclass
class World:
    things: dict[str, dict[UUID, Thing]] = field(default_factory=lambda: {name: {} for name in RESULTS})
    custom: dict[str, list[CustomField]] = field(default_factory=dict)
    users: list[UUID] = field(default_factory=list)
    statuses: list[UUID] = field(default_factory=list)
    stages: list[OpportunityStatus] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, str]:
        return {one.key: one.type for fields in self.custom.values() for one in fields}


def custom_values(world: World, pick: random.Random, object_type: str) -> dict[str, object]:
    held = {one.key: _custom_value(one, world, pick) for one in world.custom[object_type]}
    return {key: value for key, value in held.items() if value is not None}


def custom_texts(world: World, custom: dict[str, object]) -> list[str]:
    """Those of the values that a free text search sees."""
    kinds = world.kinds
    texts: list[str] = []
    for key, value in custom.items():
        if kinds[key] in ("text", "textarea", "hidden", "choices"):
            texts += value if isinstance(value, list) else [value]
    return texts


def _custom_value(one: CustomField, world: World, pick: random.Random) -> object:
    if pick.random() < 0.4:
        return None
    contacts = [str(key) for key in world.things["contact"]] or [str(uuid4())]
    pool = {
        "number": NUMBERS,
        "date": DAYS,
        "datetime": [moment.isoformat(timespec="microseconds") for moment in MOMENTS],
        "choices": CHOICES,
        "user": [str(key) for key in world.users],
        "contact": contacts,
    }.get(one.type, [text for text in TEXTS if text])
    if not one.accepts_multiple_values:
        return pick.choice(pool)
    return list(dict.fromkeys(pick.choice(pool) for _ in range(pick.randint(1, 2))))
