"""What the admin pages share: looking rows up by id, never counting large tables, showing moments as ages."""

from datetime import datetime
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.functions import Now
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextInputWidget

from crm.ids import from_base62


def read_key(text: str) -> UUID | None:
    """The key that `text` spells as a plain uuid or in any prefixed form (`lead_…`), or None."""
    prefix, _, spelling = text.strip().rpartition("_")
    try:
        return UUID(spelling)
    except ValueError:
        return from_base62(spelling) if prefix else None


def age(moment: datetime | None) -> SafeString | str:
    """`3 hours`, with the exact moment on hover."""
    if moment is None:
        return "-"
    exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time title="{}">{}</time>', exact, timesince(moment, depth=1))


class ForgivingAdmin(ModelAdmin):
    """A list whose address may be mistyped: a NUL, which PostgreSQL takes in no text, is a wrong filter like others."""

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        if any("\x00" in value for _, values in request.GET.lists() for value in values):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)


class RecordAdmin(ForgivingAdmin):
    """A record with a UUID key. An id of the API leads to its page, be it in the page's address or in the search box.

    In the search box an id, in any spelling, is looked up exactly, in `id_lookups`.
    """

    list_per_page = 50
    list_fullwidth = True
    show_facets = admin.ShowFacets.NEVER
    # Every text that can be edited here is a name or an address of one line.
    formfield_overrides = {TextField: {"widget": UnfoldAdminTextInputWidget}}
    id_lookups: tuple[str, ...] = ("pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        if "\x00" in search_term:
            return queryset.none(), False
        key = read_key(search_term)
        if key is None:
            return super().get_search_results(request, queryset, search_term)
        wanted = Q()
        for lookup in self.id_lookups:
            wanted |= Q(**{lookup: key})
        return queryset.filter(wanted), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        if "_" in object_id and (key := read_key(object_id)):
            return HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[key])
            )
        return super().change_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        if hasattr(obj, "date_updated"):
            obj.date_updated = Now()
        super().save_model(request, obj, form, change)

    @admin.display(description="Age", ordering="pk")
    def created_ago(self, record: Model) -> str:
        return age(record.date_created)


class UndeletableAdmin(RecordAdmin):
    """A record that much hangs on: it is switched off or renamed here, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly:
    """Everything can be seen, nothing changed."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, RecordAdmin):
    pass


class LargeTableAdmin(ReadOnlyAdmin):
    """A table of up to millions of rows: newest first along the primary key, and never a count."""

    paginator = InfinitePaginator
    show_full_result_count = False
    ordering = ("-pk",)

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        return ()
