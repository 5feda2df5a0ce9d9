from crm.models.contacts import Contact, ContactEmail, ContactPhone, ContactUrl
from crm.models.custom_fields import CustomField, FieldObject, FieldType
from crm.models.leads import Address, Lead, LeadStatus, LeadStatusChange
from crm.models.mail import EmailAccount, MailState, OutboxMail, Purpose, Suppression
from crm.models.organizations import (
    PERMISSIONS_OF_ROLE,
    ApiKey,
    Dialect,
    Membership,
    Organization,
    Permission,
    Role,
    User,
)

__all__ = [
    "PERMISSIONS_OF_ROLE",
    "Address",
    "ApiKey",
    "Contact",
    "ContactEmail",
    "ContactPhone",
    "ContactUrl",
    "CustomField",
    "Dialect",
    "EmailAccount",
    "FieldObject",
    "FieldType",
    "Lead",
    "LeadStatus",
    "LeadStatusChange",
    "MailState",
    "Membership",
    "Organization",
    "OutboxMail",
    "Permission",
    "Purpose",
    "Role",
    "Suppression",
    "User",
]
