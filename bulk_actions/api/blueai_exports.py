"""`/crm/bulk/{deals,contacts,companies}/export` (blueai-api.md 6.4): all records as CSV, while they are read.

Page by page, each from behind the last row of the one before, and no transaction open in between: a reader that is slow
holds nothing back.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.http import StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes

from crm.api.blueai.companies import one_line
from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, moment, shown_id
from crm.api.blueai.openapi import describe
from crm.api.close.openapi import query_text
from crm.contacts import split_texts
from crm.files.encoders import CsvEncoder, Guard
from crm.models import Permission

_FIRST_PAGE = 500  # rows: soon there
_PAGE = 5_000

Row = Sequence[object]


@dataclass(frozen=True)
class _Export:
    """One kind. `columns` are selected from the rows of `table`, called `row`, with `joins`; `cells` makes a line of
    them, behind the row's date and key. Rows that are not `live` are passed over in the index, others that are not
    `seen` when they were read.
    """

    header: tuple[str, ...]
    phones: tuple[str, ...]
    table: str
    row: str
    columns: str
    joins: str
    cells: Callable[[Row], Row]
    live: str = "true"
    seen: str = "true"


def _name(name: str | None, first_name: str | None, last_name: str | None) -> str:
    """A person as they are called in Japan: last name, first name."""
    first, last = split_texts(name, first_name, last_name)
    return f"{last} {first}".strip()


def _deal(row: Row) -> Row:
    made, key, name, company, person, first, last, lead, contact, value, stage, closing, member, changed = row
    return (
        shown_id("deal", key), name or company, company or _name(person, first, last), shown_id("comp", lead),
        shown_id("cont", contact), value, stage, closing, shown_id("usr", member), moment(made), moment(changed),
    )  # fmt: skip


def _contact(row: Row) -> Row:
    made, key, lead, name, first, last, email, phone, title, note, changed = row
    return (
        shown_id("cont", key), shown_id("comp", lead), _name(name, first, last), email, phone, title, note,
        moment(made), moment(changed),
    )  # fmt: skip


def _company(row: Row) -> Row:
    made, key, *texts, postal_code, state, city, address_1, address_2, phone, email, notes, changed = row
    address = one_line(state, city, address_1, address_2)
    return (shown_id("comp", key), *texts, postal_code, address, phone, email, notes, moment(made), moment(changed))


_DEALS = _Export(
    header=(
        "id", "name", "customer_name", "company_id", "contact_id", "amount", "stage", "expected_close_date",
        "assigned_member_id", "created_at", "updated_at",
    ),
    phones=(),
    table="crm_opportunity",
    row="deal",
    columns="""
        deal.name, lead.name, contact.name, contact.first_name, contact.last_name,
        deal.lead_id, deal.contact_id, round(deal.value / 100.0)::bigint, status.slug,
        deal.expected_close_date, deal.user_id, deal.date_updated
    """,
    joins="""
        JOIN crm_opportunitystatus AS status ON status.id = deal.status_id
        LEFT JOIN LATERAL (SELECT * FROM crm_lead WHERE id = deal.lead_id LIMIT 1) AS lead ON true
        LEFT JOIN LATERAL (SELECT * FROM crm_contact WHERE id = deal.contact_id LIMIT 1) AS contact ON true
    """,
    seen="deal.deleted_at IS NULL AND lead.deleted_at IS NULL",
    cells=_deal,
)  # fmt: skip
_CONTACTS = _Export(
    header=("id", "company_id", "name", "email", "phone", "position", "notes", "created_at", "updated_at"),
    phones=("phone",),
    table="crm_contact",
    row="contact",
    columns="""
        contact.lead_id, contact.name, contact.first_name, contact.last_name,
        (SELECT email FROM crm_contactemail AS detail
         WHERE detail.contact_id = contact.id ORDER BY position, id LIMIT 1),
        (SELECT phone FROM crm_contactphone AS detail
         WHERE detail.contact_id = contact.id ORDER BY position, id LIMIT 1),
        contact.title, contact.note, contact.date_updated
    """,
    joins="LEFT JOIN LATERAL (SELECT * FROM crm_lead WHERE id = contact.lead_id LIMIT 1) AS lead ON true",
    seen="lead.deleted_at IS NULL",
    cells=_contact,
)
_COMPANIES = _Export(
    header=(
        "id", "name", "name_kana", "department", "industry", "employee_count", "website_url", "postal_code", "address",
        "phone", "email", "notes", "created_at", "updated_at",
    ),
    phones=("phone",),
    table="crm_lead",
    row="lead",
    columns="""
        lead.name, lead.name_kana, lead.department, lead.industry, lead.employee_count, lead.url, address.zipcode,
        address.state, address.city, address.address_1, address.address_2, lead.phone, lead.email, lead.description,
        lead.date_updated
    """,
    joins="""
        LEFT JOIN LATERAL (
            SELECT * FROM crm_address WHERE lead_id = lead.id ORDER BY position, id LIMIT 1) AS address ON true
    """,
    live="deleted_at IS NULL",
    cells=_company,
)  # fmt: skip


# The page first, by the index of date and key; only then what belongs to its rows, looked up row by row (LATERAL with a
# LIMIT). In one query the planner takes the joins for the smaller part, and reads and sorts whole tables for each page.
_PAGE_OF = """
    WITH page AS MATERIALIZED (
        SELECT * FROM {table} WHERE organization_id = %(organization)s AND {live} {behind}
        ORDER BY date_created, id LIMIT %(size)s)
    SELECT {seen}, {row}.date_created, {row}.id, {columns}
    FROM page AS {row} {joins} ORDER BY {row}.date_created, {row}.id
