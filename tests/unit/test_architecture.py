"""The house rules that a machine can hold: one arrow of imports, light modules, no blanket excepts."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "aggregator", "export")
MAY_IMPORT = {
    "agent": set(),
    "aggregator": {
        "agent.atomic_file",
        "agent.wire",
        "agent.mqtt.client",
        "agent.boxes",
        "agent.count.geometry",
        "agent.tasks",
    },
    "export": {
        "agent.atomic_file",
        "agent.progress",
        "agent.see.self_test",
        "agent.boxes",
        "agent.see.capture",
        "agent.count.geometry",
        "agent.look",
        "agent.see.infer",
        "agent.see.slot",
        "agent.street.scene",
        "agent.wire.mismatch",
        "agent.wire.toml_text",
        "agent.wire.unknown",
    },
}


def modules(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*.py")) if "node_modules" not in path.parts]


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_one_arrow(package: str) -> None:
    """The agent imports neither of the others; they import only its light modules."""
    others = [other for other in PACKAGES if other != package]
    for path in modules(package):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] in others and len(parts) > 1:
                allowed = MAY_IMPORT[package]
                known = any(f"{name}.".startswith(f"{each}.") for each in allowed)
                above = any(each.startswith(f"{name}.") for each in allowed)  # its package
                assert known or above, f"{path.relative_to(ROOT)} imports {name}"


def loaded(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_wire_costs_only_msgspec() -> None:
    """Whoever reads the events needs msgspec and nothing heavier."""
    heavy = {"numpy", "cv2", "onnxruntime", "paho", "aiohttp", "psutil", "motor"}
    assert not loaded("import agent.wire") & heavy


def test_the_centre_loads_no_camera_and_no_model() -> None:
    """Neither OpenCV nor onnxruntime comes along into the aggregator."""
    assert not loaded("import aggregator.__main__, aggregator.serve, aggregator.ingest") & {
        "cv2",
        "onnxruntime",
    }


# The edge of a request: an unknown fault of one is logged whole and answered in the API's one shape of error.
MAY_CATCH_ALL = {"aggregator/serve.py"}


def test_no_blanket_excepts() -> None:
    """Expected errors are named; the rest ends the process and the supervisor restarts it."""
    found = set()
    for package in PACKAGES:
        for path in modules(package):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ExceptHandler):
                    names = (
                        {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {""}
                    )
                    if names & {"", "Exception", "BaseException"}:
                        found.add(str(path.relative_to(ROOT)))
    assert found == MAY_CATCH_ALL


def test_every_module_says_what_it_is_for() -> None:
    """The docstring of each module is its design."""
    for package in PACKAGES:
        for path in modules(package):
            assert ast.get_docstring(ast.parse(path.read_text())), path.relative_to(ROOT)


@pytest.mark.parametrize(
    ("door", "names"),
    [
        ("agent.boxes", "Detections area iou letterbox nms"),
        ("agent.infer", "Detector InferenceError ModelError"),
        ("agent.look", "SecondLook"),
        ("agent.track", "Tracker Tracks make_tracker"),
        ("agent.geometry", "Direction Points MARGIN anchors crossings_of_path inside margins side simplify"),
        ("agent.wire", "Crossing Detection Document Line State Tally Zone decode_batch encode_batch topic"),
    ],
)
def test_what_others_import_keeps_its_place(door: str, names: str) -> None:
    """Modules may move; what scripts of users import from these five stays there."""
    module = importlib.import_module(door)
    assert [name for name in names.split() if not hasattr(module, name)] == []


@pytest.mark.parametrize(
    "words",
    ["$share/", 'Literal["AB", "BA"]', "UnicodeDecodeError, RecursionError", '= "unknown"', "class Join("],
)
def test_the_contract_is_written_once(words: str) -> None:
    """Shared filters, directions, the open label, decode errors, the join message: each once, in the wire."""
    found = {
        str(path.relative_to(ROOT))
        for package in ("agent", "aggregator")
        for path in modules(package)
        for line in path.read_text().splitlines()
        if words in line and "`" not in line
    }
    assert len(found) == 1, found
    assert found.pop().startswith("agent/wire/")
