"""Where secrets do not lie: in arguments, environment, logs, layers of images, and the repository."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agent.enrol import join_centre
from deploy.stack import Stack, die_with_parent

from .test_enrol import Centre

ROOT = Path(__file__).parents[2]
NO_SECRETS = {"ca.crt", "page.crt", "address", "hosts", "aggregator.toml", "agent.toml"}
DOCKERFILES = ("agent/Dockerfile", "aggregator/Dockerfile", "export/Dockerfile")


def secrets_of(*folders: Path) -> dict[str, str]:
    """Return file -> the secret in it."""
    files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    return {str(file): file.read_text().strip() for file in files if file.name not in NO_SECRETS}


def test_a_running_centre_and_its_box_show_no_secret(tmp_path: Path, stack: Stack) -> None:
    """A box joins by its code and both run, most talkative: no secret is in what any user of the machine may
    see of a process, nor in what its children inherit, nor in what is logged.
    """
    (tmp_path / "made").mkdir()
    centre = Centre(tmp_path / "made")
    config = centre.folder / "centre" / "aggregator.toml"
    text = config.read_text()
    database = f'[mongodb]\nuri = "{stack.mongodb_uri}"\ndatabase = "secrets"\n\n'
    config.write_text(text[: text.index("[mongodb]")] + database + text[text.index("[http]") :])
    log = tmp_path / "log"
    box = tmp_path / "box"
    box.mkdir()
    centre.service.start()
    with log.open("wb") as out:
        logs = {"stdout": out, "stderr": out, "cwd": ROOT, "preexec_fn": die_with_parent}
        run = "import logging; logging.basicConfig(level=logging.DEBUG); import runpy, sys; "
        processes = []
        try:
            for module, file in (("aggregator", config), ("agent", box / "agent.toml")):
                if module == "agent":
                    url, code, fingerprint = centre.node("gate-07")
                    asyncio.run(joined(url, code, fingerprint, file))
                    file.write_text(file.read_text().replace("/var/lib/gb-agent", str(box / "state")))
                script = f"{run}sys.argv = ['gb-{module}', 'run', '--config', {str(file)!r}]; "
                script += f"runpy.run_module({module!r}, run_name='__main__')"
                processes.append(psutil.Popen([sys.executable, "-c", script], **logs))
                until_logged(log, "connected to" if module == "aggregator" else "watching cam0")
            shown = [text for process in processes for text in seen_of(process)]
        finally:
            for process in processes:
                process.terminate()
                process.wait(20)
            centre.service.kill()
    found = secrets_of(centre.folder / "centre", box)
    assert len(found) >= 6
    shown += [log.read_text(), (centre.folder / "mosquitto.log").read_text()]
    for file, secret in found.items():
        assert not any(secret in text for text in shown), file
    assert not any(code in text for text in shown)


def seen_of(process: psutil.Popen) -> list[str]:
    """Return the arguments and the environment of a process and all that it started."""
    family = [process, *process.children(recursive=True)]
    return [" ".join(one.cmdline()) + repr(one.environ()) for one in family]


async def joined(url: str, code: str, fingerprint: str, config: Path) -> None:
    """Join as a box does, until the centre is up."""
    async with asyncio.timeout(60):
        await asyncio.to_thread(join_centre, url, "gate-07", code, fingerprint, config)


def until_logged(log: Path, words: str) -> None:
    """Wait until something is logged."""
    for _ in range(600):
        if words in log.read_text(errors="replace"):
            return
        time.sleep(0.1)
    raise AssertionError(f"{words!r} was not logged: {log.read_text()[-2000:]}")


@pytest.mark.parametrize("file", DOCKERFILES)
def test_no_layer_of_an_image_is_given_a_secret(file: str) -> None:
    """No secret comes by an argument, the environment or a copied file: only what is in the repository is
    copied, folder by folder, and no file that git does not hold.
    """
    text = (ROOT / file).read_text().replace("\\\n", " ")
    named = re.findall(r"^(?:ARG|ENV)\s+(.*)$", text, re.M)
    assert not [row for row in named if re.search(r"secret|token|passw|key|credential", row, re.I)]
    assert "--mount=type=secret" not in text
    held = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())
    for row in re.findall(r"^COPY\s+(?!--from)(.*)$", text, re.M):
        for source in row.split()[:-1]:
            inside = source.rstrip("/")
            assert inside in held or any(path.startswith(f"{inside}/") for path in held), source


def test_the_context_of_images_leaves_out_what_the_repository_does_not_hold() -> None:
    """`.dockerignore` lets nothing in but named folders, and of those not what `.gitignore` calls secret."""
    rows = [row for row in (ROOT / ".dockerignore").read_text().splitlines() if row and row[0] != "#"]
    assert rows[0] == "*"
    let_in = {row[1:] for row in rows if row.startswith("!")}
    assert let_in == {
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "LICENSE",
        "agent",
        "aggregator",
        "export",
    }


def test_the_repository_holds_no_private_key() -> None:
    """No file that git holds has a private key in it, or a secret as the centre makes them; the test of what
    is struck out of logs has one that was made up.
    """
    patterns = ["-e", "-----BEGIN [A-Z ]*PRIVATE KEY-----", "-e", "^[0-9a-f]{48}$"]
    found = subprocess.run(
        ["git", "grep", "-lIE", *patterns, "--", ".", ":!tests/unit/test_redact.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")
