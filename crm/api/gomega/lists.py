"""`GET /leads`: which leads, in which order, and where the page begins (gomega-api.md 5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, F, Func, Max, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.lookups import Contains, Exact
from django.http import QueryDict

from crm.api.gomega import cursors
from crm.api.gomega.cursors import Place
from crm.api.gomega.dates import read_moment
from crm.errors import FieldErrors
from crm.ids import parse_uuid
from crm.leads import leads_of
from crm.match_keys import PhoneKey
from crm.models import Activity, Contact, ContactEmail, ContactPhone, Lead, LeadStatus, Lifecycle

DEFAULT_LIMIT, MOST = 20, 100
MAX_OFFSET = 1_000_000
LONGEST_SEARCH = 200  # characters
LINES = ("buyer", "seller")
_COLUMNS = {"created_at": "date_created", "updated_at": "date_updated", "last_interaction_at": "last_interaction"}
SORTS = tuple(_COLUMNS)
DIRECTIONS = ("asc", "desc")
_KEYED = ("created_at", "updated_at")
# Digits, and what people write between them.
_PHONE = re.compile(r"[0-9０-９+()\-‐－./\s]+")
_FEWEST_DIGITS = 3  # of a telephone number in a search
_WHOLE_NUMBER = 10  # digits; so many are compared as for duplicates, by an index


@dataclass(frozen=True)
class Page:
    """A page as asked for. `leads` are all that the filter finds; `after` (of a cursor) is where the page begins."""

    leads: QuerySet[Lead]
    organization_id: UUID
    sort_by: str
    direction: str
    limit: int
    offset: int
    after: Place | None
    with_custom: bool

    def rows(self) -> tuple[list[Lead], str | None]:
        """The leads of the page, and the cursor behind it: None at the end, and where the sort knows no cursor."""
        rows = list(self._ordered()[self.offset : self.offset + self.limit + 1])
        page, more = rows[: self.limit], len(rows) > self.limit
        if not more or self.sort_by not in _KEYED:
            return page, None
        place = Place(getattr(page[-1], _COLUMNS[self.sort_by]), page[-1].pk)
        return page, cursors.sign(
            place, organization_id=self.organization_id, sort_by=self.sort_by, direction=self.direction
        )

    def _ordered(self) -> QuerySet[Lead]:
        column, is_descending = _COLUMNS[self.sort_by], self.direction == "desc"
        leads = self.leads
        if self.sort_by not in _KEYED:
            last = Activity.objects.filter(lead=OuterRef("pk")).order_by().values("lead")
            leads = leads.annotate(last_interaction=Subquery(last.annotate(at=Max("activity_at")).values("at")))
            order = F(column).desc(nulls_last=True) if is_descending else F(column).asc(nulls_last=True)
            return leads.order_by(order, "-pk" if is_descending else "pk")
        if self.after is not None:
            side = "lt" if is_descending else "gt"
            behind = Q(**{f"{column}__{side}": self.after.moment})
            behind |= Q(**{column: self.after.moment, f"pk__{side}": self.after.key})
            leads = leads.filter(behind, **{f"{column}__{side}e": self.after.moment})  # the second for indexes
        sign = "-" if is_descending else ""
        return leads.order_by(f"{sign}{column}", f"{sign}pk")


def read_page(query: QueryDict, organization_id: UUID) -> Page:
    """What the parameters ask for; a parameter without text is as none. Raises `FieldErrors` with all that is wrong."""
    reader = _Reader(query)
    sort_by = reader.word("sort_by", SORTS) or "updated_at"
    direction = reader.word("sort_dir", DIRECTIONS) or "asc"
    leads = leads_of(organization_id).filter(reader.filters(organization_id))
    page = Page(
        leads=leads,
        organization_id=organization_id,
        sort_by=sort_by,
        direction=direction,
        limit=reader.number("limit", 1, MOST, DEFAULT_LIMIT),
        offset=reader.number("offset", 0, MAX_OFFSET, 0),
        after=reader.cursor(organization_id, sort_by, direction),
        with_custom=reader.word("include_custom_fields", ("true", "false")) == "true",
    )
    reader.close()
    return page


class _Reader:
    """Reads parameters and collects what is wrong with them."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query
        self._problems: dict[str, object] = {}

    def close(self) -> None:
        if self._problems:
            raise FieldErrors(self._problems)

    def word(self, name: str, words: tuple[str, ...]) -> str | None:
        text = self._text(name)
        if text and text not in words:
            self._problems[name] = f"must be one of {', '.join(words)}"
        return text if text in words else None

    def number(self, name: str, lowest: int, highest: int, default: int) -> int:
        text = self._text(name)
        if not text:
            return default
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) and lowest <= int(text) <= highest:
            return int(text)
        self._problems[name] = f"must be a whole number from {lowest} to {highest}"
        return default

    def cursor(self, organization_id: UUID, sort_by: str, direction: str) -> Place | None:
        text = self._text("cursor")
        if not text:
            return None
        if sort_by not in _KEYED:
            self._problems["cursor"] = f"works only with sort_by {' or '.join(_KEYED)}"
            return None
        if self._text("offset") not in ("", "0"):
            self._problems["cursor"] = "cannot be used together with offset"
            return None
        try:
            return cursors.read(text, organization_id=organization_id, sort_by=sort_by, direction=direction)
        except FieldErrors as problem:
            self._problems |= problem.field_errors
            return None

    def filters(self, organization_id: UUID) -> Q:
        wanted = Q()
        if status := self.word("status", tuple(Lifecycle.values)):
            wanted &= Q(lifecycle=status)
        if line := self.word("lead_line", LINES):
            wanted &= Q(lead_line=line)
        if stage := self._text("stageId"):
            key = parse_uuid(stage)
            if key is None or not LeadStatus.objects.filter(organization=organization_id, pk=key).exists():
                self._problems["stageId"] = "no such stage"
            wanted &= Q(status_id=key)
        for name, column in (("created_since", "date_created"), ("updated_since", "date_updated")):
            if moment := self._moment(name):
                wanted &= Q(**{f"{column}__gte": moment})
        search = self._text("search")
        if len(search) > LONGEST_SEARCH:
            self._problems["search"] = f"must have at most {LONGEST_SEARCH} characters"
        elif search:
            wanted &= _search(search, organization_id)
        return wanted

    def _moment(self, name: str) -> datetime | None:
        text = self._text(name)
        if not text:
            return None
        try:
            # An unescaped "+" before an offset has arrived as a blank.
            return read_moment(text.replace(" ", "+") if text.count("T") and " " in text else text, path=name)
        except FieldErrors as problem:
            self._problems |= problem.field_errors
            return None

    def _text(self, name: str) -> str:
        text = self._query.get(name, "").strip()
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            self._problems[name] = "contains characters that cannot be stored"
            return ""
        return text