"""


def _pages(export: _Export, organization_id: UUID) -> Iterator[list[Row]]:
    """Pages of rows as the database gives them, each with its date and key, in the order of these."""
    place: tuple[datetime, UUID] | None = None
    size = _FIRST_PAGE
    parts = {name: getattr(export, name) for name in ("table", "row", "live", "seen", "columns", "joins")}
    while True:
        behind = "" if place is None else "AND (date_created, id) > (%(made)s, %(key)s)"
        made, key = place or (None, None)
        with connection.cursor() as cursor:
            cursor.execute(
                _PAGE_OF.format(behind=behind, **parts),
                {"organization": organization_id, "made": made, "key": key, "size": size},
            )
            page = cursor.fetchall()
        yield [row for is_seen, *row in page if is_seen]
        if len(page) < size:
            return
        place, size = (page[-1][1], page[-1][2]), _PAGE


def _file(export: _Export, organization_id: UUID, *, raw: bool) -> Iterator[bytes]:
    guard = Guard([export.header.index(name) for name in export.phones], raw=raw)
    encoder = CsvEncoder(export.header, mark=True, guard=guard)
    yield encoder.start()
    for page in _pages(export, organization_id):
        rows: Iterable[Row] = map(export.cells, page)
        yield from encoder.encode(rows)
    yield encoder.end()


class _ExportView(BlueAIView):
    permissions = {"GET": Permission.EXPORT}

    def stream(self, export: _Export, name: str) -> StreamingHttpResponse:
        raw = self.request.query_params.get("raw") == "1"
        mark = "_raw" if raw else ""  # no file for a spreadsheet
        return StreamingHttpResponse(
            _file(export, self.organization.pk, raw=raw),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}_{self.today:%Y%m%d}{mark}.csv"',
                "X-Content-Type-Options": "nosniff",
            },
        )


_RAW = [query_text("raw", "`1`: texts that a spreadsheet takes for formulas stay as they are.")]


def _describe(name: str) -> Callable:
    return describe(
        f"bulk_{name}_export", f"Gives all {name} as CSV.", answer=OpenApiTypes.STR, query=_RAW, media_type="text/csv"
    )


class DealsExportView(_ExportView):
    @_describe("deals")
    def get(self, request: BlueAIRequest) -> StreamingHttpResponse:
        return self.stream(_DEALS, "deals")


class ContactsExportView(_ExportView):
    @_describe("contacts")
    def get(self, request: BlueAIRequest) -> StreamingHttpResponse:
        return self.stream(_CONTACTS, "contacts")


class CompaniesExportView(_ExportView):
    @_describe("companies")
    def get(self, request: BlueAIRequest) -> StreamingHttpResponse:
        return self.stream(_COMPANIES, "companies")


urlpatterns = [
    path("bulk/deals/export/", DealsExportView.as_view()),
    path("bulk/contacts/export/", ContactsExportView.as_view()),
    path("bulk/companies/export/", CompaniesExportView.as_view()),
]
