"""The admin pages of the records: to look things up, and to look after people, keys and senders.

Records that have rules of their own (leads, contacts, opportunities, statuses, custom fields, templates) are read-only
here: the services behind the API keep those rules, a form would go round them.
"""

from crm.admin import (
    activities,
    contacts,
    custom_fields,
    leads,
    mail,
    operations,
    opportunities,
    organizations,
    sequences,
    templates,
    users,
    webhooks,
)

__all__ = [
    "activities",
    "contacts",
    "custom_fields",
    "leads",
    "mail",
    "operations",
    "opportunities",
    "organizations",
    "sequences",
    "templates",
    "users",
    "webhooks",
]
