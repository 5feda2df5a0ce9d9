"""`/connected_account/`: fetched as Close has it; made, changed and tested as we have it."""

import pytest
from pytest_django import Settings

from crm import secrets
from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import EmailAccount, Membership, Organization, OutboxMail, Role
from tests import factories
from tests.crm.api.close.conftest import Close
from tests.smtp import Post, nobody_listening, serving

PASSWORD = "s3cret-w0rd"
BODY = {
    "identities": [{"email": "Jo@OakVale.example", "name": "Jo Field"}, {"email": "sales@oakvale.example"}],
    "smtp": {"host": "mail.oakvale.example", "port": 587, "use_ssl": True, "username": "jo", "password": PASSWORD},
    "daily_limit": 200,
    "hourly_limit": 20,
    "minimum_gap_seconds": 30,
}


@pytest.fixture(autouse=True)
def _private_hosts(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_SMTP_HOSTS = True


def problems(answer: object) -> dict[str, object]:
    assert answer.status_code == 400, answer.content
    return answer.json()["field-errors"]


def test_an_account_is_made_fetched_listed_changed_and_deleted(close: Close, membership: Membership) -> None:
    made = close.post("/connected_account/", BODY)
    assert made.status_code == 201
    account = made.json()
    user_id = close_id("user", membership.user_id)
    jo = {"email": "jo@oakvale.example", "name": "Jo Field"}
    assert account["identities"] == [jo, {"email": "sales@oakvale.example", "name": ""}]
    assert (account["default_identity"], account["email"]) == (jo, jo["email"])
    assert account["smtp"] == {
        "host": "mail.oakvale.example",
        "port": 587,
        "use_ssl": True,
        "security": "starttls",
        "username": "jo",
    }
    assert (account["_type"], account["user_id"], account["send_status"]) == ("custom_email", user_id, "ok")
    path = f"/connected_account/{account['id']}/"
    assert close.get(path).json() == account
    listed = close.get("/connected_account/", user_id=user_id).json()
    assert (listed["data"], close.get("/me/").json()["email_accounts"]) == ([account], [account])
    assert close.get("/connected_account/", user_id="user_x").json()["data"] == []
    changed = close.put(path, {"daily_limit": None, "default_identity": {"email": "sales@oakvale.example"}}).json()
    assert (changed["daily_limit"], changed["email"]) == (None, "sales@oakvale.example")
    assert len(changed["identities"]) == 2
    assert close.delete(path).status_code == 204
    assert close.get(path).status_code == 404


def test_the_password_is_encrypted_and_never_comes_back(close: Close) -> None:
    made = close.post("/connected_account/", BODY)
    path = f"/connected_account/{made.json()['id']}/"
    stored = EmailAccount.objects.get().smtp_password
    assert PASSWORD not in stored
    assert secrets.decrypt(stored) == PASSWORD
    kept = close.put(path, {"smtp": {"host": "mail.oakvale.example"}})
    for answer in (made, close.get(path), close.get("/connected_account/"), close.get("/me/"), kept):
        assert PASSWORD.encode() not in answer.content
        assert stored.encode() not in answer.content
    assert secrets.decrypt(EmailAccount.objects.get().smtp_password) == PASSWORD


def test_another_server_does_not_get_the_password_of_the_old_one(close: Close) -> None:
    path = f"/connected_account/{close.post('/connected_account/', BODY).json()['id']}/"
    for smtp in ({"host": "evil.example"}, {"security": "none"}, {"port": 25}, {"username": "eve"}):
        assert "password" in problems(close.put(path, {"smtp": smtp}))["smtp"]
    moved = close.put(path, {"smtp": {"host": "new.example", "password": "other"}})
    assert moved.json()["smtp"]["host"] == "new.example"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"identities": []}, "identities"),
        ({"identities": [{"email": "jo"}]}, "identities"),
        ({"identities": [{"email": "jo@x.example\r\nBcc: a@x.example"}]}, "identities"),
        ({"identities": [{"email": "jo@x.example", "name": "Jo\r\nBcc: a@x.example"}]}, "identities"),
        ({"default_identity": "jo"}, "default_identity"),
        ({"smtp": 3}, "smtp"),
        ({"smtp": {"port": 25}}, "smtp"),
        ({"smtp": {"host": "a b"}}, "smtp"),
        ({"smtp": {"host": "mail.example\r\n"}, "daily_limit": 0}, "daily_limit"),
        ({"smtp": {"host": "mail.example", "port": 70000}}, "smtp"),
        ({"smtp": {"host": "mail.example", "security": "tls"}}, "smtp"),
        ({"smtp": {"host": "mail.example", "username": "jo\r\nX"}}, "smtp"),
        ({"smtp": {"host": "mail.example", "password": "pä"}}, "smtp"),
        ({"daily_limit": 10**30}, "daily_limit"),
        ({"hourly_limit": True}, "hourly_limit"),
        ({"minimum_gap_seconds": -1}, "minimum_gap_seconds"),
        ({"user_id": "user_x"}, "user_id"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_told_by_its_key(close: Close, change: dict[str, object], key: str) -> None:
    assert key in problems(close.post("/connected_account/", {**BODY, **change}))
    assert not EmailAccount.objects.exists()


def test_private_hosts_are_refused_unless_the_setting_allows_them(close: Close, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_SMTP_HOSTS = False
    for host in ("127.0.0.1", "localhost", "169.254.169.254", "[::1]"):
        found = problems(close.post("/connected_account/", {**BODY, "smtp": {"host": host}}))
        assert "not allowed" in found["smtp"]["host"]


def test_a_test_connects_and_says_what_failed(close: Close, settings: Settings) -> None:
    settings.SMTP_TIMEOUT_SECONDS = 2
    with serving(Post(login=("jo", PASSWORD))) as port:
        smtp = {"host": "127.0.0.1", "port": port, "security": "none", "username": "jo", "password": PASSWORD}
        path = f"/connected_account/{close.post('/connected_account/', {**BODY, 'smtp': smtp}).json()['id']}/"
        assert close.post(f"{path}test/").json() == {"ok": True, "stage": "done", "error": None}
        close.put(path, {"smtp": {"password": "wrong-w0rd"}})
        answer = close.post(f"{path}test/").json()
        assert (answer["ok"], answer["stage"], answer["error"][:3]) == (False, "login", "535")
        account = close.get(path).json()
        assert (account["send_status"], account["latest_send_error"]) == ("error", answer["error"])
        with nobody_listening() as nobodys:
            close.put(path, {"smtp": {"port": nobodys, "password": PASSWORD}})
            answer = close.post(f"{path}test/").json()
        assert (answer["ok"], answer["stage"]) == (False, "connect")
        close.put(path, {"smtp": {"port": port, "security": "starttls", "password": PASSWORD}})
        assert "STARTTLS" in close.post(f"{path}test/").json()["error"]


def test_members_change_their_own_accounts_and_admins_all(
    close: Close, membership: Membership, organization: Organization
) -> None:
    other = factories.MembershipFactory.create(organization=organization, role=Role.USER)
    theirs = Close(make_api_key(membership=other)[1])
    shared = close.post("/connected_account/", {**BODY, "user_id": None, "smtp": None}).json()
    own = theirs.post("/connected_account/", BODY).json()
    assert own["user_id"] == close_id("user", other.user_id)
    assert {one["id"] for one in theirs.get("/me/").json()["email_accounts"]} == {shared["id"], own["id"]}
    path = f"/connected_account/{shared['id']}/"
    refused = [
        theirs.put(path, {"daily_limit": 1}),
        theirs.delete(path),
        theirs.post(f"{path}test/"),
        theirs.post("/connected_account/", {**BODY, "smtp": None}),
        theirs.post("/connected_account/", {**BODY, "user_id": close_id("user", membership.user_id)}),
        theirs.put(f"/connected_account/{own['id']}/", {"user_id": None}),
    ]
    assert {answer.status_code for answer in refused} == {403}
    assert close.put(f"/connected_account/{own['id']}/", {"daily_limit": 1}).json()["daily_limit"] == 1


def test_accounts_of_others_do_not_exist(close: Close, stranger: Close) -> None:
    account = close.post("/connected_account/", BODY).json()
    for account_id in (account["id"], "emailacct_x"):
        path = f"/connected_account/{account_id}/"
        answers = [stranger.get(path), stranger.put(path, {}), stranger.delete(path), stranger.post(f"{path}test/")]
        assert {answer.status_code for answer in answers} == {404}
    assert stranger.get("/connected_account/").json()["data"] == []


def test_an_account_with_waiting_mail_is_not_deleted(close: Close, organization: Organization) -> None:
    account = close.post("/connected_account/", BODY).json()
    OutboxMail.objects.create(
        organization=organization,
        account=EmailAccount.objects.get(),
        purpose="single",
        address="ida@x.example",
        sender="x",
        subject="x",
        body_text="x",
        message_id="<1@x>",
    )
    answer = close.delete(f"/connected_account/{account['id']}/")
    assert (answer.status_code, answer.json()["errors"]) == (400, ["Mail is waiting to leave by this account."])
