"""What random worlds are made of: values that are easily confused, and the world that is being made."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from crm.models import CustomField, OpportunityStatus
from tests.search.matcher import Json, Thing

RESULTS = (
    "lead",
    "contact",
    "opportunity",
    *(f"activity.{kind}" for kind in ("email", "call", "note", "sms", "meeting")),
)
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
PIECES = [
    "oak", "vale", "Mills", "É", "e\u0301", "ß", "ﬁ", "İ", "Σ", "Å", "ŉ", "東京", "タワー", "ｶﾀｶﾅ", "กรุง", "เทพ", "ລາວ",
    "한국", "ᄒ\u1161ᆫ", "𠮷", "हि", "न्दी", "\u0301", "\u200d", "😀", "❤️", "'", "-", "_", "@", ".", "%", "\\",
    "\t", "\n", "1", "10", "٣", "②", "½", "a", "A",
]  # fmt: skip
TYPES = ["office", "mobile", "", "url"]
CHOICES = ["Gold", "Silver", "Gold plated", "東京"]
DAYS = ["2031-03-14", "2031-03-15", "2031-03-16", "2031-03-17"]
MORE_DAYS = ["2030-12-31", "2031-01-01", "2031-02-28", "2031-03-09", "2031-03-31", "2031-04-01"]
MOMENTS = [datetime(2031, 3, day, hour, tzinfo=UTC) for day in (14, 15, 16, 17) for hour in (0, 4, 9, 23)]
# Where the clocks of New York went forward, and where months, quarters and years end.
MOMENTS += [datetime(2031, 3, 9, 4, 59, 59, 999_999, UTC), datetime(2031, 3, 9, 5, tzinfo=UTC)]
MOMENTS += [datetime(2031, 3, 10, 4, tzinfo=UTC), datetime(2031, 3, 8, 9, 30, tzinfo=UTC)]
MOMENTS += [datetime(2031, 3, 16, 9, 30, tzinfo=UTC) - timedelta(minutes=minutes) for minutes in (0, 1, 90)]
MOMENTS += [datetime(year, month, 1, tzinfo=UTC) for year, month in ((2030, 1), (2030, 10), (2031, 1), (2031, 4))]
MOMENTS += [datetime(2030, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2031, 2, 28, 12, tzinfo=UTC)]
NUMBERS = [0, 1, -2, 2.5, 10**12]
FIELD_TYPES = [
    ("text", False), ("number", False), ("date", False), ("datetime", False), ("choices", False), ("choices", True),
    ("user", False), ("user", True), ("hidden", False), ("textarea", False), ("contact", False), ("contact", True),
    ("custom_object", False), ("custom_object", True),
]  # fmt: skip
CUSTOM_OBJECTS = [UUID(int=number) for number in (7, 8)]
PARTS = ["address_1", "address_2", "city", "state", "zipcode", "country"]


@dataclass(eq=False)
class World:
    """Everything of one organization, twice: its rows are in the database too."""

    texts: list[str | None] = field(default_factory=lambda: list(TEXTS))
    things: dict[str, dict[UUID, Thing]] = field(default_factory=lambda: {name: {} for name in RESULTS})
    custom: dict[str, list[CustomField]] = field(default_factory=dict)
    users: list[UUID] = field(default_factory=list)
    statuses: list[UUID] = field(default_factory=list)
    stages: list[OpportunityStatus] = field(default_factory=list)
    views: dict[str, tuple[str, Json]] = field(default_factory=dict)
    groups: dict[str, list[UUID]] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, str]:
        return {one.key: one.type for fields in self.custom.values() for one in fields}


def random_text(pick: random.Random) -> str:
    return "".join(pick.choice([*PIECES, " ", " "]) for _ in range(pick.randint(1, 8)))


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
        "date": DAYS + MORE_DAYS,
        "datetime": [moment.isoformat(timespec="microseconds") for moment in MOMENTS],
        "choices": CHOICES,
        "user": [str(key) for key in world.users],
        "contact": contacts,
        "custom_object": [str(key) for key in CUSTOM_OBJECTS],
    }.get(one.type, [text for text in world.texts if text])
    if not one.accepts_multiple_values:
        return pick.choice(pool)
    return list(dict.fromkeys(pick.choice(pool) for _ in range(pick.randint(1, 2))))
