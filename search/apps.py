from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "search"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from crm.api.close.searches import register_searches
        from crm.api.close.template_render import register_entries
        from search.entries import find_entry
        from search.lists import search_list, view_list

        register_searches(by_text=search_list, by_view=view_list)
        register_entries(find_entry)
