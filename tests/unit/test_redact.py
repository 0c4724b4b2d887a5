"""No secret of a box leaves it with its logs or its support archive."""

from __future__ import annotations

import json
import logging
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from agent import __main__ as command
from agent import config, logs
from agent.redact import Redactor

PASSWORD = "s3cr3t/of the@camera"
QUERY = "queryS3cret"
BROKER = "4f" * 24
PAGE = "pageTokenOfThisBox-0123456789"
OUT = "pushpass99"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """The config file of a box with a secret in each place where one may be."""
    (tmp_path / "secret").write_text(BROKER + "\n")
    state = tmp_path / "state"
    state.mkdir()
    (state / "page-token").write_text(PAGE)
    path = tmp_path / "agent.toml"
    path.write_text(
        f'node = "box-1"\nstate_dir = "{state}"\n# the old password was oldOne42\n'
        f'[broker]\nurl = "mqtt://127.0.0.1:1"\npassword_file = "{tmp_path / "secret"}"\n'
        f'[camera.cam0]\nsource = "rtsp://admin:{quote(PASSWORD, safe="")}@127.0.0.1:1/s?user=bob'
        f'&pwd={QUERY}"\n'
        f'rtsp_out = "rtsp://push:{OUT}@127.0.0.1:1/out"\n'
    )
    return path


def secrets() -> list[str]:
    return [PASSWORD, quote(PASSWORD, safe=""), QUERY, BROKER, PAGE, OUT]


def test_what_the_config_names_as_secret_is_struck_out_in_every_spelling(box: Path) -> None:
    """The raw form, the percent-encoded one, and the content of the files that it names."""
    loaded = config.load(box)
    redactor = Redactor(loaded, [Path(loaded.state_dir) / "page-token"])
    for secret in secrets():
        assert secret not in redactor.clean(f"before {secret} after")
    clean = redactor.clean("opened http://127.0.0.1/a?x=1 and rtsp://joe:pw@host/2: ok")
    assert clean == "opened http://127.0.0.1/a?*** and rtsp://***@host/2: ok"


@pytest.mark.parametrize("form", [json.dumps, partial(json.dumps, ensure_ascii=False), repr, quote])
def test_a_password_of_odd_letters_is_struck_out_within_json_and_addresses(
    tmp_path: Path, form: Callable[[str], str]
) -> None:
    """Quotes, backslashes and umlauts are written otherwise in a document, a message and an address."""
    password = 's3cr3t/of "the"\\cäm@era'
    path = tmp_path / "agent.toml"
    address = f"rtsp://admin:{quote(password, safe='')}@127.0.0.1/s"
    path.write_text(f'node = "box-1"\nstate_dir = "{tmp_path}"\n[camera.cam0]\nsource = "{address}"\n')
    redactor = Redactor(config.load(path))
    written = form(password)
    assert redactor.clean(f"cam0: {written} was refused") in (
        "cam0: *** was refused",
        f"cam0: {written[0]}***{written[-1]} was refused",
    )
    lower = quote(password, safe="").lower()
    assert redactor.clean(f"opened {lower} at last") == "opened *** at last"
    path.write_text(path.read_text().replace("rtsp://", ""))  # as somebody writes who forgets it
    assert Redactor(config.load(path)).clean(f"opened {lower} at last") == "opened *** at last"


@pytest.mark.parametrize(
    "text",
    [
        'token = "hidden-9"',
        "password=hidden-9",
        "Authorization: Bearer hidden-9",
        '{"api_key": "hidden-9"}',
        "-----BEGIN PRIVATE KEY-----\nhidden-9\n-----END PRIVATE KEY-----",
    ],
)
def test_what_only_looks_like_a_secret_goes_too(box: Path, text: str) -> None:
    """Secrets that the config does not know: those of others, in a message of a library."""
    assert "hidden-9" not in Redactor(config.load(box)).clean(text)


def test_what_is_no_secret_stays(box: Path) -> None:
    """A log without its camera names, states and times would be of no use."""
    line = "2026-11-28 23:00:01,120 WARNING cam0: absent: rtsp://127.0.0.1:554/1 does not answer"
    assert Redactor(config.load(box)).clean(line) == line


def test_logs_are_kept_bounded_and_read_without_secrets(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of the agent are in the state folder, two files at most; the command prints the last ones."""
    state = Path(config.load(box).state_dir)
    root = logging.getLogger()
    before = list(root.handlers)
    logs.keep(state)
    try:
        for number in range(4000):
            root.warning("line %d of cam0, password=%s %s", number, OUT, "x" * 160)
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
    files = list(state.glob("agent.log*"))
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) <= 2 * logs.FILE_BYTES
    assert command.main(["logs", "--lines", "20", "--config", str(box)]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 20
    assert "line 3999 of cam0" in printed
    assert OUT not in printed
    answer = logs.read(state, 5000, Redactor(config.load(box)), logs.MOST_LETTERS)
    assert len(answer) <= logs.MOST_LETTERS


def test_the_support_archive_holds_no_secret_and_no_picture(box: Path, tmp_path: Path) -> None:
    """No file in it names a password, token, key or a credential of a source; none holds a picture."""
    state = Path(config.load(box).state_dir)
    (state / "agent.log").write_text(f"WARNING cam0: rtsp://admin:{PASSWORD}@h/ {PAGE} {BROKER}\n")
    (state / "leftover.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    out = tmp_path / "out.tar.gz"
    assert command.main(["support", "--output", str(out), "--config", str(box)]) == 0
    assert out.stat().st_mode & 0o077 == 0
    with tarfile.open(out) as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive.getmembers()}  # type: ignore[union-attr]
    assert set(content) >= {
        f"support/{n}" for n in ("agent.toml", "agent.log", "status.json", "check.txt", "box.json")
    }
    everything = b"\n".join(content.values())
    for secret in (*secrets(), "admin:", "oldOne42"):
        assert secret.encode() not in everything, secret
    assert b"\xff\xd8\xff" not in everything
    assert b"FAIL  cam0 source" in content["support/check.txt"]
    assert command.main(["support", "--output", str(out), "--config", str(box)]) == 1  # never over another
