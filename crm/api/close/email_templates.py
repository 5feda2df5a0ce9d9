"""`/email_template/` (close-api.md 4.7)."""

from collections.abc import Sequence

from django.urls import path
from rest_framework.response import Response

from crm.api.close import template_schemas as schemas
from crm.api.close.conventions import CloseRequest, CloseView, Fields, close_datetime, paginate, pick_fields, wants
from crm.api.close.list_filters import read_flag
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page, query_text
from crm.api.close.showing import Shown, shown_id
from crm.api.close.template_render import EmailTemplateRenderView
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.models import EmailTemplate
from crm.templates import (
    create_email_template,
    delete_email_template,
    email_templates_for,
    sequences_of,
    update_email_template,
)

_FLAGS = ("is_archived", "is_shared")


def serialize_email_templates(templates: Sequence[EmailTemplate], fields: Fields) -> list[Shown]:
    used = sequences_of([one.pk for one in templates]) if wants(fields, "used_by_sequences") else {}
    return [
        pick_fields(
            {
                "id": close_id("tmpl", template.pk),
                "organization_id": close_id("orga", template.organization_id),
                "name": template.name,
                "subject": template.subject,
                "body": template.body,
                "body_text": template.text,
                "undefined": template.undefined,
                "cc": template.cc,
                "bcc": template.bcc,
                "attachments": template.attachments,
                "is_shared": template.is_shared,
                "is_archived": template.is_archived,
                "unsubscribe_link_id": None,
                "used_by_sequences": [
                    {"id": close_id("seq", sequence.pk), "name": sequence.name}
                    for sequence in used.get(template.pk, ())
                ],
                "last_used_at": close_datetime(template.last_used_at) if template.last_used_at else None,
                "user_id": shown_id("user", template.created_by_id),
                "created_by": shown_id("user", template.created_by_id),
                "updated_by": shown_id("user", template.updated_by_id),
                "date_created": close_datetime(template.date_created),
                "date_updated": close_datetime(template.date_updated),
            },
            fields,
        )
        for template in templates
    ]


class _TemplateView(CloseView):
    def answer(self, template: EmailTemplate) -> Response:
        return Response(serialize_email_templates([template], self.fields)[0])


class EmailTemplatesView(_TemplateView):
    @describe(
        "email_template_list",
        "Lists the caller's templates and the shared ones, by name.",
        answer=page("EmailTemplatePage", schemas.EmailTemplateAnswer),
        query=[*PAGING, FIELDS, *(query_text(name, "`true` or `false`.") for name in _FLAGS)],
    )
    def get(self, request: CloseRequest) -> Response:
        rows = email_templates_for(request.caller)
        for name in _FLAGS:
            if value := request.query_params.get(name):
                rows = rows.filter(**{name: read_flag(name, value)})
        return paginate(request, rows, lambda found: serialize_email_templates(found, self.fields))

    @describe(
        "email_template_create",
        "Makes a template. Its source is checked; the text part is made from the body.",
        body=schemas.EmailTemplateBody,
        answer=schemas.EmailTemplateAnswer,
        query=[FIELDS],
    )
    def post(self, request: CloseRequest) -> Response:
        return self.answer(create_email_template(caller=request.caller, properties=self.body))


class EmailTemplateView(_TemplateView):
    @describe("email_template_get", "Gives a template.", answer=schemas.EmailTemplateAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        template = email_templates_for(request.caller).filter(pk=parse_close_id("tmpl", id)).first()
        if template is None:
            raise NotFound
        return self.answer(template)

    @describe(
        "email_template_update",
        "Changes what is given of a template; archives and shares it.",
        body=schemas.EmailTemplateChanges,
        answer=schemas.EmailTemplateAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        key = parse_close_id("tmpl", id)
        return self.answer(update_email_template(caller=request.caller, template_id=key, properties=self.body))

    @describe("email_template_delete", "Deletes a template that no sequence uses.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_email_template(caller=request.caller, template_id=parse_close_id("tmpl", id))
        return Response({})


urlpatterns = [
    path("email_template/", EmailTemplatesView.as_view()),
    path("email_template/<str:id>/", EmailTemplateView.as_view()),
    path("email_template/<str:id>/render/", EmailTemplateRenderView.as_view()),
]
