"""The text index, as migration 0003 makes it: one row per lead with every word that the lead and its contacts say.

The index may hold more than a condition looks at, never less: conditions test the texts themselves, and ask the index
only which leads are worth a test. It is a table of its own so that edits of other columns do not touch it, and kept by
triggers, so that COPY and every other way to write are covered. A trigger marks the lead's row as stale, which every
search takes for a hit; at commit the words of all stale rows are read anew in one statement. (Adding the words of each
statement at once wrote a lead's row up to six times, and trebled the time of a COPY.) The transaction notes in
`search_refreshing` that it has stale rows, and the deferred trigger is on that note: on the rows themselves it was
called for each of them. Triggers on UPDATE go by row because PostgreSQL gives no transition tables to those that name
columns; a status edit fires none.
"""

import re

from search.unicode_ranges import SPACELESS, regex_class

LONGEST_LEXEME = 500  # characters of a word that are indexed; a tsvector holds 2,046 bytes of one
_MOST_BYTES = 500_000  # of one lead's words; a tsvector holds 1 MB

_STALE = "array_to_tsvector(ARRAY['*'])"
_NOTE = "INSERT INTO search_refreshing {} ON CONFLICT DO NOTHING"

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WORDY_TYPES = "'text', 'textarea', 'hidden', 'choices'"
_LEAD_COLUMNS = "name, description, url, custom"
_ADDRESS = "address_1, address_2, city, state, zipcode, country"
_DETAILS = {"crm_contactemail": "email", "crm_contactphone": "phone", "crm_contacturl": "url"}


def _custom_text(row: str) -> str:
    wordless = f"ARRAY(SELECT key FROM search_wordlesskey WHERE organization_id = {row}.organization_id)"
    return f"""CASE WHEN {row}.custom <> '{{}}' THEN (SELECT string_agg(item #>> '{{}}', E'\\n')
            FROM jsonb_path_query({row}.custom - {wordless}, '$.*[*]') AS item) END"""


def _contact_text(row: str) -> str:
    name = f"CASE WHEN {row}.name <> '' THEN {row}.name ELSE concat_ws(' ', {row}.first_name, {row}.last_name) END"
    return f"concat_ws(E'\\n', {name}, {row}.title, {_custom_text(row)})"


