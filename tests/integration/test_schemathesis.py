"""The API against its own description, by a program of others: schemathesis reads OpenAPI and asks.

`GB_FUZZ_SECONDS` makes the run longer than the suite's; what it found is printed whole.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import wire
from aggregator.api import OUTSIDE, PREFIX, ROUTES, VERSION
from aggregator.field_words import WORDS
from aggregator.openapi import describe
from deploy.stack import Stack

from .box import TOKEN, batch, crossing
from .test_api import scene

SECONDS = int(os.environ.get("GB_FUZZ_SECONDS", "30"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# They do not end, end this very session, or take away the only node that there is to ask about.
NOT_ASKED = (
    "GET /stream", "GET /nodes/{node}/cameras/{camera}/preview", "POST /logout", "DELETE /nodes/{node}",
)  # fmt: skip
SETTINGS = """
[parameters]
"path.node" = "fuzz-1"
"path.camera" = "cam0"
"path.line" = "main"
"path.zone" = "stop"
"""


async def test_no_request_that_fits_or_breaks_the_description_breaks_the_centre(
    stack: Stack, tmp_path: Path
) -> None:
    """No server error, and every answer has a status, a media type and a shape that OpenAPI names."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed: `make setup` does it")
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    async with scene(stack, "fuzz-1") as (_, node, client):
        await node.send(batch(7, 1, [crossing(1), wire.CameraState(1, "cam0", "ok")]))
        words = ["--config-file", "schemathesis.toml", "run"]
        words += [f"{str(client._base_url).rstrip('/')}{PREFIX}/openapi.json"]
        words += ["-H", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS, "--phases", "coverage,fuzzing"]
        words += ["--max-time", str(SECONDS), "--continue-on-failure", "--no-color", "--workers", "2"]
        words += ["--suppress-health-check", "all", "--request-timeout", "30", "--warnings", "off"]
        words += ["--report-json-path", "report.json", "--report-ndjson-path", "all.ndjson"]
        for operation in NOT_ASKED:
            method, path = operation.split()
            words += ["--exclude-name", f"{method} {PREFIX}{path}"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", *words, cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        printed = (await process.communicate())[0].decode()
        print(printed[-20_000:])
        assert process.returncode == 0
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["operations"]["tested"] == report["operations"]["total"] - len(NOT_ASKED)
        taken = re.findall(r'"status_code": ?2\d\d', (tmp_path / "all.ndjson").read_text())
        assert len(taken) > 50, "hardly a request was taken, so nothing was tried"


def fields() -> list[tuple[str, dict[str, Any]]]:
    """Return the place and the description of each field and parameter of OpenAPI."""
    told = describe([*ROUTES, *OUTSIDE], PREFIX, VERSION)
    found = [
        (f"{kind}.{name}", field)
        for kind, schema in told["components"]["schemas"].items()
        for name, field in schema.get("properties", {}).items()
    ]
    return found + [
        (f"{path} {parameter['name']}", parameter)
        for path, operations in told["paths"].items()
        for operation in operations.values()
        for parameter in operation["parameters"]
    ]


def test_every_field_of_the_description_says_what_it_means() -> None:
    """Each field and each parameter, of the path and of the query, has words."""
    assert [place for place, field in fields() if not field.get("description", "").strip()] == []


def test_no_words_are_left_over_for_fields_that_are_not_there() -> None:
    """What the description says of fields is about fields that there are."""
    places = [re.split(r"[. ]", place) for place, _ in fields()]
    known = {f"{parts[-2]}.{parts[-1]}" for parts in places} | {parts[-1] for parts in places}
    assert [name for name in WORDS if name not in known and not name.startswith("Path.")] == []
