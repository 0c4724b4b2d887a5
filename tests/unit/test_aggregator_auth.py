"""The rules of the door."""

from __future__ import annotations

import pytest

from aggregator.auth import Identity, Limiter, Reach, Refused, check_origin
from aggregator.people import passwords


def test_roles_contain_each_other() -> None:
    """Viewer < operator < admin."""
    may = {role: [Identity("x", role).may(one) for one in ("viewer", "operator", "admin")]
           for role in ("viewer", "operator", "admin")}  # fmt: skip
    assert may == {
        "viewer": [True, False, False], "operator": [True, True, False], "admin": [True, True, True],
    }  # fmt: skip


def test_limiter_counts_by_address_and_forgets() -> None:
    """Ten failures within a minute close the door for that key, until the minute is over."""
    limiter = Limiter()
    for second in range(10):
        limiter.check("a", second)
        limiter.fail("a", second)
    with pytest.raises(Refused):
        limiter.check("a", 59)
    limiter.check("b", 59)
    limiter.check("a", 61)


def test_limiter_is_bounded() -> None:
    """Many addresses do not fill the memory."""
    limiter = Limiter()
    for number in range(11_000):
        limiter.fail(str(number), 0)
    assert len(limiter._failures) == 10_000


@pytest.mark.parametrize(
    ("origin", "host", "fits"),
    [
        ("http://centre:8080", "centre:8080", True),
        ("https://Centre", "centre", True),
        ("http://centre:8081", "centre:8080", False),
        ("http://centre.evil", "centre", False),
        ("null", "centre", False),
        ("", "centre", False),
        ("", "", False),
    ],
)
def test_origin(origin: str, host: str, fits: bool) -> None:
    """Only our own page's origin fits."""
    headers = {"Origin": origin, "Host": host}
    if fits:
        check_origin(headers, required=True)
    else:
        with pytest.raises(Refused):
            check_origin(headers, required=True)


def test_passwords_are_argon2id_and_older_keys_still_open() -> None:
    """What is kept is argon2id with salt; version 0.3's scrypt key opens, and is marked to be replaced."""
    kept = {"hash": passwords.hashed("pleaseletmein")}
    assert kept["hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert kept["hash"] != passwords.hashed("pleaseletmein")
    assert passwords.fits("pleaseletmein", kept)
    assert not passwords.fits("pleaseletmeout", kept)
    assert not passwords.fits("nobody has this password", None)
    assert not passwords.is_outdated(kept)
    old = {"salt": b"SodiumChloride", "key": passwords.scrypt_key("pleaseletmein", b"SodiumChloride")}
    assert passwords.fits("pleaseletmein", old)
    assert not passwords.fits("x", old)
    assert passwords.is_outdated(old)


def test_a_reach_never_grows() -> None:
    """Neither sites nor groups is the whole fleet; a site's name is met as it is written, or not at all."""
    assert Reach().meets("", [])
    north = Reach.of(["north"], ["buses"])
    near = (("north", []), ("", ["buses"]), ("North", []), ("north.1", []), ("", []), ("south", ["Buses"]))
    met = [north.meets(site, groups) for site, groups in near]
    assert met == [True, True, False, False, False, False]
