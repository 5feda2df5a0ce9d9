from django.urls import path

from search.api import SearchView

urlpatterns = [
    path("data/search/", SearchView.as_view()),
]
