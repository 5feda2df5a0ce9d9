"""`/u/<token>`: a page with a button, and what a mail program's own button does (RFC 8058)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from crm.mail.suppression import reasons_for, suppress
from crm.mail.unsubscribe import Recipient, read_token
from crm.models import Organization, Suppression


@never_cache
@csrf_exempt  # the token is what is secret; mail programs post without any cookie
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows the page and changes nothing, since scanners follow links. POST unsubscribes, whatever it says."""
    recipient = read_token(token)
    organization = recipient and Organization.objects.filter(pk=recipient.organization_id).first()
    if recipient is None or organization is None:
        return _page(request, "unknown", status=404)
    if request.method == "POST":
        _unsubscribe(recipient)
        state = "done"
    else:
        reasons = reasons_for(organization.pk, [recipient.address])
        state = "done" if reasons.get(recipient.address) in Suppression.UNWANTED else "asked"
    return _page(request, state, organization=organization.name, address=recipient.address)


def _unsubscribe(recipient: Recipient) -> None:
    detail = f"By the link in a mail of {recipient.source_id}." if recipient.source_id else "By the link in a mail."
    suppress(recipient.organization_id, recipient.address, Suppression.Reason.UNSUBSCRIBED, detail)


def _page(request: HttpRequest, state: str, *, status: int = 200, **known: str) -> HttpResponse:
    response = render(request, "public/unsubscribe.html", {"state": state, **known}, status=status)
    # The address holds the token, and the page an e-mail address: neither is to be kept or told to anybody.
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
    return response
