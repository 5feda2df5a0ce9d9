from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config import health
from config.metrics import metrics

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics),
    path("", include("crm.public.urls")),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(authentication_classes=[]), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(authentication_classes=[], url_name="schema")),
    path("api/v1/", include("crm.api.close.urls")),
    path("api/v1/", include("search.urls")),
    path("api/v1/", include("bulk_actions.api.close")),
    path("api/v1/", include("bulk_actions.api.after")),
]

handler400 = "crm.api.close.conventions.bad_request"
handler404 = "crm.api.close.conventions.page_not_found"
handler500 = "crm.api.close.conventions.server_error"
