"""What mail servers send back, each in the shape of one family of servers, about a mail of ours."""

from email.message import EmailMessage
from email.policy import SMTP

from crm.models import OutboxMail

SERVER = "mx.oakvale.example"


def _from_server(to: str, subject: str, number: str, sender: str = "MAILER-DAEMON@mx.oakvale.example") -> str:
    return (
        f"Return-Path: <>\nFrom: Mail Delivery System <{sender}>\nTo: {to}\nSubject: {subject}\n"
        f"Message-ID: <{number}@{SERVER}>\nDate: Mon, 02 Jun 2031 10:30:00 +0200\nMIME-Version: 1.0\n"
    )


def _copy(mail: OutboxMail) -> str:
    return f"From: {mail.sender}\nTo: {mail.address}\nSubject: {mail.subject}\nMessage-ID: {mail.message_id}\n\nHello\n"


def postfix(mail: OutboxMail, to: str, status: str = "5.1.1", action: str = "failed") -> bytes:
    """Explanation, `message/delivery-status`, the whole mail as `message/rfc822`."""
    answer = f"550 {status} <{mail.address}>: Recipient address rejected: User unknown"
    return (
        _from_server(to, "Undelivered Mail Returned to Sender", f"postfix-{status}-{action}-{mail.pk}")
        + "Auto-Submitted: auto-replied\n"
        'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="4F1C.1622/mx"\n\n'
        "This is a MIME-encapsulated message.\n\n--4F1C.1622/mx\nContent-Description: Notification\n"
        "Content-Type: text/plain; charset=us-ascii\n\nI'm sorry to have to inform you that your message could not\n"
        f"be delivered.\n\n<{mail.address}>: {answer}\n\n"
        "--4F1C.1622/mx\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; {SERVER}\nX-Postfix-Queue-ID: 4F1C\nArrival-Date: Mon,  2 Jun 2031 10:29:58 +0200\n\n"
        f"Final-Recipient: rfc822; {mail.address}\nOriginal-Recipient: rfc822;{mail.address}\nAction: {action}\n"
        f"Status: {status}\nRemote-MTA: dns; mail.oakvale.example\nDiagnostic-Code: smtp; {answer}\n\n"
        "--4F1C.1622/mx\nContent-Description: Undelivered Message\nContent-Type: message/rfc822\n\n"
        f"{_copy(mail)}\n--4F1C.1622/mx--\n"
    ).encode()


def exchange(mail: OutboxMail, to: str) -> bytes:
    """A vague status whose exact code stands in the diagnostic, HTML first, only the headers of the mail."""
    return (
        _from_server(to, "Undeliverable: Hello", f"exchange-{mail.pk}", "postmaster@oakvale.onmail.example")
        + 'Content-Type: multipart/report; report-type=delivery-status; boundary="_000_b"\nContent-Language: en-US\n\n'
        '--_000_b\nContent-Type: multipart/alternative; boundary="_001_b"\n\n--_001_b\n'
        'Content-Type: text/html; charset="utf-8"\nContent-Transfer-Encoding: base64\n\n'
        "PHA+Tm90IGRlbGl2ZXJlZDwvcD4=\n\n"
        "--_001_b--\n\n--_000_b\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns;AM0PR01.oakvale.example\nReceived-From-MTA: dns;mail-out.example\n\n"
        f"Final-Recipient: rfc822;{mail.address}\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found\n"
        " by SMTP address lookup\n\n"
        "--_000_b\nContent-Type: text/rfc822-headers\n\n"
        f"From: {mail.sender}\nTo: {mail.address}\nMessage-ID:\n {mail.message_id}\n\n--_000_b--\n"
    ).encode()


