"""What the BlueAI and gomega dialects and imports need: columns, keys to match by, sessions, webhooks."""

import crm.match_keys
import crm.models.base
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.manager
from django.conf import settings
from django.db import migrations, models

# "lead_line" is a column from now on: a field of that slug, which no dialect has shown yet, becomes "lead_line_2" ...
_FREE_THE_SLUG = """
UPDATE crm_customfield AS field SET slug = (
    SELECT 'lead_line_' || number FROM generate_series(2, 1000) AS number
    WHERE NOT EXISTS (
        SELECT FROM crm_customfield AS other
        WHERE other.organization_id = field.organization_id AND other.object_type = field.object_type
          AND other.slug = 'lead_line_' || number)
    ORDER BY number LIMIT 1)
WHERE slug = 'lead_line' AND object_type = 'lead'
"""


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0021_mail_set_aside"),
    ]

    operations = [
        migrations.RunSQL(crm.match_keys.CREATE, crm.match_keys.DROP),
        migrations.RunSQL(_FREE_THE_SLUG, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="LeadWebhook",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_updated", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("url", models.TextField()),
                ("event_types", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("is_active", models.BooleanField(default=True)),
                ("timeout_seconds", models.SmallIntegerField(default=10)),
                ("retry_attempts", models.SmallIntegerField(default=5, help_text="After the first one.")),
                ("description", models.TextField(blank=True, null=True)),
                ("secret", models.TextField(editable=False)),
                ("consecutive_failures", models.IntegerField(default=0, editable=False)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SignInSession",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("token_sha256", models.CharField(editable=False, max_length=64, unique=True)),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_expires", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event", models.TextField()),
                ("payload", models.JSONField()),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("pending", "Pending"),
                            ("sending", "Sending"),
                            ("delivered", "Delivered"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                    ),
                ),
                ("attempts", models.SmallIntegerField(default=0)),
                ("not_before", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("claimed_at", models.DateTimeField(null=True)),
                ("claim", models.UUIDField(null=True)),
                ("response_status", models.SmallIntegerField(help_text="Of the last attempt.", null=True)),
                ("error", models.TextField(help_text="Why the last attempt failed.", null=True)),
                ("date_created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("date_finished", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
            },
        ),
        migrations.AlterModelOptions(
            name="opportunity",
            options={"base_manager_name": "all_objects", "verbose_name_plural": "opportunities"},
        ),
        migrations.AlterModelManagers(
            name="opportunity",
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("all_objects", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name="activity",
            name="opportunity",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.opportunity",
            ),
        ),
        migrations.AddField(
            model_name="purgedlead",
            name="contacts",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(), default=list, help_text="The keys of its contacts.", size=None
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="detached_from",
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="contact",
            name="external_id",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="contact",
            name="note",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="department",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="email",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="employee_count",
            field=models.IntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="external_id",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="industry",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="lead_line",
            field=models.TextField(blank=True, choices=[("buyer", "buyer"), ("seller", "seller")], null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="lifecycle",
            field=models.TextField(
                choices=[
                    ("active", "Active"),
                    ("won", "Won"),
                    ("lost", "Lost"),
                    ("nurture", "Nurture"),
                    ("archived", "Archived"),
                ],
                db_default="active",
                default="active",
            ),
        ),
        migrations.AddField(
            model_name="lead",
            name="name_kana",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="lead",
            name="phone",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="qualified",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="score",
            field=models.IntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lead",
            name="source_platform",
            field=models.TextField(
                choices=[
                    ("google_ads", "Google Ads"),
                    ("meta_ads", "Meta Ads"),
                    ("google_organic", "Google Organic"),
                    ("direct", "Direct"),
                    ("referral", "Referral"),
                    ("hubspot", "Hubspot"),
                    ("zoho", "Zoho"),
                    ("ghl", "Ghl"),
                    ("shopify", "Shopify"),
                    ("zenmaid", "Zenmaid"),
                    ("lead_docket", "Lead Docket"),
                    ("salesforce", "Salesforce"),
                ],
                db_default="direct",
                default="direct",
            ),
        ),
        migrations.AddField(
            model_name="lead",
            name="source_type",
            field=models.TextField(
                choices=[
                    ("form", "Form"),
                    ("phone_call", "Phone Call"),
                    ("email", "Email"),
                    ("chat", "Chat"),
                    ("sms", "Sms"),
                    ("manual", "Manual"),
                    ("import", "Import"),
                ],
                db_default="manual",
                default="manual",
            ),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="currency",
            field=models.CharField(blank=True, help_text="Null: the organization's.", max_length=3, null=True),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="deleted_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="deleted_by_action",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="detached_from",
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="expected_close_date",
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="lost_reason",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="opportunity",
            name="name",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="opportunitystatus",
            name="probability",
            field=models.SmallIntegerField(blank=True, help_text="Per cent.", null=True),
        ),
        migrations.AddField(
            model_name="organization",
            name="lead_bulk_calls_per_minute",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="organization",
            name="lead_calls_per_hour",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="organization",
            name="lead_calls_per_minute",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="contactemail",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.organization",
            ),
        ),
        migrations.AlterField(
            model_name="contactphone",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.organization",
            ),
        ),
        migrations.AlterField(
            model_name="contacturl",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.organization",
            ),
        ),
        migrations.AlterField(
            model_name="activity",
            name="lead",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="activities",
                to="crm.lead",
            ),
        ),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(
                condition=models.Q(("opportunity__isnull", False)),
                fields=["opportunity", "activity_at", "id"],
                name="activity_opportunity",
            ),
        ),
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(
                condition=models.Q(("external_id__isnull", False)),
                fields=["organization", "external_id"],
                name="contact_external_id",
            ),
        ),
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(
                condition=models.Q(("detached_from__isnull", False)), fields=["detached_from"], name="contact_detached"
            ),
        ),
        migrations.AddIndex(
            model_name="contactemail",
            index=models.Index(models.F("organization"), crm.match_keys.EmailKey("email"), name="contact_email_key"),
        ),
        migrations.AddIndex(
            model_name="contactphone",
            index=models.Index(models.F("organization"), crm.match_keys.PhoneKey("phone"), name="contact_phone_key"),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("external_id__isnull", False)),
                fields=["organization", "external_id"],
                name="lead_external_id",
            ),
        ),
        migrations.AddIndex(
            model_name="opportunity",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)), fields=["deleted_at"], name="opportunity_deleted"
            ),
        ),
        migrations.AddIndex(
            model_name="opportunity",
            index=models.Index(
                condition=models.Q(("detached_from__isnull", False)),
                fields=["detached_from"],
                name="opportunity_detached",
            ),
        ),
        migrations.AddField(
            model_name="leadwebhook",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="leadwebhook",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="crm.organization"
            ),
        ),
        migrations.AddField(
            model_name="leadwebhook",
            name="updated_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="signinsession",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="crm.organization"
            ),
        ),
        migrations.AddField(
            model_name="signinsession",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="lead",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.lead",
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.organization",
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="webhook",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.leadwebhook",
            ),
        ),
        migrations.AddIndex(
            model_name="signinsession",
            index=models.Index(fields=["date_expires"], name="sign_in_session_expires"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["webhook", "not_before", "id"],
                name="webhook_delivery_due",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "sending")), fields=["claimed_at"], name="webhook_delivery_claimed"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["webhook", "id"], name="webhook_delivery_webhook"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["lead"], name="webhook_delivery_lead"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["date_created"], name="webhook_delivery_age"),
        ),
    ]
