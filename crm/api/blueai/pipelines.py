"""`/crm/pipelines` (blueai-api.md 5). The default one is the first of the organization."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment
from crm.api.blueai.inputs import LONGEST_NAME, Body
from crm.api.blueai.openapi import Success, describe, wrapped
from crm.errors import FieldErrors, NotFound
from crm.ids import hex_id
from crm.models import OpportunityStatus, Permission, Pipeline, StatusType
from crm.stages import StageDraft, create_staged_pipeline, delete_staged_pipeline, update_staged_pipeline

KEYS = ("name", "is_default", "sort_order", "stages")
MOST_STAGES = 100
_LARGEST_ORDER = 2**31 - 1


class BlueAIStage(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    sort_order = serializers.IntegerField()
    probability = serializers.IntegerField(allow_null=True)
    is_won = serializers.BooleanField()
    is_lost = serializers.BooleanField()


class BlueAIPipeline(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    is_default = serializers.BooleanField()
    sort_order = serializers.IntegerField()
    stages = BlueAIStage(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class BlueAIPipelines(serializers.Serializer):
    pipelines = BlueAIPipeline(many=True)


class BlueAIStageBody(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    sort_order = serializers.IntegerField(required=False, allow_null=True)
    probability = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=100)
    is_won = serializers.BooleanField(required=False)
    is_lost = serializers.BooleanField(required=False)


class BlueAIPipelineChange(serializers.Serializer):
    name = serializers.CharField(required=False)
    is_default = serializers.BooleanField(
        required=False, help_text="True makes it the default one in place of another."
    )
    sort_order = serializers.IntegerField(required=False, allow_null=True)
    stages = BlueAIStageBody(many=True, required=False, help_text="All of them; those left out are removed.")


class BlueAIPipelineBody(BlueAIPipelineChange):
    name = serializers.CharField()


ANSWER = wrapped("BlueAIPipelineWrapped", "pipeline", BlueAIPipeline)


def show_pipelines(pipelines: Sequence[Pipeline]) -> list[dict[str, object]]:
    if not pipelines:
        return []
    first = Pipeline.objects.filter(organization=pipelines[0].organization_id).values_list("pk", flat=True).first()
    stages: dict[UUID, list[dict[str, object]]] = defaultdict(list)
    for status in OpportunityStatus.objects.filter(pipeline__in=[pipeline.pk for pipeline in pipelines]):
        stages[status.pipeline_id].append(_stage(status))
    return [
        {
            "id": hex_id("pipe", pipeline.pk),
            "name": pipeline.name,
            "is_default": pipeline.pk == first,
            "sort_order": pipeline.position,
            "stages": stages[pipeline.pk],
            "created_at": moment(pipeline.date_created),
            "updated_at": moment(pipeline.date_updated),
        }
        for pipeline in pipelines
    ]


def _stage(status: OpportunityStatus) -> dict[str, object]:
    return {
        "slug": status.slug,
        "name": status.label,
        "sort_order": status.position,
        "probability": status.probability,
        "is_won": status.type == StatusType.WON,
        "is_lost": status.type == StatusType.LOST,
    }


class _PipelineView(BlueAIView):
    permissions = dict.fromkeys(("POST", "PATCH", "DELETE"), Permission.MANAGE_CUSTOMIZATIONS)

    def answer(self, pipeline: Pipeline, status: int = 200) -> Response:
        return Response({"pipeline": show_pipelines([pipeline])[0]}, status=status)

    def asked(self, *, is_new: bool) -> dict[str, object]:
        """What the body says, as the services take it. Raises `FieldErrors`."""
        body = Body(self.body_of(KEYS))
        asked: dict[str, object] = {}
        if is_new or body.has("name"):
            asked["name"] = body.text("name", limit=LONGEST_NAME, required=True)
        asked["is_default"] = body.flag("is_default")
        asked["position"] = body.whole("sort_order", 0, _LARGEST_ORDER)
        if body.values.get("stages") is not None:
            asked["stages"] = _stages(body)
        body.close()
        return asked


def _stages(body: Body) -> list[StageDraft]:
    """In the order of `sort_order`, and of the list where that is not told."""
    given = body.values["stages"]
    if not isinstance(given, list) or len(given) > MOST_STAGES or not all(isinstance(stage, dict) for stage in given):
        body.problems["stages"] = f"must be a list of at most {MOST_STAGES} objects"
        return []
    problems: dict[str, object] = {}
    placed = []
    for place, values in enumerate(given):
        stage = Body(values)
        slug = stage.text("slug", limit=LONGEST_NAME, required=True)
        name = stage.text("name", limit=LONGEST_NAME, required=True)
        order = stage.whole("sort_order", 0, _LARGEST_ORDER)
        is_won, is_lost = stage.flag("is_won"), stage.flag("is_lost")
        if is_won and is_lost:
            stage.problems["is_lost"] = "must not be true where is_won is"
        kind = StatusType.WON if is_won else StatusType.LOST if is_lost else StatusType.ACTIVE
        probability = stage.whole("probability", 0, 100)
        if stage.problems:
            problems[str(place)] = stage.problems
        elif slug and name:
            placed.append((place if order is None else order, place, StageDraft(slug, name, kind, probability)))
    slugs, names = [draft.slug for *_, draft in placed], [draft.label for *_, draft in placed]
    if len(set(slugs)) < len(slugs) or len(set(names)) < len(names):
        problems["slug"] = "must be unique in the pipeline, as must be the names"
    if problems:
        body.problems["stages"] = problems
    return [draft for *_, draft in sorted(placed, key=lambda entry: entry[:2])]


class PipelinesView(_PipelineView):
    creates = True

    @describe("pipeline_list", "Lists the pipelines, the default one first.", answer=BlueAIPipelines)
    def get(self, request: BlueAIRequest) -> Response:
        rows = Pipeline.objects.filter(organization=self.organization)
        return Response({"pipelines": show_pipelines(list(rows))})

    @describe("pipeline_create", "Makes a pipeline.", body=BlueAIPipelineBody, answer=ANSWER, status=201)
    def post(self, request: BlueAIRequest) -> Response:
        asked = self.asked(is_new=True)
        made = create_staged_pipeline(organization=self.organization, by=request.caller.user, **asked)
        return self.answer(made, 201)


class PipelineView(_PipelineView):
    @describe("pipeline_get", "Gives a pipeline.", answer=ANSWER)
    def get(self, request: BlueAIRequest, id: str) -> Response:
        return self.answer(self._pipeline(id))

    @describe("pipeline_update", "Changes what is sent of a pipeline.", body=BlueAIPipelineChange, answer=ANSWER)
    def patch(self, request: BlueAIRequest, id: str) -> Response:
        pipeline = self._pipeline(id)
        asked = self.asked(is_new=False)
        if asked["is_default"] is False and pipeline.pk == self._default():
            raise FieldErrors({"is_default": "make another pipeline the default one instead"})
        return self.answer(update_staged_pipeline(pipeline=pipeline, by=request.caller.user, **asked))

    @describe("pipeline_delete", "Deletes a pipeline that has no deals.", answer=Success)
    def delete(self, request: BlueAIRequest, id: str) -> Response:
        delete_staged_pipeline(pipeline=self._pipeline(id))
        return Response({"success": True})

    def _pipeline(self, id: str) -> Pipeline:
        found = Pipeline.objects.filter(organization=self.organization, pk=key_in_path("pipe", id)).first()
        if found is None:
            raise NotFound
        return found

    def _default(self) -> UUID | None:
        return Pipeline.objects.filter(organization=self.organization).values_list("pk", flat=True).first()


urlpatterns = [path("pipelines/", PipelinesView.as_view()), path("pipelines/<str:id>/", PipelineView.as_view())]