class _Digits(Func):
    template = "regexp_replace(normalize(%(expressions)s, NFKC), '[^0-9]+', '', 'g')"
    output_field = TextField()


def _search(text: str, organization_id: UUID) -> Q:
    """Leads whose person has that in the name, the address or the phone; of phones only the digits are compared."""
    contacts = Contact.objects.filter(organization_id=organization_id)
    emails = ContactEmail.objects.filter(organization_id=organization_id, email__icontains=text)
    named = Q(name__icontains=text) | Q(first_name__icontains=text) | Q(last_name__icontains=text)
    found = named | Exists(emails.filter(contact=OuterRef("pk")))
    of_lead = Q(name__icontains=text) | Q(email__icontains=text)  # a company without any person
    digits = "".join(str(int(c)) for c in text if c.isdecimal()) if _PHONE.fullmatch(text) else ""
    if len(digits) >= _FEWEST_DIGITS:
        phones = ContactPhone.objects.filter(_same_digits("phone", digits), organization_id=organization_id)
        found |= Exists(phones.filter(contact=OuterRef("pk")))
        of_lead |= Q(_same_digits("phone", digits))
    return of_lead | Exists(contacts.filter(found, lead=OuterRef("pk")))


def _same_digits(column: str, digits: str) -> Contains | Exact:
    if len(digits) >= _WHOLE_NUMBER:
        return Exact(PhoneKey(column), digits[-_WHOLE_NUMBER:])
    # A number is kept in its international form, without the zero that people dial at home.
    return Contains(_Digits(column), digits.lstrip("0") or digits)
