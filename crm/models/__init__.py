from crm.models.activities import Activity, ActivityType, Task, TaskType
from crm.models.contacts import Contact, ContactEmail, ContactPhone, ContactUrl
from crm.models.custom_fields import CustomField, FieldObject, FieldType
from crm.models.leads import Address, Lead, LeadStatus, LeadStatusChange
from crm.models.mail import EmailAccount, InboundKind, InboundMail, MailState, OutboxMail, Purpose, Suppression
from crm.models.operations import Counter, IdempotentAnswer, PurgedLead
from crm.models.opportunities import (
    Opportunity,
    OpportunityStatus,
    OpportunityStatusChange,
    Pipeline,
    StatusType,
    ValuePeriod,
)
from crm.models.organizations import (
    PERMISSIONS_OF_ROLE,
    ApiKey,
    Dialect,
    Group,
    Membership,
    Organization,
    Permission,
    Role,
    User,
)
from crm.models.sequences import Sequence, SequenceStep, SequenceSubscription, StepType, SubscriptionStatus
from crm.models.templates import EmailTemplate, SmsTemplate, Undefined

__all__ = [
    "PERMISSIONS_OF_ROLE",
    "Activity",
    "ActivityType",
    "Address",
    "ApiKey",
    "Contact",
    "ContactEmail",
    "ContactPhone",
    "ContactUrl",
    "Counter",
    "CustomField",
    "Dialect",
    "EmailAccount",
    "EmailTemplate",
    "FieldObject",
    "FieldType",
    "Group",
    "IdempotentAnswer",
    "InboundKind",
    "InboundMail",
    "Lead",
    "LeadStatus",
    "LeadStatusChange",
    "MailState",
    "Membership",
    "Opportunity",
    "OpportunityStatus",
    "OpportunityStatusChange",
    "Organization",
    "OutboxMail",
    "Permission",
    "Pipeline",
    "PurgedLead",
    "Purpose",
    "Role",
    "Sequence",
    "SequenceStep",
    "SequenceSubscription",
    "SmsTemplate",
    "StatusType",
    "StepType",
    "SubscriptionStatus",
    "Suppression",
    "Task",
    "TaskType",
    "Undefined",
    "User",
    "ValuePeriod",
]
