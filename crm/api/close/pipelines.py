"""`/pipeline/` (close-api.md 4.4)."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, pick_fields
from crm.api.close.openapi import FIELDS, Answer, describe, page
from crm.api.close.opportunity_statuses import OpportunityStatusAnswer, show_opportunity_status
from crm.api.close.showing import naive_datetime, shown_id
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import Permission, Pipeline
from crm.pipelines import create_pipeline, delete_pipeline, update_pipeline


class PipelineAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    organization_id = serializers.CharField()
    statuses = OpportunityStatusAnswer(many=True)
    created_by = serializers.CharField(allow_null=True)
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.CharField(help_text="UTC, without an offset.")
    date_updated = serializers.CharField(help_text="UTC, without an offset.")


class StageReference(serializers.Serializer):
    id = serializers.CharField()


class PipelineChanges(serializers.Serializer):
    name = serializers.CharField(max_length=255, required=False)
    statuses = StageReference(many=True, required=False)


class PipelineBody(PipelineChanges):
    name = serializers.CharField(max_length=255)


def show_pipelines(pipelines: Iterable[Pipeline]) -> list[dict[str, object]]:
    """Pipelines (with their statuses prefetched) as Close spells them."""
    return [
        {
            "id": close_id("pipe", pipeline.pk),
            "name": pipeline.name,
            "organization_id": close_id("orga", pipeline.organization_id),
            "statuses": [show_opportunity_status(status) for status in pipeline.statuses.all()],
            "created_by": shown_id("user", pipeline.created_by_id),
            "updated_by": shown_id("user", pipeline.updated_by_id),
            "date_created": naive_datetime(pipeline.date_created),
            "date_updated": naive_datetime(pipeline.date_updated),
        }
        for pipeline in pipelines
    ]


class _PipelineView(CloseView):
    def pipelines(self) -> QuerySet[Pipeline]:
        return Pipeline.objects.filter(organization=self.request.caller.organization).prefetch_related("statuses")

    def pipeline_of(self, id: str) -> Pipeline:
        pipeline = self.pipelines().filter(pk=parse_close_id("pipe", id)).first()
        if pipeline is None:
            raise NotFound
        return pipeline

    def statuses(self) -> list[UUID] | None:
        """The statuses that the body names; None where it says nothing of them."""
        references = self.body.get("statuses")
        return None if references is None else _keys_of(references)

    def answer(self, pipeline: Pipeline, status: int = 200) -> Response:
        return Response(pick_fields(show_pipelines([pipeline])[0], self.fields), status=status)


class PipelinesView(_PipelineView):
    permissions = {"POST": Permission.MANAGE_CUSTOMIZATIONS}

    @describe(
        "pipeline_list",
        "Lists the pipelines with their statuses; the first one is that of new opportunities.",
        answer=page("PipelinePage", PipelineAnswer),
        query=[FIELDS],
    )
    def get(self, request: CloseRequest) -> Response:
        shown = [pick_fields(one, self.fields) for one in show_pipelines(self.pipelines())]
        return Response({"data": shown, "has_more": False})

    @describe(
        "pipeline_create",
        "Makes a pipeline. `statuses` move into it.",
        body=PipelineBody,
        answer=PipelineAnswer,
        status=201,
    )
    def post(self, request: CloseRequest) -> Response:
        if "name" not in self.body:
            raise FieldErrors({"name": "This field is required."})
        caller = request.caller
        made = create_pipeline(
            organization=caller.organization,
            name=self.body["name"],
            statuses=self.statuses() or [],
            by=caller.user,
        )
        response = self.answer(made, status=201)
        response["Location"] = f"/api/v1/pipeline/{close_id('pipe', made.pk)}/"
        return response


class PipelineView(_PipelineView):
    permissions = {"PUT": Permission.MANAGE_CUSTOMIZATIONS, "DELETE": Permission.MANAGE_CUSTOMIZATIONS}

    @describe("pipeline_get", "Gives a pipeline.", answer=PipelineAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.pipeline_of(id))

    @describe(
        "pipeline_update",
        "Renames a pipeline; puts `statuses` first in it, moving those of other pipelines in.",
        body=PipelineChanges,
        answer=PipelineAnswer,
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        pipeline = self.pipeline_of(id)
        changed = update_pipeline(
            pipeline=pipeline, name=self.body.get("name"), statuses=self.statuses(), by=request.caller.user
        )
        return self.answer(changed)

    @describe("pipeline_delete", "Deletes a pipeline without statuses.", answer=None, status=204)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_pipeline(pipeline=self.pipeline_of(id))
        return Response(status=204)


def _keys_of(references: object) -> list[UUID]:
    """The keys behind `[{"id": "stat_…"}, …]`."""
    if not isinstance(references, list):
        raise FieldErrors({"statuses": "Value must be a list."})
    keys = [parse_close_id("stat", one.get("id")) if isinstance(one, dict) else None for one in references]
    if None in keys:
        raise FieldErrors({"statuses": "Object does not exist."})
    return [key for key in keys if key]


urlpatterns = [
    path("pipeline/", PipelinesView.as_view()),
    path("pipeline/<str:id>/", PipelineView.as_view()),
]
