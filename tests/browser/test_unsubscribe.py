"""A person opens the link of a mail and presses the button."""

from playwright.sync_api import Page, expect

from tests.browser.test_admin import keep_picture, manage, page, pytestmark  # noqa: F401
from tests.stack import Stack

_LINK = """
from crm.mail.unsubscribe import link_for
from crm.models import Organization
print(link_for(Organization.objects.get(name="Oakvale").pk, "ida@oakvale.example", None))
"""


def test_a_person_unsubscribes(stack: Stack, page: Page) -> None:  # noqa: F811
    manage(stack, "create_api_key", "--organization", "Oakvale", "--email", "jo@oakvale.example")
    link = manage(stack, "shell", "-v", "0", "-c", _LINK).strip()
    page.set_viewport_size({"width": 390, "height": 700})

    page.goto(f"{stack.url}/u/{link.rpartition('/')[2]}")
    expect(page.get_by_role("heading")).to_have_text("Unsubscribe?")
    keep_picture(page, "unsubscribe-asked")
    page.get_by_role("button", name="Unsubscribe").click()

    expect(page.get_by_role("heading")).to_have_text("You are unsubscribed")
    expect(page.get_by_text("ida@oakvale.example gets no more mail from Oakvale.")).to_be_visible()
    keep_picture(page, "unsubscribe-done")
    page.goto(f"{stack.url}/u/unknown")
    expect(page.get_by_role("heading")).to_have_text("This link is not known")
    page.set_viewport_size({"width": 1200, "height": 700})
    page.emulate_media(color_scheme="dark")
    keep_picture(page, "unsubscribe-unknown")
