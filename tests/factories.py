"""The smallest valid objects, made in the database."""

import factory
from factory.django import DjangoModelFactory

from crm.models import (
    Activity,
    Contact,
    CustomField,
    EmailAccount,
    EmailTemplate,
    Lead,
    LeadStatus,
    Membership,
    Opportunity,
    OpportunityStatus,
    Organization,
    Pipeline,
    Role,
    Sequence,
    Task,
    User,
)


class OrganizationFactory(DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Oakvale {n}")


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"jo{n}@oakvale.example")
    first_name = "Jo"
    last_name = "Field"


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    organization = factory.SubFactory(OrganizationFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.ADMIN


class LeadStatusFactory(DjangoModelFactory[LeadStatus]):
    class Meta:
        model = LeadStatus

    organization = factory.SubFactory(OrganizationFactory)
    label = factory.Sequence(lambda n: f"Status {n}")
    slug = factory.Sequence(lambda n: f"status_{n}")


class LeadFactory(DjangoModelFactory[Lead]):
    class Meta:
        model = Lead

    organization = factory.SubFactory(OrganizationFactory)
    status = factory.SubFactory(LeadStatusFactory, organization=factory.SelfAttribute("..organization"))
    name = factory.Sequence(lambda n: f"Lead {n}")


class ContactFactory(DjangoModelFactory[Contact]):
    class Meta:
        model = Contact

    lead = factory.SubFactory(LeadFactory)
    organization = factory.SelfAttribute("lead.organization")
    name = "Ida Moss"


class CustomFieldFactory(DjangoModelFactory[CustomField]):
    class Meta:
        model = CustomField

    organization = factory.SubFactory(OrganizationFactory)
    object_type = "lead"
    name = factory.Sequence(lambda n: f"Field {n}")
    slug = factory.Sequence(lambda n: f"field_{n}")
    type = "text"


class PipelineFactory(DjangoModelFactory[Pipeline]):
    class Meta:
        model = Pipeline

    organization = factory.SubFactory(OrganizationFactory)
    name = "Sales"


class OpportunityStatusFactory(DjangoModelFactory[OpportunityStatus]):
    class Meta:
        model = OpportunityStatus

    pipeline = factory.SubFactory(PipelineFactory)
    organization = factory.SelfAttribute("pipeline.organization")
    label = factory.Sequence(lambda n: f"Stage {n}")
    slug = factory.Sequence(lambda n: f"stage_{n}")


class OpportunityFactory(DjangoModelFactory[Opportunity]):
    class Meta:
        model = Opportunity

    lead = factory.SubFactory(LeadFactory)
    organization = factory.SelfAttribute("lead.organization")
    status = factory.SubFactory(
        OpportunityStatusFactory, pipeline__organization=factory.SelfAttribute("...organization")
    )


class ActivityFactory(DjangoModelFactory[Activity]):
    class Meta:
        model = Activity

    lead = factory.SubFactory(LeadFactory)
    organization = factory.SelfAttribute("lead.organization")
    type = "note"


class TaskFactory(DjangoModelFactory[Task]):
    class Meta:
        model = Task

    lead = factory.SubFactory(LeadFactory)
    organization = factory.SelfAttribute("lead.organization")
    text = "Call back"


class EmailAccountFactory(DjangoModelFactory[EmailAccount]):
    class Meta:
        model = EmailAccount

    organization = factory.SubFactory(OrganizationFactory)
    sender_name = "Jo Field"
    sender_email = "jo@oakvale.example"


class EmailTemplateFactory(DjangoModelFactory[EmailTemplate]):
    class Meta:
        model = EmailTemplate

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Template {n}")
    subject = "Hello {{ contact.first_name }}"
    body = "<p>Hello {{ contact.name }}</p>"
    text = "Hello {{ contact.name }}"
    is_shared = True


class SequenceFactory(DjangoModelFactory[Sequence]):
    class Meta:
        model = Sequence

    organization = factory.SubFactory(OrganizationFactory)
    name = "Warm hello"
    timezone = "Europe/Riga"
