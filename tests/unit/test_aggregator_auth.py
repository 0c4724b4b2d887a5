"""The rules of the door."""

from __future__ import annotations

import pytest

from aggregator.auth import Identity, Limiter, Refused, check_origin, hash_password


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


def test_password_key_is_scrypt() -> None:
    """The key is long and depends on the password and the salt."""
    assert hash_password("pleaseletmein", b"SodiumChloride") != hash_password("pleaseletmein", b"x" * 16)
    assert hash_password("x", b"y" * 16) != hash_password("z", b"y" * 16)
    assert len(hash_password("x", b"y" * 16)) == 64
