"""The addresses of the Close dialect that belong to records. Always with the slash at the end: `TidyPath` adds it."""

from crm.api.close import (
    activities,
    contacts,
    custom_fields,
    groups,
    lead_merge,
    leads,
    me,
    memberships,
    opportunities,
    opportunity_status_changes,
    opportunity_statuses,
    organizations,
    pipelines,
    status_changes,
    statuses,
    tasks,
    users,
)

urlpatterns = [
    *me.urlpatterns,
    *users.urlpatterns,
    *organizations.urlpatterns,
    *memberships.urlpatterns,
    *groups.urlpatterns,
    *lead_merge.urlpatterns,  # before `lead/{id}/`
    *leads.urlpatterns,
    *contacts.urlpatterns,
    *statuses.urlpatterns,
    *custom_fields.urlpatterns,
    *activities.urlpatterns,
    *status_changes.urlpatterns,
    *opportunity_status_changes.urlpatterns,
    *tasks.urlpatterns,
    *opportunities.urlpatterns,
    *opportunity_statuses.urlpatterns,
    *pipelines.urlpatterns,
]
