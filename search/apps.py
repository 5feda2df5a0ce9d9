from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "search"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from crm.api.close.template_render import register_entries
        from crm.api.close.text_queries import register_search
        from search.entries import find_entry
        from search.lists import search_list

        register_search(search_list)
        register_entries(find_entry)
