"""Smart Views: queries with a name."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from crm.models.base import Dated, Keyed


class SavedSearch(Keyed, Dated):
    """A Smart View. `s_query` is kept as it was sent (wrapped); it is parsed anew at every use."""

    organization = models.ForeignKey("crm.Organization", models.CASCADE, related_name="+")
    user = models.ForeignKey("crm.User", models.PROTECT, related_name="+", db_index=False)
    name = models.TextField()
    type = models.TextField(default="lead")
    s_query = models.JSONField(null=True)
    query = models.TextField(null=True, blank=True)
    description = models.CharField(max_length=300, null=True, blank=True)
    is_shared = models.BooleanField(default=False)
    is_user_dependent = models.BooleanField(default=False)
    shared_with = ArrayField(models.UUIDField(), default=list, blank=True)
    selected_fields = models.JSONField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "saved searches"

    def __str__(self) -> str:
        return self.name
