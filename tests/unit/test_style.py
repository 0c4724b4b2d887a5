"""How the code reads, as far as a machine can say: one statement a line, sizes, rooms that do not meet."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "aggregator", "export", "benchmarks", "deploy")
MOST_LINES = 300  # of a module
MOST_METHODS = 20  # of a class
MOST_FUNCTION = 60  # lines of a function
MOST_PACKED = 0.003  # of all assignments; what is left are swaps and pairs that depend on each other

# What may be longer, and why. What is above a limit is cut by what it does, not by its lines.
LONGER = {
    "aggregator/field_words.py": "a table: what each field of the API means",
}
LARGER: dict[str, str] = {}

# What a room of the agent may import of the agent, beside its own modules.
ROOMS = {
    "see": {"agent.atomic_file", "agent.boxes", "agent.percentile", "agent.street", "agent.wire"},
    "look": {"agent.boxes", "agent.see"},
    "track": {"agent.boxes"},
    "count": {"agent.track", "agent.wire"},
    "deliver": {"agent.mqtt", "agent.tasks", "agent.wire"},
    "mqtt": set(),
    "street": set(),
    "show": {"agent.atomic_file", "agent.boxes", "agent.see", "agent.track", "agent.wire"},
}


def modules(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*.py")) if "node_modules" not in path.parts]


def assignments(path: Path) -> Iterator[ast.Assign | ast.AnnAssign | ast.AugAssign]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            yield node


def is_packed(node: ast.stmt) -> bool:
    """Say whether a statement gives several values to several names."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        and len(node.value.elts) > 1
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_line_holds_one_statement(package: str) -> None:
    """Unrelated values are not assigned in one tuple."""
    found = [(path, node) for path in modules(package) for node in assignments(path)]
    packed = [f"{path.relative_to(ROOT)}:{node.lineno}" for path, node in found if is_packed(node)]
    assert len(packed) <= MOST_PACKED * len(found), packed


def test_a_module_has_one_job() -> None:
    """No module is longer than 300 lines but those with a reason, and no reason outlives its module."""
    found = [path for package in PACKAGES for path in modules(package)]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in found}
    assert {name for name, count in lines.items() if count > MOST_LINES} == set(LONGER)


def test_a_class_has_one_job() -> None:
    """No class has more than 20 methods, public and private, but those with a reason."""
    found = {
        f"{path.relative_to(ROOT)}:{node.name}"
        for package in PACKAGES
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and len(list(functions(node.body))) > MOST_METHODS
    }
    assert found == set(LARGER)


def test_a_function_is_seen_at_once() -> None:
    """No function is longer than 60 lines, its docstring among them."""
    found = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for package in PACKAGES
        for path in modules(package)
        for node in functions(ast.walk(ast.parse(path.read_text())))
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION
    ]
    assert not found


def test_a_logger_has_the_name_of_its_module() -> None:
    """Each module that logs has one logger, `_LOG`, under the module's own name."""
    found = {
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for package in PACKAGES
        for path in modules(package)
        for node in assignments(path)
        if node.value is not None and "getLogger" in ast.unparse(node.value)
    }
    assert {line for line in found if not line.endswith(": _LOG = logging.getLogger(__name__)")} == set()
    assert len(found) > 20


def functions(nodes: Iterable[ast.AST]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def imported(path: Path) -> set[str]:
    """Return the dotted names of the agent that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "agent"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_stage_knows_only_what_it_may(room: str) -> None:
    """`see`, `track` and `deliver` do not know each other; `count` knows only the tracks."""
    allowed = ROOMS[room] | {f"agent.{room}"}
    for path in modules(f"agent/{room}"):
        for name in imported(path):
            known = any(name == each or name.startswith(f"{each}.") for each in allowed)
            assert known, f"{path.relative_to(ROOT)} imports {name}"
