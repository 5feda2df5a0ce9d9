"""The columns of an exported table (CSV, XLSX), and its rows: read by the keys of one part of the job at a time, in the
job's order."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from uuid import UUID

from django.db import connection

from bulk_actions.export_tables import ADDRESS, TABLES, Table
from bulk_actions.models import BulkAction
from crm.api.close.showing import custom_fields_of
from crm.custom_values import Stored, show_value
from crm.files.values import DateFormat
from crm.ids import close_id
from crm.models import CustomField, FieldType
from crm.text import composed

_CUSTOM = "custom."
_OF_FEW = ("stat", "pipe", "user")  # of which an organization has few: their ids are spelled once
_shared_id = lru_cache(maxsize=1_000)(close_id)
_MOMENTS = ("date_created", "date_updated")
_READ_DATES = {FieldType.DATE: date.fromisoformat, FieldType.DATETIME: datetime.fromisoformat}


def _custom_header(fields: Mapping[str, CustomField]) -> dict[str, str]:
    """What the column of each field is called, by its key: `custom.<name>`; by its id where two have the same name, or
    where the name looks like an id."""
    n_called = Counter(composed(field.name) for field in fields.values())
    return {
        key: _CUSTOM + (field.name if n_called[composed(field.name)] == 1 and field.name[:3] != "cf_" else f"cf_{key}")
        for key, field in fields.items()
    }


class Reader:
    """Reads the chosen columns of an export. What its fields are is fixed when it is made."""

    def __init__(self, action: BulkAction) -> None:
        self._action, self._table = action, TABLES[str(action.params["type"]), action.target]
        self._dates = DateFormat(action.params["date_format"])
        self._fields = custom_fields_of(action.organization_id, self._table.custom)
        self.header = _header(
            action.params["fields"],
            self._table,
            self._fields,
            with_addresses=bool(action.params["include_addresses"]),
        )
        by_header = {header: key for key, header in _custom_header(self._fields).items()}
        by_name = {**_custom_ids(self._fields), **by_header}
        self._custom_keys = {name: by_name[name] for name in self.header if name.startswith(_CUSTOM)}
        columns = {column.name: column for column in self._table.columns}
        # None: the place of a custom field.
        self._columns = [columns[name] if name not in self._custom_keys else None for name in self.header]
        self._moments = [place for place, name in enumerate(self.header) if name in _MOMENTS]
        selected = ["NULL" if column is None else column.sql for column in self._columns]
        for place in self._moments:  # without a zone the driver reads them in a tenth of the time
            selected[place] += " AT TIME ZONE 'UTC'"
        joins = {column.join for column in self._columns if column is not None}
        self._sql = f"""
            SELECT {", ".join([*selected, "row.custom" if self._custom_keys else "NULL"])}
            FROM unnest(%(keys)s::uuid[]) WITH ORDINALITY AS target(key, place)
            {self._table.rows}
            {" ".join(sql for name, sql in self._table.joins.items() if name in joins)}
            WHERE {self._table.where} ORDER BY {self._table.order}
        """

    @property
    def phones(self) -> list[int]:
        return [place for place, name in enumerate(self.header) if name in self._table.phones]

    def rows(self, keys: Sequence[UUID]) -> Iterator[list[object]]:
        asked = {
            "keys": f"{{{','.join(key.hex for key in keys)}}}",
            "organization": self._action.organization_id,
            "currency": self._action.organization.currency,
        }
        with connection.cursor() as cursor:
            cursor.execute(self._sql, asked)
            found = cursor.fetchall()
        ids = [
            (place, _shared_id if column.prefix in _OF_FEW else close_id, column.prefix)
            for place, column in enumerate(self._columns)
            if column is not None and column.prefix is not None
        ]
        custom_fields = [
            (place, key, _show(self._fields[key], self._dates))
            for place, name in enumerate(self.header)
            if (key := self._custom_keys.get(name)) is not None
        ]
        for *cells, custom in found:
            for place, spell, prefix in ids:
                if cells[place] is not None:
                    cells[place] = spell(prefix, cells[place])
            for place in self._moments:
                cells[place] = cells[place].replace(tzinfo=UTC)
            if custom_fields:
                stored = json.loads(custom)
                for place, key, show in custom_fields:
                    if key in stored:
                        cells[place] = show(stored[key])
            yield cells


def _show(field: CustomField, dates: DateFormat) -> Callable[[Stored], object]:
    """How stored values of the field become cells. Dates are stored as they are written by `ORIGINAL`."""
    read = _READ_DATES.get(field.type)
    if read is None or dates is DateFormat.ORIGINAL:
        return partial(show_value, field)
    return lambda stored: [read(one) for one in stored] if isinstance(stored, list) else read(stored)


def known_columns(type: str, organization_id: UUID) -> set[str]:
    """What `fields` of an export of that type may name."""
    table = next(table for (rows, _), table in TABLES.items() if rows == type)
    custom = custom_fields_of(organization_id, table.custom)
    return {*(column.name for column in table.columns), *_custom_header(custom).values(), *_custom_ids(custom)}


def _custom_ids(custom: Mapping[str, CustomField]) -> dict[str, str]:
    return {f"{_CUSTOM}cf_{key}": key for key in custom}


def _header(
    fields: Sequence[str] | None, table: Table, custom: Mapping[str, CustomField], *, with_addresses: bool
) -> list[str]:
    """The `fields` that were asked for and are there still, or all."""
    known = [column.name for column in table.columns]
    headers = list(_custom_header(custom).values())
    if fields is not None:
        return [name for name in fields if name in {*known, *headers, *_custom_ids(custom)}]
    left_out = {column.name for column in table.columns if column.on_request}
    left_out |= set() if with_addresses else {column.name for column in ADDRESS}
    return [name for name in known if name not in left_out] + headers
