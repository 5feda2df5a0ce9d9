"""The embedded servers that this very test run uses, and what they do when their places are closed to them."""

from django.db import connection


def test_the_database_does_not_depend_on_the_locale_of_the_machine(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
        )
        assert cursor.fetchone() == ("b", "C.UTF-8", "UTF8")
