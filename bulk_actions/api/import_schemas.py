"""What the endpoints of `bulk_action/import/` take and answer, for the description of the API."""

from rest_framework import serializers

from bulk_actions.api.answers import BulkActionAnswer
from bulk_actions.api.import_orders import RECORDS
from crm.api.close.openapi import Answer, any_value, strings
from crm.files.encodings import ENCODINGS
from crm.merging import Key, OnDuplicate


class UploadBody(serializers.Serializer):
    file = serializers.FileField()


class UploadAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    imported_by = strings(help_text="Imports of a file with the same content, the latest first.")


class ReadingBody(serializers.Serializer):
    file = serializers.FileField(required=False, help_text="CSV, XLSX or JSONL, of multipart/form-data.")
    upload_id = serializers.CharField(required=False, allow_null=True, help_text="Of a kept file, instead of `file`.")
    records = serializers.ChoiceField(RECORDS, required=False, allow_null=True)
    like = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="An earlier import: its mapping and the like count where none is given.",
    )
    mapping = any_value(
        required=False,
        help_text="The field of each column by its name, null for none, or an object with field, empty, date_format "
        "and separator; without it names decide.",
    )
    encoding = serializers.ChoiceField(
        ENCODINGS, required=False, allow_null=True, help_text="Of CSV that is not UTF-8; without it the bytes decide."
    )
    sheet = serializers.CharField(
        required=False, allow_null=True, help_text="Of XLSX; without it the first one, and those in which it goes on."
    )
    raw = serializers.BooleanField(
        required=False, allow_null=True, help_text="The file has no quotes before texts that look like formulas."
    )


class BulkImportBody(ReadingBody):
    match = strings(
        required=False,
        allow_null=True,
        help_text=f"What records are known again by, in order: {', '.join(list(Key)[:3])}, or `custom.cf_…`.",
    )
    on_duplicate = serializers.ChoiceField(list(OnDuplicate), required=False, allow_null=True)
    dry_run = serializers.BooleanField(required=False, allow_null=True, help_text="Decide everything, change nothing.")
    send_done_email = serializers.BooleanField(required=False, allow_null=True)
    leads_per_minute = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    priority = serializers.CharField(required=False, allow_null=True)
    run_at = serializers.DateTimeField(required=False, allow_null=True)
    canary = any_value(required=False)
    max_failure_ratio = serializers.FloatField(required=False, allow_null=True)


class FirstProblemAnswer(Answer):
    row = serializers.IntegerField()
    line = serializers.IntegerField()
    column = serializers.CharField(allow_null=True)
    value = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class ProblemKindAnswer(Answer):
    code = serializers.CharField()
    n_rows = serializers.IntegerField()
    first = FirstProblemAnswer(many=True)


class RowCountsAnswer(Answer):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()


class BulkImportAnswer(BulkActionAnswer):
    source = serializers.CharField(allow_null=True, help_text="`file`, or the dialect whose call brought the rows.")
    upload_id = serializers.CharField(allow_null=True)
    file_name = serializers.CharField(allow_null=True)
    records = serializers.CharField(allow_null=True)
    mapping = any_value(allow_null=True)
    match = strings(allow_null=True)
    on_duplicate = serializers.CharField(allow_null=True)
    dry_run = serializers.BooleanField()
    repeated = serializers.IntegerField(
        allow_null=True,
        help_text="Rows about a record that an earlier row of the file is about as well; null until it has ended.",
    )
    rows = RowCountsAnswer(help_text="Only in the answer to a GET of one import.")
    problems = ProblemKindAnswer(many=True, help_text="The first of each kind. Only in the answer to a GET of one.")
    imported_by = strings(help_text="Only in the answer to a create: earlier imports of the same content.")


class ColumnAnswer(Answer):
    name = serializers.CharField()
    field = any_value(allow_null=True, help_text="As in a mapping; null for a column that is left out.")


class PreviewRowAnswer(Answer):
    row = serializers.IntegerField()
    line = serializers.IntegerField()
    values = any_value(allow_null=True, help_text="What is read, by field; null where there is a problem.")
    problem = any_value(allow_null=True)


class BulkImportPreviewAnswer(Answer):
    format = serializers.CharField()
    encoding = serializers.CharField(allow_null=True)
    delimiter = serializers.CharField(allow_null=True)
    columns = ColumnAnswer(many=True)
    rows = PreviewRowAnswer(many=True)
    fields_known = strings(help_text="What a column may be mapped to.")


class RowAnswer(Answer):
    row = serializers.IntegerField(help_text="From 1 on, without the header.")
    line = serializers.IntegerField()
    outcome = serializers.CharField()
    lead_id = serializers.CharField(allow_null=True)
    contact_id = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    column = serializers.CharField(allow_null=True)
    value = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class RowsAnswer(Answer):
    data = RowAnswer(many=True)
    has_more = serializers.BooleanField()
    cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")
