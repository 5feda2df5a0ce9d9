from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config import health
from config.metrics import metrics
from crm.api.blueai import me as blueai_me

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
    path("api/v1/", include("bulk_actions.api.imports")),
    path("api/v1/", include("bulk_actions.api.close")),
    path("api/v1/", include("bulk_actions.api.after")),
    path("api/v1/", include("bulk_actions.api.exports")),
    path("api/v1/auth/", include(blueai_me.sign_in_urls)),
    path("api/v1/api-keys/", include(blueai_me.key_urls)),
    path("api/v1/crm/", include("bulk_actions.api.blueai")),
    path("api/v1/crm/", include("crm.api.blueai.urls")),
    path("api/agents/crm/", include("crm.api.gomega.urls")),
    path("api/agents/crm/", include("bulk_actions.api.gomega")),
]

handler400 = "crm.api.handlers.bad_request"
handler404 = "crm.api.handlers.page_not_found"
handler500 = "crm.api.handlers.server_error"
