"""`/crm/companies` (blueai-api.md 3): leads, as this dialect sees them."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment
from crm.api.blueai.inputs import LONGEST_LINE, Body
from crm.api.blueai.lists import holding, listed, made_between, ordered, search_of
from crm.api.blueai.openapi import LIST_QUERY, ORDER_QUERY, SEARCH, describe, wrapped
from crm.api.blueai.openapi import listed as list_answer
from crm.errors import NotFound
from crm.ids import hex_id
from crm.leads import AddressDraft, LeadDraft, create_lead, leads_of, update_lead
from crm.models import Address, Lead

Shown = dict[str, object]
# Of one field under two names the first is answered, and either is taken.
_WEBSITE, _NOTE = ("website", "website_url"), ("note", "notes")
_TEXTS = {"phone": "phone", "industry": "industry", "name_kana": "name_kana", "department": "department"}
KEYS = ("name", *_WEBSITE, *_NOTE, *_TEXTS, "email", "address", "postal_code", "employee_count")
MOST_EMPLOYEES = 2**31 - 1
_SORTS = {"created_at": "date_created", "name": "name"}


def _text(**options: object) -> serializers.Field:
    return serializers.CharField(allow_null=True, **options)


class BlueAICompany(serializers.Serializer):
    object = serializers.CharField(required=False)
    id = serializers.CharField()
    name = serializers.CharField()
    website = _text()
    phone = _text()
    address = _text()
    industry = _text()
    email = _text()
    note = _text()
    name_kana = _text()
    department = _text()
    employee_count = serializers.IntegerField(allow_null=True)
    postal_code = _text()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class BlueAICompanyChange(serializers.Serializer):
    name = serializers.CharField(required=False)
    website = _text(required=False)
    website_url = _text(required=False, help_text="The same as `website`.")
    phone = _text(required=False)
    address = _text(required=False)
    industry = _text(required=False)
    email = _text(required=False)
    note = _text(required=False)
    notes = _text(required=False, help_text="The same as `note`.")
    name_kana = _text(required=False)
    department = _text(required=False)
    employee_count = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=MOST_EMPLOYEES)
    postal_code = _text(required=False)


class BlueAICompanyBody(BlueAICompanyChange):
    name = serializers.CharField()


ANSWER = wrapped("BlueAICompanyWrapped", "company", BlueAICompany)


def show_companies(leads: Sequence[Lead]) -> list[Shown]:
    rows = Address.objects.filter(lead__in=[lead.pk for lead in leads]).order_by("-position", "-id")
    addresses = {row.lead_id: row for row in rows}  # the first of each lead: it comes last
    return [_shown(lead, addresses.get(lead.pk)) for lead in leads]


def _shown(lead: Lead, address: Address | None) -> Shown:
    return {
        "id": hex_id("comp", lead.pk),
        "name": lead.name or "",
        "website": lead.url,
        "phone": lead.phone,
        "address": address_line(address),
        "industry": lead.industry,
        "email": lead.email,
        "note": lead.description,
        "name_kana": lead.name_kana,
        "department": lead.department,
        "employee_count": lead.employee_count,
        "postal_code": address.zipcode if address else None,
        "created_at": moment(lead.date_created),
        "updated_at": moment(lead.date_updated),
    }


def address_line(address: Address | AddressDraft | None) -> str | None:
    return None if address is None else one_line(address.state, address.city, address.address_1, address.address_2)


def one_line(*parts: str | None) -> str | None:
    """One line of an address that was written in parts, from the largest on."""
    return " ".join(part for part in parts if part) or None


class CompaniesView(BlueAIView):
    creates = True

    @describe(
        "company_list", "Lists the companies.", answer=list_answer("BlueAICompanyPage", BlueAICompany),
        query=[*LIST_QUERY, *ORDER_QUERY, SEARCH],
    )  # fmt: skip
    def get(self, request: BlueAIRequest) -> Response:
        rows = made_between(request, leads_of(self.organization.pk))
        if text := search_of(request):
            rows = rows.filter(holding(text, "name"))
        return listed(request, ordered(request, rows, _SORTS), show_companies, name="company")

    @describe("company_create", "Makes a company.", body=BlueAICompanyBody, answer=ANSWER, status=201)
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(KEYS))
        body.text("name", required=True)
        draft = _draft(body, None)
        lead = create_lead(organization=self.organization, by=request.caller.user, draft=draft)
        lead.refresh_from_db()
        return Response({"company": show_companies([lead])[0]}, status=201)


class CompanyView(BlueAIView):
    """A delete is a job: `bulk_actions.api.blueai` adds it, and serves this."""

    @describe("company_get", "Gives a company.", answer=ANSWER)
    def get(self, request: BlueAIRequest, id: str) -> Response:
        return self._answer(self._company(key_in_path("comp", id)))

    @describe("company_update", "Changes what is sent of a company.", body=BlueAICompanyChange, answer=ANSWER)
    def patch(self, request: BlueAIRequest, id: str) -> Response:
        key = key_in_path("comp", id)
        with transaction.atomic():
            self._company(key, held=True)
            body = Body(self.body_of(KEYS))
            if body.has("name"):
                body.text("name", required=True)
            draft = _draft(body, key)
            lead = update_lead(lead_id=key, organization=self.organization, by=request.caller.user, draft=draft)
        return self._answer(lead)

    def _company(self, key: UUID, *, held: bool = False) -> Lead:
        rows = leads_of(self.organization.pk)
        lead = (rows.select_for_update(no_key=True) if held else rows).filter(pk=key).first()
        if lead is None:
            raise NotFound
        return lead

    def _answer(self, lead: Lead) -> Response:
        return Response({"company": show_companies([lead])[0]})


def _draft(body: Body, lead_id: UUID | None) -> LeadDraft:
    """What the body says of a company, which has that key unless it is a new one."""
    texts: dict[str, object] = {}
    for key, column in (("name", "name"), *_TEXTS.items()):
        if body.has(key):
            texts[column] = body.text(key, limit=LONGEST_LINE)
    for names, column in ((_WEBSITE, "url"), (_NOTE, "description")):
        given = {name: body.text(name) for name in names if body.has(name)}
        if len(set(given.values())) > 1:
            body.problems[names[1]] = f"differs from {names[0]}, which is the same field"
        if given:
            texts[column] = next(iter(given.values()))
    if body.has("email"):
        texts["email"] = body.email("email")
    if body.has("employee_count"):
        texts["employee_count"] = body.whole("employee_count", 0, MOST_EMPLOYEES)
    addresses = _addresses(body, lead_id) if body.has("address") or body.has("postal_code") else None
    body.close()
    return LeadDraft(texts=texts, addresses=addresses)


def _addresses(body: Body, lead_id: UUID | None) -> list[AddressDraft]:
    """The addresses of the company with what the body says in the first. A line that reads as before changes none."""
    columns = list(AddressDraft.__dataclass_fields__)
    held = [AddressDraft(**row) for row in Address.objects.filter(lead=lead_id).values(*columns)] if lead_id else []
    first, others = (held[0], held[1:]) if held else (AddressDraft(), [])
    if body.has("address"):
        line = body.text("address", limit=LONGEST_LINE)
        if line != address_line(first):
            first = replace(first, address_1=line, address_2=None, city=None, state=None)
    if body.has("postal_code"):
        first = replace(first, zipcode=body.text("postal_code", limit=LONGEST_LINE))
    is_empty = first == AddressDraft(label=first.label)
    return others if is_empty and not others else [first, *others]


urlpatterns = [path("companies/", CompaniesView.as_view())]
