"""The centre's commands, as an operator types them, against a real broker and a real database."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shlex
import stat
import subprocess
import sys
import time
import unittest.mock
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from agent.enrol import EnrolError, join_centre
from aggregator import auth
from aggregator.__main__ import main
from aggregator.config import ConfigError, load
from aggregator.setup.settings import change, lines
from deploy.stack import Stack

from .box import centre as run_centre
from .box import settings
from .test_api import BEARER, PREFIX, get, scene, served
from .test_enrol import Centre


def run(*words: str, config: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `gb-aggregator` in this process, which spares its start."""
    out = io.StringIO()
    err = io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        unittest.mock.patch("sys.stdin", io.StringIO(typed)),
    ):
        code = main([*words, "--config", str(config)])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Path]:
    """The config of a prepared centre whose broker runs, with the session's database."""
    centre = Centre(tmp_path_factory.mktemp("centre"))
    config = centre.folder / "centre" / "aggregator.toml"
    text = config.read_text()
    start = text.index("[mongodb]")
    end = text.index("[http]")
    config.write_text(
        f'{text[:start]}[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "commands"\n\n{text[end:]}'
    )
    centre.service.start()
    yield config
    centre.service.kill()


def test_users_are_listed_changed_and_removed(made: Path) -> None:
    """A user is added, shown with the role, changed by the same command, removed; a wrong name is told."""
    assert run("list-users", config=made).stdout == ""
    for name, role in (("berta", "viewer"), ("anna", "admin"), ("berta", "operator")):
        assert run("add-user", name, "--role", role, config=made, typed="a long password\n").returncode == 0
    assert run("list-users", config=made).stdout == "anna admin\nberta operator\n"
    assert run("remove-user", "berta", config=made).returncode == 0
    assert run("list-users", config=made).stdout == "anna admin\n"
    done = run("remove-user", "berta", config=made)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no user berta; `gb-aggregator list-users` shows all" in done.stderr


async def test_a_removed_user_is_logged_out(stack: Stack) -> None:
    """The session of a removed user ends at once."""
    async with scene(stack, "leave-1") as (running, _, client):
        await auth.add_user(running.store, "berta", "a long password", "viewer")
        body = {"user": "berta", "password": "a long password"}
        async with ClientSession(client._base_url) as browser:
            async with browser.post(f"{PREFIX}/login", json=body) as response:
                cookie = {"Cookie": f"{auth.COOKIE}={response.cookies[auth.COOKIE].value}"}
            assert await running.store.people.remove_user("berta")
            async with browser.get(f"{PREFIX}/me", headers=cookie) as response:
                assert response.status == 401


def test_a_new_token_replaces_the_old_one(made: Path) -> None:
    """`token --new` prints another one, keeps it as safely, and says when it comes into force."""
    old = run("token", config=made).stdout
    done = run("token", "--new", config=made)
    assert done.returncode == 0
    assert done.stdout != old
    assert len(done.stdout.strip()) == 48
    assert "docker compose restart aggregator" in done.stderr
    assert run("token", config=made).stdout == done.stdout
    assert stat.S_IMODE((made.parent / "token").stat().st_mode) == 0o600
    assert load(made).token() == done.stdout.strip()


def test_settings_are_shown_and_changed_and_comments_stay(made: Path) -> None:
    """`set` shows all, one, or writes one of each kind into the file that the next start reads."""
    said = run("set", config=made).stdout
    assert 'site.timezone = "UTC"' in said
    assert "http.secure_cookie = false" in said
    before = made.read_text()
    done = run("set", "site.timezone", "Europe/Berlin", config=made)
    assert (done.returncode, done.stdout) == (0, 'site.timezone = "Europe/Berlin"\n')
    assert "a running aggregator applies it within seconds" in done.stderr
    assert made.read_text() == before.replace('timezone = "UTC"', 'timezone = "Europe/Berlin"')
    for key, value in (
        ("http.secure_cookie", "true"), ("http.session_hours", "12"), ("ingest.linger_ms", "30"),
        ("http.origins", "https://a.example,https://b.example"), ("enrol.hosts", "centre.example 10.1.2.3"),
    ):  # fmt: skip
        done = run("set", key, value, config=made)
        assert done.returncode == 0, key
        assert "docker compose restart aggregator" in done.stderr, key
    config = load(made)
    assert config.site.timezone == "Europe/Berlin"
    assert (config.http.secure_cookie, config.http.session_hours) == (True, 12)
    assert config.http.origins == ["https://a.example", "https://b.example"]
    assert config.enrol.hosts == ["centre.example", "10.1.2.3"]
    assert config.ingest.linger_ms == 30
    assert run("set", "enrol.hosts", "127.0.0.1", config=made).returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["site.timezone", "Mars/Base"], "site.timezone: no zone 'Mars/Base'"),
        (["http.secure_cookie", "yes"], "neither a number nor true or false"),
        (["http.session_hours", "0"], "http.session_hours"),
        (["http.origins", "fleet.example"], "write it like https://fleet.example"),
        (["secure_cookie", "true"], "did you mean http.secure_cookie?"),
        (["site.timezome", "UTC"], "did you mean site.timezone?"),
        (["nonsense", "1"], "`gb-aggregator set` shows all"),
        (["http"], "there is no such setting"),
    ],
)
def test_a_wrong_setting_changes_nothing(made: Path, words: list[str], says: str) -> None:
    """What the next start would refuse is refused now, in one line, and the file stays as it was."""
    before = made.read_bytes()
    done = run("set", *words, config=made)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert made.read_bytes() == before
    assert list(made.parent.glob("*.new")) == []


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """A token in the file and a password in the database's address are no settings to show."""
    path = tmp_path / "aggregator.toml"
    path.write_text('[http]\ntoken = "0123456789abcdef"\n[mongodb]\nuri = "mongodb://gb:secret@127.0.0.1"\n')
    assert "0123456789abcdef" not in "".join(lines(path))
    assert "secret@" not in "".join(lines(path))
    path.write_text("[site]\n")
    assert change(path, "http.port", "9090") == "http.port = 9090"
    with pytest.raises(ConfigError, match=r"aggregator\.toml: http\.port"):
        change(path, "http.port", "90909")


