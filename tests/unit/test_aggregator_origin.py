"""Who is our own page: what browsers and proxies say, and what another site could."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from aggregator.origin import normal, refusal


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        # The port may be left out where it is the scheme's own.
        ({"Origin": "https://fleet.example", "Host": "fleet.example:443"}, True),
        ({"Origin": "http://fleet.example", "Host": "fleet.example:80"}, True),
        ({"Origin": "http://fleet.example:80", "Host": "fleet.example"}, True),
        ({"Origin": "http://fleet.example", "Host": "fleet.example:443"}, False),
        ({"Origin": "http://[fe80::1]", "Host": "[fe80::1]:80"}, True),
        # Another service of the same machine is another site.
        ({"Origin": "http://fleet.example:9000", "Host": "fleet.example"}, False),
        ({"Origin": "http://fleet.example:9000", "Host": "fleet.example", "X-Forwarded-Port": "9000"}, True),
        # A proxy tells the address that it was asked by.
        ({"Origin": "https://a.example", "Host": "127.0.0.1:8080", "X-Forwarded-Host": "a.example"}, True),
        ({"Origin": "https://a.example", "Host": "b:1", "X-Forwarded-Host": "a.example, inner"}, True),
        ({"Origin": "https://a.example", "Host": "b:1", "Forwarded": "for=1.2.3.4;host=a.example"}, True),
        ({"Origin": "https://a.example:8443", "Host": "b:1", "Forwarded": 'host="a.example:8443"'}, True),
        ({"Origin": "https://evil.example", "Host": "b:1", "X-Forwarded-Host": "a.example"}, False),
        # A browser's own word counts more than any address.
        ({"Origin": "https://a.example", "Host": "127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://a.example", "Host": "a.example", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://a.example", "Host": "a.example", "Sec-Fetch-Site": "cross-site"}, False),
        # What the owner listed is ours, whatever a browser calls it.
        ({"Origin": "https://Listed.example", "Host": "b:1", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://listed.example", "Host": "b:1"}, False),
        ({"Origin": "null", "Host": "a.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://[", "Host": "a.example"}, False),
        ({"Origin": "http://a.example:99999", "Host": "a.example"}, False),
        ({"Origin": "http://a.example/path", "Host": "a.example"}, False),
        ({"Host": "a.example"}, False),
    ],
)
def test_who_is_our_own_page(headers: dict[str, str], ours: bool) -> None:
    """A write is let in from our own address and port, as browser or proxy tell it, and else never."""
    assert (refusal(CIMultiDict(headers), {normal("https://listed.example/")}) == "") is ours


def test_a_refusal_names_both_sides_and_the_remedy() -> None:
    """Who reads it can write the line that lets the page in."""
    said = refusal(CIMultiDict({"Origin": "https://fleet.example", "Host": "10.0.0.5:8080"}), ())
    assert "https://fleet.example" in said
    assert "10.0.0.5:8080" in said
    assert 'origins = ["https://fleet.example"]' in said
    assert "\n" not in said


def test_an_origin_has_one_form() -> None:
    """Case, the scheme's own port, a slash and letters beyond ASCII make no other origin."""
    assert (
        normal("HTTPS://Fleet.Example/") == normal("https://fleet.example:443") == "https://fleet.example:443"
    )
    assert normal("https://bücher.example") == "https://xn--bcher-kva.example:443"
    assert [
        normal(text) for text in ("", "fleet.example", "ftp://x", "https://u@x", "https://x/y", "null")
    ] == [""] * 6
