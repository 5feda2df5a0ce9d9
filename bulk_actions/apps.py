from django.apps import AppConfig


class BulkActionsConfig(AppConfig):
    name = "bulk_actions"
    default_auto_field = "django.db.models.BigAutoField"