def test_a_line_can_be_printed_again_until_the_box_has_joined(made: Path, tmp_path: Path) -> None:
    """The line is alone on standard output, what it needs stands beside it; only the last one works."""
    done = run("add-node", "gate-07", config=made)
    (first,) = done.stdout.splitlines()
    assert first.startswith("sudo systemd/install.sh --join mqtts://127.0.0.1:")
    assert first.endswith(" --source 0")
    for word in ("git clone REPOSITORY gb-fleet", "--source", "60 minutes", "add-node gate-07 --again"):
        assert word in done.stderr
    done = run("add-node", "gate-07", config=made)
    assert done.returncode == 1
    assert "add-node gate-07 --again" in done.stderr
    assert run("set", "enrol.repository", "https://git.example/gb-fleet", config=made).returncode == 0
    done = run("add-node", "gate-07", "--again", config=made)
    assert "git clone https://git.example/gb-fleet gb-fleet" in done.stderr
    (second,) = done.stdout.splitlines()
    old, new = ({**dict(zip(w[2::2], w[3::2], strict=True))} for w in map(shlex.split, (first, second)))
    assert old["--code"] != new["--code"]
    with pytest.raises(EnrolError):
        join_centre(old["--join"], "gate-07", old["--code"], old["--fingerprint"], tmp_path / "agent.toml")
    assert run("add-node", "gate-99", "--again", config=made).returncode == 1


def test_a_box_that_has_joined_gets_no_new_line(made: Path) -> None:
    """The demo's box holds a secret of its own: its line is refused in words."""
    done = run("add-node", "demo-1", "--again", config=made)
    assert (done.returncode, done.stdout) == (1, "")
    assert "demo-1 has joined" in done.stderr


async def test_the_page_is_told_who_waits(made: Path, stack: Stack) -> None:
    """A node that was added and never came is in the fleet's answer, until it is removed."""
    assert (await asyncio.to_thread(run, "add-node", "gate-08", config=made)).returncode == 0
    config = settings(stack.mqtt_url, stack.mongodb_uri, "commands")
    async with (
        run_centre(config) as running,
        served(running) as address,
        ClientSession(address, headers=BEARER) as client,
    ):
        (row,) = [one for one in (await get(client, "/fleet"))["waiting"] if one["node"] == "gate-08"]
        assert 3_500_000 < row["until"] - time.time() * 1000 <= 3_600_500
        await asyncio.to_thread(run, "remove-node", "gate-08", config=made)
        waiting = (await get(client, "/fleet"))["waiting"]
        assert "gate-08" not in [one["node"] for one in waiting]


def test_a_database_that_is_away_does_not_stop_a_node(made: Path, tmp_path: Path) -> None:
    """The line is printed though the page cannot be told; that is said."""
    text = made.read_text()
    config = made.with_name("away.toml")
    config.write_text(
        text[: text.index("[mongodb]")]
        + '[mongodb]\nuri = "mongodb://127.0.0.1:1"\n'
        + text[text.index("[http]") :]
    )
    done = run("add-node", "gate-09", config=config)
    assert done.returncode == 0
    assert done.stdout.startswith("sudo systemd/install.sh")
    assert "the page will not show that gate-09 waits" in done.stderr
    config.unlink()


def test_a_reader_that_goes_is_no_traceback(made: Path) -> None:
    """`gb-aggregator set | head -1` ends without a word."""
    command = f"{sys.executable} -m aggregator set --config {made} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
