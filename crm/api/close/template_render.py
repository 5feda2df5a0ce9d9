"""`/email_template/{id}/render/`: a mail as it would be sent (close-api.md 2.7, 4.7).

It is made for a lead and a contact, or for one of those that a search finds. Searches belong to a package above this
one, which registers here how they find somebody.
"""

from collections.abc import Callable

from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, pick_fields
from crm.api.close.openapi import FIELDS, describe, query_text
from crm.api.close.showing import shown_id
from crm.api.close.template_schemas import RenderedAnswer
from crm.contacts import contacts_of
from crm.errors import FieldErrors, NotFound
from crm.ids import parse_close_id
from crm.leads import leads_of
from crm.mail.contexts import Context, addressed, context_of_lead, contexts_of
from crm.mail.recipients import Addressee, Preference, of_contacts, of_leads
from crm.mail.render import TemplateProblem, render_context
from crm.models import EmailTemplate, Undefined
from crm.templates import email_templates_for

# The addressee of the mail with that number in a bulk email to what the request's search finds.
FindEntry = Callable[[CloseRequest], Addressee]
_registered: list[FindEntry] = []
GONE = "Object does not exist."

_PARAMETERS = [
    query_text("lead_id", "A lead. Without `contact_id` the mail is to its first contact with an address."),
    query_text("contact_id", "A contact, of that lead if one is given."),
    query_text("s_query", "In place of both: a search as JSON, as a bulk email takes it."),
    query_text("query", "In place of `s_query`: a one-line query, see docs/search.md."),
    query_text("sort", "Of the search: a list as JSON."),
    query_text("results_limit", "Of the search: how many of what it finds count."),
    query_text("entry", "Which mail of a bulk email to what the search finds: 0 (the first) to 100."),
    query_text("contact_preference", "`lead`, `contact` or `all`, as in a bulk email."),
    query_text("bulk_object_type", "`lead` or `contact`: what the search finds."),
]


def register_entries(find: FindEntry) -> None:
    _registered[:] = [find]


class EmailTemplateRenderView(CloseView):
    @describe(
        "email_template_render",
        "Gives a mail as it would be sent. Nothing is sent.",
        answer=RenderedAnswer,
        query=[*_PARAMETERS, FIELDS],
    )
    def get(self, request: CloseRequest, id: str) -> Response:
        caller = request.caller
        template = email_templates_for(caller).filter(pk=parse_close_id("tmpl", id)).first()
        if template is None:
            raise NotFound
        given = request.query_params
        if given.get("s_query") or given.get("query"):
            found = _registered[0](request)
            contexts = contexts_of([found.contact_id], user=caller.user, organization=caller.organization)
            return self.answer(template, contexts[found.contact_id], found)
        return self._one(template, request)

    def _one(self, template: EmailTemplate, request: CloseRequest) -> Response:
        """For the lead, the contact, or both, of the request."""
        caller = request.caller
        problems = {}
        lead = contact = None
        if lead_id := request.query_params.get("lead_id"):
            lead = leads_of(caller.organization.pk).filter(pk=parse_close_id("lead", lead_id)).first()
            if lead is None:
                problems["lead_id"] = GONE
        if contact_id := request.query_params.get("contact_id"):
            contacts = contacts_of(caller.organization.pk)
            contact = contacts.filter(pk=parse_close_id("cont", contact_id)).first()
            if contact is None or (lead is not None and contact.lead_id != lead.pk):
                problems["contact_id"] = GONE
        if not lead_id and not contact_id:
            problems["lead_id"] = "Give lead_id, contact_id, or a search (s_query)."
        if problems:
            raise FieldErrors(problems)
        if contact is not None:
            found = of_contacts([contact.pk], Preference.CONTACT)
            key, address = contact.pk, found[0].address if found else None
            contexts = contexts_of([key], user=caller.user, organization=caller.organization)
            return self.answer(template, contexts[key], Addressee(contact.lead_id, key, address))
        assert lead is not None  # or there would have been a problem
        if found := of_leads([lead.pk], Preference.LEAD):
            contexts = contexts_of([found[0].contact_id], user=caller.user, organization=caller.organization)
            return self.answer(template, contexts[found[0].contact_id], found[0])
        context = context_of_lead(lead, user=caller.user, organization=caller.organization)
        return self.answer(template, context, Addressee(lead.pk, None, None))

    def answer(self, template: EmailTemplate, context: Context, to: Addressee) -> Response:
        # No mail asks for it yet: the link names the address alone, and works.
        context = addressed(context, to.address, organization=self.request.caller.organization, source_id=None)
        made = render_context(template, context)
        problems = []
        if isinstance(made, TemplateProblem):
            problems.append(made.message)
            # So that one sees where something is missing.
            template.undefined = Undefined.BLANK
            made = render_context(template, context)
        texts = (None, None, None) if isinstance(made, TemplateProblem) else (made.subject, made.html, made.text)
        shown = {
            **dict(zip(("subject", "body", "body_text"), texts, strict=True)),
            "email": to.address,
            "contact_id": shown_id("cont", to.contact_id),
            "contact_display_name": _name(context["contact"]),
            "lead_id": shown_id("lead", to.lead_id),
            "lead_display_name": _name(context["lead"]),
            "problems": problems,
        }
        return Response(pick_fields(shown, self.fields))


def _name(record: object) -> str | None:
    return str(record) or None
