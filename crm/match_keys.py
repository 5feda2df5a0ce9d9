"""What two addresses or two telephone numbers have in common when they mean the same (gomega-api.md 6).

SQL functions, made by migration 0030 and used by indexes: the form that is compared is made in one place, by the
database. Both are null for what can match nothing.
"""

from django.db.models import Func, TextField

# PG_UNICODE_FAST folds whole ("ß" is "ss"), whatever locale the database has. An index holds no text of any length.
CREATE = r"""
CREATE OR REPLACE FUNCTION drover_email_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN length(value) <= 254
            THEN nullif(casefold(btrim(value, E' \t\r\n\f\v') COLLATE "pg_unicode_fast"), '') END;
COMMENT ON FUNCTION drover_email_key(text) IS 'The form in which mail addresses are matched: trimmed, case folded.';

CREATE OR REPLACE FUNCTION drover_phone_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (regexp_match(
    regexp_replace(normalize(split_part(left(value, 100), ';', 1), NFKC) COLLATE "C", '[^0-9]+', '', 'g'),
    '[0-9]{10}$'))[1];
COMMENT ON FUNCTION drover_phone_key(text) IS
    'The form in which telephone numbers are matched: the last ten digits, the extension aside; null for fewer.';
"""

DROP = """
DROP FUNCTION drover_phone_key(text);
DROP FUNCTION drover_email_key(text);
"""


class EmailKey(Func):
    function = "drover_email_key"
    arity = 1
    output_field = TextField()


class PhoneKey(Func):
    function = "drover_phone_key"
    arity = 1
    output_field = TextField()
