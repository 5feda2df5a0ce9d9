"""The addresses of the gomega dialect that belong to records. With a slash at the end: `TidyPath` adds it."""

from crm.api.gomega import leads, webhooks

urlpatterns = [*leads.urlpatterns, *webhooks.urlpatterns]
