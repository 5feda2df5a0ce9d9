"""How large a file may be, and each part of it."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class Limits:
    """Characters of a row are those in the file, quotes and delimiters included; of XLSX those of its cells."""

    file_bytes: int
    rows: int
    columns: int
    cell_characters: int
    row_characters: int
    json_line_bytes: int
    zip_entries: int
    zip_ratio: int
    unzipped_bytes: int


def limits_of_settings() -> Limits:
    return Limits(
        file_bytes=settings.FILE_MAX_BYTES,
        rows=settings.FILE_MAX_ROWS,
        columns=settings.FILE_MAX_COLUMNS,
        cell_characters=settings.FILE_MAX_CELL_CHARACTERS,
        row_characters=settings.FILE_MAX_ROW_CHARACTERS,
        json_line_bytes=settings.FILE_MAX_JSON_LINE_BYTES,
        zip_entries=settings.FILE_MAX_ZIP_ENTRIES,
        zip_ratio=settings.FILE_MAX_ZIP_RATIO,
        unzipped_bytes=settings.FILE_MAX_UNZIPPED_BYTES,
    )
