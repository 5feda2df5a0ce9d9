"""The leads that are worked on, and a way to have them exactly as they were before each measurement."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg

from bench.work import VALUE
from config.demo.api import Crm, key_of
from config.demo.stack import make_key

ORGANIZATION = "Drover bench"
EMAIL = "bench@drover.example"
FIELD_NAME = "Bench source"
_READ_BY_THE_INDEX = ("lead", "address", "contact", "contactemail", "contactphone", "contacturl")


class NotOurs(Exception):
    """The database holds somebody's records, which the benchmark would delete."""


@dataclass(frozen=True)
class World:
    """One organization, whose leads all have the first status and no value in the field."""

    connection: psycopg.Connection
    crm: Crm
    organization: UUID
    user: UUID
    old_status: str
    new_status: str
    field: str
    action: UUID = field(default_factory=uuid4)  # stands for a job in the SQL of the peers

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "organization": self.organization,
            "user": self.user,
            "old_status": key_of(self.old_status),
            "new_status": key_of(self.new_status),
            "field_key": self.field.removeprefix("cf_"),
            "value": VALUE,
            "action": self.action,
        }

    def restore(self, n_leads: int) -> None:
        """Have `n_leads` untouched leads in fresh, analysed tables, and the write-ahead log behind us."""
        for statement in (
            "TRUNCATE search_leadwords",
            "TRUNCATE crm_lead CASCADE",
            "TRUNCATE crm_leadstatuschange",
            "TRUNCATE bulk_actions_batch",
            "TRUNCATE bulk_actions_leadoutcome",
            "TRUNCATE bench_chunk",
        ):
            self.connection.execute(statement)  # one at a time: never two table locks at once
        with index_filled_afterwards(self.connection):
            self.connection.execute("INSERT INTO crm_lead SELECT * FROM bench_lead ORDER BY id LIMIT %s", [n_leads])
        self.connection.execute(
            "VACUUM (ANALYZE) crm_lead, crm_leadstatuschange, search_leadwords, bulk_actions_batch, bench_chunk"
        )
        self.connection.execute("CHECKPOINT")


@contextmanager
def index_filled_afterwards(connection: psycopg.Connection) -> Iterator[None]:
    """Writes within leave the text index alone, which must be empty; then all leads are read at once. (A tenth of the
    time that its triggers take.)
    """
    connection.execute("DROP INDEX search_leadwords_words")
    for table in _READ_BY_THE_INDEX:
        connection.execute(f"ALTER TABLE crm_{table} DISABLE TRIGGER USER")
    yield
    for table in _READ_BY_THE_INDEX:
        connection.execute(f"ALTER TABLE crm_{table} ENABLE TRIGGER USER")
    connection.execute("INSERT INTO search_leadwords SELECT * FROM search_words_of(ARRAY(SELECT id FROM crm_lead))")
    connection.execute("CREATE INDEX search_leadwords_words ON search_leadwords USING gin (words)")


def make_world(database_url: str, api_url: str, environment: dict[str, str], n_leads: int) -> World:
    """Make the organization through the front door, and a reserve of `n_leads` leads to restore from.

    Raises `NotOurs` for a database with another organization in it.
    """
    connection = psycopg.connect(database_url, autocommit=True)
    others = connection.execute("SELECT count(*) FROM crm_organization WHERE name <> %s", [ORGANIZATION]).fetchone()[0]
    if others:
        raise NotOurs(
            "The benchmark empties its tables between measurements: give it a database without organizations."
        )
    crm = Crm(api_url, make_key(ORGANIZATION, EMAIL, environment))
    me = crm.call("get", "me")
    statuses = [status["id"] for status in crm.call("get", "status/lead")["data"]]
    world = World(
        connection=connection,
        crm=crm,
        organization=connection.execute("SELECT id FROM crm_organization WHERE name = %s", [ORGANIZATION]).fetchone()[
            0
        ],
        user=key_of(me["id"]),
        old_status=statuses[0],
        new_status=statuses[1],
        field=_field(crm),
    )
    _fill_reserve(world, n_leads)
    return world


def _fill_reserve(world: World, n_leads: int) -> None:
    connection = world.connection
    # Autovacuum would run in some measurements and not in others.
    connection.execute("ALTER TABLE crm_lead SET (autovacuum_enabled = false)")
    connection.execute("ALTER TABLE crm_leadstatuschange SET (autovacuum_enabled = false)")
    connection.execute("ALTER TABLE search_leadwords SET (autovacuum_enabled = false)")
    connection.execute("DROP TABLE IF EXISTS bench_lead, bench_chunk")
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


def _field(crm: Crm) -> str:
    fields = crm.call("get", "custom_field_schema/lead")["fields"]
    known = [field["id"] for field in fields if field["name"] == FIELD_NAME]
    return known[0] if known else crm.call("post", "custom_field/lead", {"name": FIELD_NAME, "type": "text"})["id"]
