"""The addresses of the Close dialect that belong to records. Always with the slash at the end: `TidyPath` adds it."""

from crm.api.close import contacts, custom_fields, leads, status_changes, statuses, users

urlpatterns = [
    *users.urlpatterns,
    *leads.urlpatterns,
    *contacts.urlpatterns,
    *statuses.urlpatterns,
    *custom_fields.urlpatterns,
    *status_changes.urlpatterns,
]