# Short texts in ASCII, the most, have no word too long and no pairs of signs: what is made of them is inlined, which
# takes a third of the time of a call.
_FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION drover_lexemes_of_any(value text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN octet_length(value) = length(value) AND octet_length(value) <= {_MOST_BYTES} THEN
    array_to_tsvector(ARRAY(SELECT left(word, {LONGEST_LEXEME}) FROM unnest(drover_words(value)) AS word))
ELSE (
    SELECT CASE WHEN coalesce(sum(octet_length(lexeme)), 0) > {_MOST_BYTES} THEN array_to_tsvector(ARRAY['*', '+'])
                ELSE array_to_tsvector(coalesce(array_agg(lexeme), ARRAY[]::text[])) END
    FROM (
        SELECT DISTINCT part.lexeme COLLATE "C" AS lexeme
        FROM unnest(drover_words(value)) AS word,
        LATERAL (
            SELECT left(word, {LONGEST_LEXEME})
            UNION ALL
            SELECT sign || coalesce(lead(sign) OVER (ORDER BY place), '')
            FROM unnest(string_to_array(word, NULL)) WITH ORDINALITY AS signs (sign, place)
            WHERE octet_length(word) > length(word) AND word ~ '[{regex_class(SPACELESS)}]'
        ) AS part (lexeme)
    ) AS parts
) END $$;
CREATE OR REPLACE FUNCTION drover_lexemes(value text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN octet_length(value) = length(value) AND length(value) <= {LONGEST_LEXEME}
                  THEN array_to_tsvector(drover_words(value)) ELSE drover_lexemes_of_any(value) END $$;
COMMENT ON FUNCTION drover_lexemes(text) IS
    'What the text index holds of a text: its words, and all pairs of signs of those in scripts without spaces. The
lexeme * stands for more than a row can hold, and every search looks for it.';

CREATE OR REPLACE FUNCTION drover_key(id uuid) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    rest numeric := 0;
    spelt text := '';
BEGIN
    FOR place IN 0..15 LOOP
        rest := rest * 256 + get_byte(uuid_send(id), place);
    END LOOP;
    FOR place IN 1..22 LOOP
        spelt := substr('{_BASE62}', (rest % 62)::int + 1, 1) || spelt;
        rest := div(rest, 62);
    END LOOP;
    RETURN spelt;
END $$;
COMMENT ON FUNCTION drover_key(uuid) IS 'The key of a custom field in `custom`.';
"""

_TABLES = f"""
CREATE TABLE search_leadwords (lead_id uuid PRIMARY KEY, words tsvector NOT NULL);
COMMENT ON TABLE search_leadwords IS 'The text index: what leads and their contacts say. Kept by triggers.';
CREATE INDEX search_leadwords_stale ON search_leadwords (lead_id) WHERE words = {_STALE};
CREATE TABLE search_wordlesskey (organization_id uuid, key text COLLATE "C", PRIMARY KEY (organization_id, key));
COMMENT ON TABLE search_wordlesskey IS 'Keys of the custom fields whose values are no texts, deleted fields too.';
"""

# OFFSET 0 makes the text a column: as an expression, it would be computed wherever the functions name it.
_WORDS_OF = f"""
CREATE OR REPLACE FUNCTION search_words_of(leads uuid[]) RETURNS TABLE (lead_id uuid, words tsvector)
LANGUAGE sql STABLE AS $$
    SELECT said.id, drover_lexemes(said.value) FROM (
        SELECT lead.id, concat_ws(
            E'\\n', lead.name, lead.description, lead.url, {_custom_text("lead")},
            (SELECT string_agg(concat_ws(E'\\n', {_ADDRESS}), E'\\n') FROM crm_address WHERE lead_id = lead.id),
            (SELECT string_agg(concat_ws(
                E'\\n', {_contact_text("contact")},
                (SELECT string_agg(email, E'\\n') FROM crm_contactemail WHERE contact_id = contact.id),
                (SELECT string_agg(phone, E'\\n') FROM crm_contactphone WHERE contact_id = contact.id),
                (SELECT string_agg(url, E'\\n') FROM crm_contacturl WHERE contact_id = contact.id)), E'\\n')
             FROM crm_contact AS contact WHERE contact.lead_id = lead.id)) AS value
        FROM crm_lead AS lead WHERE lead.id = ANY (leads) ORDER BY lead.id OFFSET 0) AS said
$$;
COMMENT ON FUNCTION search_words_of(uuid[]) IS 'What search_leadwords ought to hold.';
"""

REFRESH = f"""
CREATE OR REPLACE FUNCTION search_refresh() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    -- Nobody sees the stale rows of others: they are not committed as such.
    stale uuid[] := ARRAY(SELECT lead_id FROM search_leadwords WHERE words = {_STALE} ORDER BY lead_id);
BEGIN
    -- Materialized and joined without a nested loop: where the statistics still tell of empty tables, such as
    -- behind a purge of all, that would read all of these leads anew for each of them. Other joins read both sides
    -- whole, so each is narrowed down to these leads.
    WITH fresh AS MATERIALIZED (SELECT * FROM search_words_of(stale))
    UPDATE search_leadwords AS held SET words = fresh.words
    FROM fresh WHERE held.lead_id = fresh.lead_id AND held.lead_id = ANY (stale);
    DELETE FROM search_refreshing WHERE transaction = NEW.transaction;
    RETURN NULL;
END $$;
"""

_REFRESH = f"""
CREATE TABLE IF NOT EXISTS search_refreshing (transaction xid8 PRIMARY KEY);
COMMENT ON TABLE search_refreshing IS 'The transaction has stale rows. The note goes as it commits: nobody sees one.';

{_WORDS_OF}

CREATE OR REPLACE FUNCTION search_mark(leads uuid[]) RETURNS void LANGUAGE sql AS $$
    WITH marked AS (
        UPDATE search_leadwords SET words = {_STALE} WHERE lead_id = ANY (leads) AND words <> {_STALE} RETURNING 1)
    {_NOTE.format("SELECT pg_current_xact_id() WHERE EXISTS (SELECT FROM marked)")};
$$;
COMMENT ON FUNCTION search_mark(uuid[]) IS 'Have these leads read anew at commit. Locks their rows until then.';

{REFRESH}
DROP TRIGGER IF EXISTS search_refresh ON search_refreshing;
CREATE CONSTRAINT TRIGGER search_refresh AFTER INSERT ON search_refreshing
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION search_refresh();
"""


def _trigger(name: str, body: str, *events: str, declared: str = "") -> str:
    """A trigger function and the triggers that call it; `events` are what stands between their name and EXECUTE."""
    function = f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
{declared}BEGIN
    {body.strip()}
    RETURN NULL;
END $$;"""
    triggers = [f"CREATE OR REPLACE TRIGGER {name} {event} EXECUTE FUNCTION {name}();" for event in events]
    return "\n".join([function, *triggers])


_INSERTED = "AFTER INSERT ON {} REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
_UPDATED = "AFTER UPDATE OF {} ON {} FOR EACH ROW WHEN ({})"
_DELETED = "AFTER DELETE ON {} REFERENCING OLD TABLE AS removed FOR EACH STATEMENT"


def _differs(*columns: str) -> str:
    return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)


def _kept(table: str, columns: str, lead: str) -> str:
    """The three triggers of a table whose rows say something of a lead; `lead` is where its key is, given the rows."""
    name = table.replace("crm_", "search_")

    def mark(rows: str) -> str:
        # Twice, since the first may have waited for one who moved the contact to another lead: the second sees where.
        return f"PERFORM search_mark(ARRAY({lead.format(rows)}));\n    " * (2 if "contact_id" in lead else 1)

    return "\n".join(
        [
            _trigger(f"{name}_added", mark("added"), _INSERTED.format(table)),
            _trigger(
                f"{name}_updated",
                mark("(SELECT OLD.* UNION ALL SELECT NEW.*)"),
                _UPDATED.format(columns, table, _differs(*columns.split(", "))),
            ),
            _trigger(f"{name}_removed", mark("removed"), _DELETED.format(table)),
        ]
    )


_LEADS = "\n".join(
    [
        _trigger(
            "search_lead_added",
            f"""
    INSERT INTO search_leadwords SELECT id, {_STALE} FROM added;
    {_NOTE.format("SELECT pg_current_xact_id() WHERE EXISTS (SELECT FROM added)")};""",
            _INSERTED.format("crm_lead"),
        ),
        _trigger(
            "search_lead_updated",
            f"""
    IF NOT ({_differs("name", "description", "url")}) THEN
        wordless := ARRAY(SELECT key FROM search_wordlesskey WHERE organization_id = NEW.organization_id);
        IF OLD.custom - wordless = NEW.custom - wordless THEN RETURN NULL; END IF;
    END IF;
    PERFORM search_mark(ARRAY[NEW.id]);""",
            _UPDATED.format(_LEAD_COLUMNS, "crm_lead", _differs(*_LEAD_COLUMNS.split(", "))),
            declared="DECLARE\n    wordless text[];\n",
        ),
        _trigger(
            "search_lead_removed",
            "DELETE FROM search_leadwords WHERE lead_id IN (SELECT id FROM removed);",
            _DELETED.format("crm_lead"),
        ),
        _trigger("search_lead_emptied", "DELETE FROM search_leadwords;", "AFTER TRUNCATE ON crm_lead"),
    ]
)
_DIRECTLY = "SELECT lead_id FROM {} AS row WHERE lead_id IS NOT NULL"
_BY_CONTACT = "SELECT contact.lead_id FROM {} AS row JOIN crm_contact AS contact ON contact.id = row.contact_id"
_OTHERS = "\n".join(
    [
        _kept("crm_contact", "lead_id, name, first_name, last_name, title, custom", _DIRECTLY),
        _kept("crm_address", f"lead_id, {_ADDRESS}", _DIRECTLY),
        *(_kept(table, f"contact_id, {column}", _BY_CONTACT) for table, column in _DETAILS.items()),
    ]
)
_FIELDS = _trigger(
    "search_customfield_added",
    f"""
    INSERT INTO search_wordlesskey
    SELECT organization_id, drover_key(id) FROM added WHERE type NOT IN ({_WORDY_TYPES});""",
    _INSERTED.format("crm_customfield"),
)

_FILL = f"""
INSERT INTO search_wordlesskey
SELECT organization_id, drover_key(id) FROM crm_customfield WHERE type NOT IN ({_WORDY_TYPES});
INSERT INTO search_leadwords SELECT * FROM search_words_of(ARRAY(SELECT id FROM crm_lead));
CREATE INDEX search_leadwords_words ON search_leadwords USING gin (words);
"""

_DELETED_FIELDS = """
CREATE TABLE search_deletedkey (organization_id uuid, key text COLLATE "C", PRIMARY KEY (organization_id, key));
COMMENT ON TABLE search_deletedkey IS
    'Keys of deleted custom fields that held texts. Records, and so the index, may still hold some of those.';
""" + _trigger(
    "search_customfield_removed",
    f"""
    INSERT INTO search_deletedkey
    SELECT organization_id, drover_key(id) FROM removed WHERE type IN ({_WORDY_TYPES})
    ON CONFLICT DO NOTHING;""",
    _DELETED.format("crm_customfield"),
)
# Contacts with a name typed and parts of one: the index held both, and texts are only looked at for the first.
_TWICE_NAMED = """
SELECT search_mark(ARRAY(
    SELECT lead_id FROM crm_contact WHERE name <> '' AND concat(first_name, last_name) <> '' AND lead_id IS NOT NULL));
"""
# A word that is not among the most frequent is taken to be half as frequent as the last of those: at the usual 100, a
# thousand leads of a million. Plans for "the first hundred" then walk through all leads.
_STATISTICS = "ALTER TABLE search_leadwords ALTER words SET STATISTICS 2000;"

CREATE = "\n".join([_FUNCTIONS, _TABLES, _REFRESH, _FILL, _FIELDS, _LEADS, _OTHERS])

_FUNCTION_NAMES = (
    "drover_lexemes(text)",
    "drover_lexemes_of_any(text)",
    "drover_key(uuid)",
    "search_words_of(uuid[])",
    "search_mark(uuid[])",
)
_TRIGGERS = re.findall(r"FUNCTION (\w+\(\)) RETURNS trigger", CREATE)
# With its function goes a trigger.
DROP = "\n".join(f"DROP FUNCTION {name} CASCADE;" for name in (*_TRIGGERS, *_FUNCTION_NAMES))
DROP += "DROP TABLE search_leadwords, search_refreshing, search_wordlesskey;"

# What migration 0004 makes of that: the same, faster, and able to say where it is exact.
IMPROVE = "\n".join([_FUNCTIONS, _WORDS_OF, _LEADS, _DELETED_FIELDS, _TWICE_NAMED, _STATISTICS])
WORSEN = "DROP FUNCTION search_customfield_removed() CASCADE; DROP TABLE search_deletedkey;"
# What migration 0007 makes of that: one call at commit instead of one for each lead, and a third of its time.
HASTEN = "\n".join(
    [
        _FUNCTIONS,
        _REFRESH,
        _LEADS,
        "DROP TRIGGER IF EXISTS search_refresh ON search_leadwords;",
        "DROP FUNCTION IF EXISTS search_custom(jsonb, uuid);",
    ]
)
