from django.apps import AppConfig


class BulkActionsConfig(AppConfig):
    name = "bulk_actions"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"
