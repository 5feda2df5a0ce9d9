"""`/sms_template/` (close-api.md 4.7)."""

from django.urls import path
from rest_framework.response import Response

from crm.api.close import template_schemas as schemas
from crm.api.close.conventions import CloseRequest, CloseView, Fields, paginate, pick_fields
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page
from crm.api.close.showing import Shown, naive_datetime, shown_id
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.models import SmsTemplate
from crm.templates import create_sms_template, delete_sms_template, sms_templates_for, update_sms_template


def serialize_sms_template(template: SmsTemplate, fields: Fields) -> Shown:
    return pick_fields(
        {
            "id": close_id("smstmpl", template.pk),
            "organization_id": close_id("orga", template.organization_id),
            "name": template.name,
            "text": template.text,
            "status": template.status,
            "created_by": shown_id("user", template.created_by_id),
            "updated_by": shown_id("user", template.updated_by_id),
            "date_created": naive_datetime(template.date_created),
            "date_updated": naive_datetime(template.date_updated),
        },
        fields,
    )


class SmsTemplatesView(CloseView):
    @describe(
        "sms_template_list",
        "Lists the templates of text messages by name.",
        answer=page("SmsTemplatePage", schemas.SmsTemplateAnswer),
        query=[*PAGING, FIELDS],
    )
    def get(self, request: CloseRequest) -> Response:
        rows = sms_templates_for(request.caller)
        return paginate(request, rows, lambda found: [serialize_sms_template(one, self.fields) for one in found])

    @describe(
        "sms_template_create",
        "Makes a template of a text message.",
        body=schemas.SmsTemplateBody,
        answer=schemas.SmsTemplateAnswer,
        query=[FIELDS],
        status=201,
    )
    def post(self, request: CloseRequest) -> Response:
        template = create_sms_template(caller=request.caller, properties=self.body)
        return Response(serialize_sms_template(template, self.fields), status=201)


class SmsTemplateView(CloseView):
    @describe("sms_template_get", "Gives a template.", answer=schemas.SmsTemplateAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        template = sms_templates_for(request.caller).filter(pk=parse_close_id("smstmpl", id)).first()
        if template is None:
            raise NotFound
        return Response(serialize_sms_template(template, self.fields))

    @describe(
        "sms_template_update",
        "Changes what is given of a template.",
        body=schemas.SmsTemplateChanges,
        answer=schemas.SmsTemplateAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        key = parse_close_id("smstmpl", id)
        template = update_sms_template(caller=request.caller, template_id=key, properties=self.body)
        return Response(serialize_sms_template(template, self.fields))

    @describe("sms_template_delete", "Deletes a template that no sequence uses.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_sms_template(caller=request.caller, template_id=parse_close_id("smstmpl", id))
        return Response({})


urlpatterns = [
    path("sms_template/", SmsTemplatesView.as_view()),
    path("sms_template/<str:id>/", SmsTemplateView.as_view()),
]
