"""The one form of an e-mail address."""

import pytest

from crm.errors import Invalid
from crm.mail.addresses import normalise


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("ida@oakvale.example", "ida@oakvale.example"),
        ("  Ida.Berg+News@OakVale.Example ", "ida.berg+news@oakvale.example"),
        ("ida@bücher.example", "ida@xn--bcher-kva.example"),
        ("ida@例え.jp", "ida@xn--r8jz45g.jp"),
        ("o'hara@oakvale.example", "o'hara@oakvale.example"),
    ],
)
def test_an_address_has_one_form(written: str, stored: str) -> None:
    assert normalise(written) == stored
    assert normalise(stored) == stored


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ida",
        "ida@",
        "@oakvale.example",
        "ida berg@oakvale.example",
        "ida@oak vale.example",
        "ida@oakvale.example\r\nBcc: eve@oakvale.example",
        "ida@oakvale.example\n",
        "ida\x00@oakvale.example",
        "ida\x1b@oakvale.example",
        "ida@oakvale.example\u2028",
        "ida@oakvale.example, eve@oakvale.example",
        "Ida <ida@oakvale.example>",
        "ida@oakvale.example> SIZE=1",
        "井田@oakvale.example",
        "ida@" + "a" * 64 + ".example",
        "i" * 65 + "@oakvale.example",
        "ida@" + "oakvale." * 32 + "example",
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(Invalid):
        normalise(written)
