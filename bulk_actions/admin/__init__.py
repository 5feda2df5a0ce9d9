"""Watching bulk actions: the list, a job's page, its ledger, and a glance at the engine on the first page."""

from django.contrib import admin

from bulk_actions.admin import import_pages, jobs

admin.site.index_template = "admin/bulk_actions/index.html"

__all__ = ["import_pages", "jobs"]
