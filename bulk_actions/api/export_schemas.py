"""What goes into `/export/` and what comes out, as the OpenAPI description has it (close-api.md 4.13)."""

from rest_framework import serializers

from bulk_actions.api.export_body import DATE_FORMATS, LEAD_TYPES
from bulk_actions.states import Status
from crm.api.close.openapi import Answer, any_value, strings
from crm.files.writing import FORMATS

# The words of `/export/` for the engine's.
STATUS_WORDS = {
    Status.CREATED: "created",
    Status.LOADING: "started",
    Status.PROCESSING: "in_progress",
    Status.RESUMING: "in_progress",
    Status.PAUSED: "in_progress",
    Status.DONE: "done",
    Status.ERROR: "error",
}


class ExportAnswer(Answer):
    """`download_url` leads to the file for six hours; each answer gives a new one. The file is kept for seven days."""

    id = serializers.CharField()
    organization_id = serializers.CharField()
    user_id = serializers.CharField()
    created_by = serializers.CharField()
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    status = serializers.ChoiceField(sorted(set(STATUS_WORDS.values())))
    job_status = serializers.ChoiceField(Status.choices, help_text="The engine's own word: `paused` and the like.")
    error = serializers.CharField(allow_null=True)
    download_url = serializers.CharField(allow_null=True)
    n_docs = serializers.IntegerField(allow_null=True, help_text="Rows of the file; not known before it is complete.")
    n_docs_processed = serializers.IntegerField(help_text="Rows written. An export that was paused begins anew.")
    n_targets = serializers.IntegerField(
        allow_null=True, help_text="What the query found: leads, or contacts or opportunities themselves."
    )
    n_targets_processed = serializers.IntegerField()
    type = serializers.ChoiceField([*LEAD_TYPES, "opps"])
    format = serializers.ChoiceField(FORMATS)
    date_format = serializers.ChoiceField(DATE_FORMATS)
    fields = strings(allow_null=True)
    raw = serializers.BooleanField()
    bom = serializers.BooleanField()
    s_query = any_value(allow_null=True)
    query = serializers.CharField(allow_null=True)
    params = any_value(allow_null=True)
    results_limit = serializers.IntegerField(allow_null=True)
    sort = any_value()
    include_activities = serializers.BooleanField()
    include_smart_fields = serializers.BooleanField()
    include_custom_objects = serializers.BooleanField()
    include_addresses = serializers.BooleanField()
    send_done_email = serializers.BooleanField()


class _ExportBody(serializers.Serializer):
    format = serializers.ChoiceField(FORMATS)
    date_format = serializers.ChoiceField(
        DATE_FORMATS, required=False, allow_null=True, help_text="Of CSV and XLSX; JSON has what the API shows."
    )
    fields = strings(required=False, allow_null=True, help_text="Columns, or keys of the objects; without it all.")
    raw = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Of CSV and XLSX, for programs: texts that a spreadsheet takes for formulas stay as they are.",
    )
    bom = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Of CSV, for spreadsheets: it begins with a byte order mark, by which they know UTF-8.",
    )
    send_done_email = serializers.BooleanField(required=False, allow_null=True)


class LeadExportBody(_ExportBody):
    type = serializers.ChoiceField(
        LEAD_TYPES,
        help_text="What each row is: a lead, a contact or an opportunity (`lead_opps`) of the leads that are found. Of "
        "a query for contacts, or for opportunities, those that it finds themselves.",
    )
    s_query = any_value(required=False, help_text="Which leads; without it all of them.")
    results_limit = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    sort = any_value(required=False)
    include_activities = serializers.BooleanField(
        required=False, allow_null=True, help_text="Of the type leads, as JSON."
    )
    include_smart_fields = serializers.BooleanField(
        required=False, allow_null=True, help_text="Of the type leads, as JSON: `num_contacts` and the like."
    )
    include_custom_objects = serializers.BooleanField(
        required=False, allow_null=True, help_text="There are no custom objects: it changes nothing."
    )
    include_addresses = serializers.BooleanField(
        required=False, allow_null=True, help_text="Of tables: the first address. JSON of leads has all of them anyway."
    )


class OpportunityExportBody(_ExportBody):
    params = any_value(
        required=False,
        help_text="Filters of the list of opportunities, and `_order_by`; those with `__in` may be lists.",
    )
