"""What anybody may open who was sent a link: no login, no cookie."""

from django.urls import path

from crm.public.unsubscribe import unsubscribe_page

urlpatterns = [path("u/<str:token>", unsubscribe_page, name="unsubscribe")]
