"""What tests of bulk emails share: people to write to, jobs that do, and delivery by hand."""

from bulk_actions import runner
from bulk_actions.models import BulkAction, Kind
from bulk_actions.results import all_of
from bulk_actions.targets import OUTCOMES
from crm.mail import delivery
from crm.models import Contact, ContactEmail, EmailTemplate, Lead, LeadStatus, Membership
from tests import factories
from tests.bulk_actions.helpers import Elsewhere, check_invariant, make_job, make_leads
from tests.smtp import drop_connections


def with_address(lead: Lead, *addresses: str, name: str = "Ida Moss") -> Contact:
    contact = factories.ContactFactory.create(lead=lead, name=name, position=lead.contacts.count())
    for place, address in enumerate(addresses):
        ContactEmail.objects.create(contact=contact, organization=lead.organization, email=address, position=place)
    return contact


def people(status: LeadStatus, number: int) -> list[Lead]:
    """Leads with one contact each, `ida0@…`, `ida1@…`, in the order of their keys."""
    leads = make_leads(status, number)
    Contact.objects.bulk_create(Contact(lead=lead, organization=lead.organization, name="Ida Moss") for lead in leads)
    contacts = Contact.objects.filter(lead__in=leads).order_by("lead_id")
    ContactEmail.objects.bulk_create(
        ContactEmail(contact=contact, organization_id=contact.organization_id, email=f"ida{place}@moss.example")
        for place, contact in enumerate(contacts)
    )
    return leads


def mail_job(membership: Membership, template: EmailTemplate, leads: list[Lead], **more: object) -> BulkAction:
    params = {
        "template_id": str(template.pk),
        "contact_preference": more.pop("contact_preference", "lead"),
        "email_account_id": more.pop("email_account_id", None),
        "sender": "Jo Field <jo@oakvale.example>",
    }
    return make_job(membership, Kind.EMAIL, params, leads, **more)


def work(action: BulkAction) -> BulkAction:
    """One slice: the batches that are pending, and the end where nothing is left."""
    runner.run_slice(action.pk)
    action.refresh_from_db()
    check_invariant(action)
    return action


def deliver() -> None:
    delivery.deliver_slice(20)


def deliver_in_a_thread() -> Elsewhere:
    def work() -> None:
        deliver()
        drop_connections()  # each thread has its own

    return Elsewhere(work)


def run(action: BulkAction) -> BulkAction:
    work(action)
    deliver()
    return work(action)


def told(action: BulkAction) -> dict[str | None, tuple[str, str | None]]:
    """Outcome and code by address."""
    return {row.email: (row.outcome, row.code) for row in all_of(action, OUTCOMES)}
