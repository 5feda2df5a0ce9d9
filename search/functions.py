"""The SQL functions that text conditions use, as migration 0001 makes them. All are immutable: indexes may use them."""

from search.unicode_ranges import LETTERS_AND_DIGITS, MARKS, regex_class

_LETTERS = regex_class(LETTERS_AND_DIGITS)
_MARKS = regex_class(MARKS)
# What lies between words: something that is no word character (or the start), and all that follows up to a letter or
# digit. Marks that follow no letter are dropped with it.
_GAP = f"(?:^|[^{_LETTERS}{_MARKS}])[^{_LETTERS}]*"
# Most texts are ASCII: those need no normal form, and a class of two ranges takes a third of the time.
_IS_ASCII = "octet_length(value) = length(value)"

CREATE = f"""
CREATE OR REPLACE FUNCTION drover_fold(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(CASE WHEN {_IS_ASCII} OR value IS NFC NORMALIZED THEN value ELSE normalize(value, NFC) END
             COLLATE "pg_c_utf8");
COMMENT ON FUNCTION drover_fold(text) IS 'The form in which texts are compared: NFC, simple lower case.';

CREATE OR REPLACE FUNCTION drover_words(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_remove(
    CASE WHEN {_IS_ASCII} THEN regexp_split_to_array(lower(value COLLATE "pg_c_utf8"), '[^a-z0-9]+')
         ELSE regexp_split_to_array(drover_fold(value), '{_GAP}') END, '');
COMMENT ON FUNCTION drover_words(text) IS 'The words of a text, in order.';

CREATE OR REPLACE FUNCTION drover_says(value text, patterns text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 50 AS $$
BEGIN
    RETURN (' ' || array_to_string(drover_words(value), ' ') || ' ') COLLATE "C" LIKE ALL (patterns);
END $$;
COMMENT ON FUNCTION drover_says(text, text[]) IS
    'Whether the words of a text, with a space around each, fit all patterns. A function that the planner cannot look
into: it takes a bare LIKE for free and next to never true, and then goes through a table row by row.';

CREATE OR REPLACE FUNCTION drover_has_phrase(words text[], phrase text[], inside boolean[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN EXISTS (
    SELECT FROM generate_series(0, cardinality(words) - cardinality(phrase)) AS start
    WHERE NOT EXISTS (
        SELECT FROM generate_subscripts(phrase, 1) AS i
        WHERE NOT CASE WHEN inside[i] THEN strpos(words[start + i] COLLATE "C", phrase[i]) > 0
                       ELSE words[start + i] COLLATE "C" = phrase[i] END
    )
);
COMMENT ON FUNCTION drover_has_phrase(text[], text[], boolean[]) IS
    'Whether the words hold the phrase, adjacent and in order; where `inside` is true, as a part of a word.';

CREATE OR REPLACE FUNCTION drover_custom_texts(custom jsonb, keys text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(
    SELECT item #>> '{{}}'
    FROM jsonb_each(custom) AS field (key, value),
         jsonb_array_elements(
             CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE jsonb_build_array(value) END
         ) AS item
    WHERE key COLLATE "C" = ANY (keys)
);
COMMENT ON FUNCTION drover_custom_texts(jsonb, text[]) IS 'The values of those custom fields, one by one.';
"""

DROP = """
DROP FUNCTION drover_custom_texts(jsonb, text[]);
DROP FUNCTION drover_has_phrase(text[], text[], boolean[]);
DROP FUNCTION drover_says(text, text[]);
DROP FUNCTION drover_words(text);
DROP FUNCTION drover_fold(text);
"""
