import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Jobs from before have their batches in the order of their ids, and places were not kept.
RANKS = """
UPDATE bulk_actions_batch AS batch SET rank = counted.rank
FROM (SELECT id, 1 + sum(n_leads) OVER (PARTITION BY action_id ORDER BY id) - n_leads AS rank
      FROM bulk_actions_batch) AS counted
WHERE counted.id = batch.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("bulk_actions", "0003_text_query"),
        ("crm", "0002_records_of_the_language"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="batch",
            name="batch_pending",
        ),
        migrations.AddField(
            model_name="batch",
            name="given",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.JSONField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="batch",
            name="rank",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="canary_leads",
            field=models.PositiveIntegerField(help_text="After so many leads it pauses itself, once.", null=True),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="canary_passed",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="date_ledger_purged",
            field=models.DateTimeField(help_text="From then on only the counts are known.", null=True),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="max_failure_ratio",
            field=models.FloatField(default=0.5),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="max_leads",
            field=models.PositiveBigIntegerField(
                help_text="More matches than that end it before any change.", null=True
            ),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="on_changed",
            field=models.TextField(choices=[("apply", "Apply"), ("skip", "Skip")], default="apply"),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="priority",
            field=models.SmallIntegerField(choices=[(-1, "low"), (0, "normal"), (1, "high")], default=0),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="retry_of",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="bulk_actions.bulkaction",
            ),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="run_at",
            field=models.DateTimeField(help_text="Not to be started before; empty means at once.", null=True),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="status_reason",
            field=models.TextField(blank=True, default="", help_text="Why it was moved last, where that was told."),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="undo_of",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="bulk_actions.bulkaction",
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("date_done__isnull", True)), fields=["action", "rank"], name="batch_pending"
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["action", "rank"], name="batch_rank"),
        ),
        migrations.AddIndex(
            model_name="bulkaction",
            index=models.Index(
                condition=models.Q(("n_succeeded__isnull", True), ("status", "error")),
                fields=["id"],
                name="bulk_action_unsettled",
            ),
        ),
        migrations.AddIndex(
            model_name="bulkaction",
            index=models.Index(
                condition=models.Q(("retry_of__isnull", False)), fields=["retry_of"], name="bulk_action_retries"
            ),
        ),
        migrations.AddIndex(
            model_name="bulkaction",
            index=models.Index(
                condition=models.Q(("undo_of__isnull", False)), fields=["undo_of"], name="bulk_action_undos"
            ),
        ),
        migrations.AddIndex(
            model_name="bulkaction",
            index=models.Index(
                condition=models.Q(("date_finished__isnull", False), ("date_ledger_purged__isnull", True)),
                fields=["date_finished"],
                name="bulk_action_ledger",
            ),
        ),
        migrations.AddIndex(
            model_name="leadoutcome",
            index=models.Index(fields=["batch"], name="lead_outcome_batch"),
        ),
        migrations.RunSQL(RANKS, migrations.RunSQL.noop),
    ]