def exim(mail: OutboxMail, to: str) -> bytes:
    """Its own header beside the DSN, `rfc822;` recipients, a diagnostic over several lines."""
    return (
        _from_server(to, "Mail delivery failed: returning message to sender", f"exim-{mail.pk}")
        + f"X-Failed-Recipients: {mail.address}\nAuto-Submitted: auto-replied\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=1622-eximdsn-77\n\n"
        "--1622-eximdsn-77\nContent-type: text/plain; charset=us-ascii\n\nThis message was created automatically\n"
        "by mail delivery software.\n\n--1622-eximdsn-77\nContent-type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; {SERVER}\n\nAction: failed\nFinal-Recipient: rfc822;{mail.address}\nStatus: 5.0.0\n"
        "Remote-MTA: dns; mail.oakvale.example\n"
        "Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.\n"
        " 550 5.1.1 Please check the address\n\n--1622-eximdsn-77\nContent-type: message/rfc822\n\n"
        f"Return-path: <{to}>\n{_copy(mail)}\n--1622-eximdsn-77--\n"
    ).encode()


def qmail(mail: OutboxMail, to: str) -> bytes:
    """No DSN at all: words, a code in brackets, and a copy below a line."""
    return (
        _from_server(to, "failure notice", f"qmail-{mail.pk}")
        + f"\nHi. This is the qmail-send program at {SERVER}.\nI'm afraid I wasn't able to deliver your message.\n\n"
        f"<{mail.address}>:\n192.0.2.15 does not like recipient.\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        f"--- Below this line is a copy of the message.\n\n{_copy(mail)}"
    ).encode()


def internationalized(mail: OutboxMail, to: str) -> bytes:
    """RFC 6533: `message/global-delivery-status`, a recipient in UTF-8."""
    return (
        _from_server(to, "配信できません", f"global-{mail.pk}")
        + "Content-Type: multipart/report; report-type=global-delivery-status; boundary=g\n\n"
        "--g\nContent-Type: text/plain; charset=utf-8\n\n届きませんでした\n\n"
        "--g\nContent-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n\n"
        f"Reporting-MTA: dns; {SERVER}\n\nFinal-Recipient: utf-8; 苔@oakvale.example\nAction: failed\nStatus: 5.1.2\n"
        "Diagnostic-Code: smtp; 550 5.1.2 そのようなドメインはありません\n\n"
        f"--g\nContent-Type: message/global-headers\n\nMessage-ID: {mail.message_id}\n\n--g--\n"
    ).encode()


def full_mailbox(mail: OutboxMail, to: str) -> bytes:
    return postfix(mail, to, status="5.2.2")


def feedback(mail: OutboxMail, *, original: str, kind: str = "abuse", envelope: str = "") -> bytes:
    """ARF as large providers send it: the recipient is left out, `original` are headers of the mail as it arrived."""
    reported = f"Original-Mail-From: <{envelope}>\n" if envelope else ""
    return (
        _from_server("fbl@in.drover.example", "FW: Hello", f"arf-{kind}-{mail.pk}", "feedback@provider.example")
        + "Content-Type: multipart/report; report-type=feedback-report; boundary=arf\n\n"
        "--arf\nContent-Type: text/plain\n\nThis is an email abuse report.\n\n"
        "--arf\nContent-Type: message/feedback-report\n\n"
        f"Feedback-Type: {kind}\nUser-Agent: Provider-FBL/1.0\nVersion: 1\n{reported}Source-IP: 192.0.2.1\n\n"
        f"--arf\nContent-Type: message/rfc822\n\nSubject: Hello\n{original}\n\nHello\n\n--arf--\n"
    ).encode()


def reply(to: OutboxMail | None, **headers: str) -> bytes:
    """A person's answer. Keyword arguments set headers, `_` for `-`; an empty one leaves it out."""
    message = EmailMessage(policy=SMTP)
    threading = {"In-Reply-To": to.message_id, "References": f"<older@oakvale.example> {to.message_id}"} if to else {}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    known = {
        "From": "Ida Moss <Ida@Oakvale.example>",
        "To": "Jo Field <jo@oakvale.example>",
        "Subject": "Re: こんにちは",
        "Message-ID": "<reply-1@oakvale.example>",
        **threading,
    }
    for name, value in {**known, **given}.items():
        if value:
            message[name] = value
    message.set_content("Yes please, 苔\n")
    message.add_alternative("<p>Yes please, <b>苔</b></p>", subtype="html")
    return message.as_bytes()
