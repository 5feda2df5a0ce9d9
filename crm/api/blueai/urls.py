"""The addresses of the BlueAI dialect that belong to records, below `/api/v1/crm/`. `TidyPath` adds the last slash."""

from crm.api.blueai import activities, companies, contacts, deals, pipelines

urlpatterns = [
    *contacts.urlpatterns,
    *companies.urlpatterns,
    *deals.urlpatterns,
    *pipelines.urlpatterns,
    *activities.urlpatterns,
]
