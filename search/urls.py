from django.urls import path

from search import api_saved
from search.api import SearchView

urlpatterns = [
    path("data/search/", SearchView.as_view()),
    *api_saved.urlpatterns,
]
