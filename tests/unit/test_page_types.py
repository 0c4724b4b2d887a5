"""The page's types are those of the API: made from its description, and never behind it."""

from __future__ import annotations

from aggregator.api import PREFIX, ROUTES
from aggregator.openapi import describe
from deploy.page_types import FILE, page_types

SCHEMAS = describe(ROUTES, PREFIX, "")["components"]["schemas"]


def test_the_types_of_the_page_are_those_of_the_api() -> None:
    """`types.ts` is what `make page-types` makes of the routes' types."""
    assert FILE.read_text() == page_types(), "run `make page-types` and look what changes for the page"


def test_a_type_that_is_only_given_has_all_its_fields() -> None:
    """A default is for who may leave a field out: answers always have it, requests need not."""
    node = SCHEMAS["Node"]
    assert set(node["required"]) == set(node["properties"])
    assert SCHEMAS["LineBody"]["required"] == ["points"]
    assert SCHEMAS["Line"]["required"] == ["points"]  # taken as a part of settings, too
    assert SCHEMAS["Reason"]["required"] == ["code", "message"]  # what is nothing is left out


def test_the_forms_of_json_schema_have_their_words_in_typescript() -> None:
    """Enumerations, what may be null, pairs, lists of either, maps and references."""
    text = FILE.read_text()
    for line in (
        '  state: "offline" | "online" | "stale";',
        "  cpu_percent: number | null;",
        "  size: [number, number];",
        "  points: [number, number][];",
        "  lines?: Record<string, Line>;",
        "  cameras: CameraEntry[];",
        "  document: CameraDocument;",
        '  direction: "AB" | "BA";',
    ):
        assert f"{line}\n" in text, line
