"""The leads that are worked on, and a way to have them exactly as they were before each measurement."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg

from bench.unburdened import unburdened
from bench.work import NUMBER_VALUE, TEXT_VALUE, Work, works
from config.demo.api import Crm, key_of
from config.demo.stack import make_key

ORGANIZATION = "Drover bench"
EMAIL = "bench@drover.example"
NUMBER_FIELD, TEXT_FIELD = "Bench score", "Bench source"
# Autovacuum would run in some measurements and not in others.
_LEFT_ALONE = ("crm_lead", "crm_leadstatuschange", "search_leadwords", "bulk_actions_batch")


class NotOurs(Exception):
    """The database holds somebody's records, which the benchmark would delete."""


@dataclass(frozen=True)
class World:
    """One organization, whose leads all have the first status and no value in the two fields."""

    connection: psycopg.Connection
    database_url: str
    api_url: str
    secret: str
    crm: Crm
    organization: UUID
    user: UUID
    old_status: str
    new_status: str
    number_field: str
    text_field: str
    action: UUID = field(default_factory=uuid4)  # stands for a job in the SQL of the peers

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "organization": self.organization,
            "user": self.user,
            "old_status": key_of(self.old_status),
            "new_status": key_of(self.new_status),
            "number_key": self.number_field.removeprefix("cf_"),
            "number_value": NUMBER_VALUE,
            "text_key": self.text_field.removeprefix("cf_"),
            "text_value": TEXT_VALUE,
            "action": self.action,
        }

    def works(self) -> list[Work]:
        return works(
            old_status=self.old_status,
            new_status=self.new_status,
            number_field=self.number_field,
            text_field=self.text_field,
        )

    def restore(self, n_leads: int, *, with_words: bool = False) -> None:
        """Have `n_leads` untouched leads in fresh, analysed tables, and the write-ahead log behind us.

        The text index holds their words only `with_words`, for as many as the reserve has them of: what does not change
        words does not look at it either.
        """
        for table in ("crm_lead CASCADE", "crm_leadstatuschange", "search_leadwords", "bulk_actions_batch",
                      "bulk_actions_leadoutcome", "bench_chunk"):  # fmt: skip
            self.connection.execute(f"TRUNCATE {table}")  # one at a time: never two table locks at once
        with unburdened(self.connection, "crm_lead"):
            self.connection.execute("INSERT INTO crm_lead SELECT * FROM bench_lead ORDER BY id LIMIT %s", [n_leads])
        if with_words:
            with unburdened(self.connection, "search_leadwords"):
                self.connection.execute(
                    "INSERT INTO search_leadwords SELECT words.* FROM bench_words AS words"
                    " JOIN crm_lead ON id = lead_id ORDER BY id"
                )
        self.connection.execute(f"VACUUM (ANALYZE) {', '.join(_LEFT_ALONE)}, bench_chunk")
        self.connection.execute("CHECKPOINT")


def enter_world(database_url: str, api_url: str, environment: dict[str, str]) -> World:
    """The organization of the benchmark, made through the front door where it is missing.

    Raises `NotOurs` for a database with another organization in it.
    """
    connection = psycopg.connect(database_url, autocommit=True)
    others = connection.execute("SELECT count(*) FROM crm_organization WHERE name <> %s", [ORGANIZATION]).fetchone()[0]
    if others:
        raise NotOurs(
            "The benchmark empties its tables between measurements: give it a database without organizations."
        )
    secret = make_key(ORGANIZATION, EMAIL, environment)
    crm = Crm(api_url, secret)
    statuses = [status["id"] for status in crm.call("get", "status/lead")["data"]]
    found = connection.execute("SELECT id FROM crm_organization WHERE name = %s", [ORGANIZATION]).fetchone()
    return World(
        connection=connection,
        database_url=database_url,
        api_url=api_url,
        secret=secret,
        crm=crm,
        organization=found[0],
        user=key_of(crm.call("get", "me")["id"]),
        old_status=statuses[0],
        new_status=statuses[1],
        number_field=_field(crm, NUMBER_FIELD, "number"),
        text_field=_field(crm, TEXT_FIELD, "text"),
    )


def fill_reserve(world: World, n_leads: int, *, n_with_words: int) -> None:
    """Make `n_leads` leads to restore from, and the words of the first `n_with_words` of them."""
    connection = world.connection
    for table in _LEFT_ALONE:
        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    connection.execute("DROP TABLE IF EXISTS bench_lead, bench_words, bench_chunk")
    connection.execute("CREATE TABLE bench_lead (LIKE crm_lead INCLUDING DEFAULTS)")
    connection.execute(
        """
        CREATE TABLE bench_chunk (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_ids uuid[] NOT NULL,
            changed_ids uuid[], before jsonb, n_changed integer, date_done timestamptz)
        """
    )
    connection.execute("CREATE INDEX bench_chunk_pending ON bench_chunk (id) WHERE date_done IS NULL")
    connection.execute(
        """
        INSERT INTO bench_lead (organization_id, name, description, status_id, custom, created_by_id, updated_by_id)
        SELECT %(organization)s, 'Oakvale ' || n, 'Met at stand ' || n %% 97, %(old_status)s,
            jsonb_build_object('origin', 'Referral', 'seats', n %% 500, 'since', '2031-03-16',
                               'tags', jsonb_build_array('north', 'tag ' || n %% 11)),
            %(user)s, %(user)s
        FROM generate_series(1, %(n)s) AS n
        """,
        {**world.parameters, "n": n_leads},
    )
    connection.execute("CREATE INDEX ON bench_lead (id)")
    connection.execute("VACUUM (ANALYZE) bench_lead")
    world.restore(n_with_words)
    connection.execute("CREATE TABLE bench_words AS SELECT * FROM search_words_of(ARRAY(SELECT id FROM crm_lead))")
    connection.execute("VACUUM (ANALYZE) bench_words")


def _field(crm: Crm, name: str, kind: str) -> str:
    fields = crm.call("get", "custom_field_schema/lead")["fields"]
    known = [field["id"] for field in fields if field["name"] == name]
    return known[0] if known else crm.call("post", "custom_field/lead", {"name": name, "type": kind})["id"]
