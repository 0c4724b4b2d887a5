"""The page's types, made from the API's own description: `python -m deploy.page_types`.

What always holds: `aggregator/web/src/types.ts` is what this makes of `/api/v1/openapi.json`, and a test says
so. A field that the API renames or drops is a type error of the page, not a gap that a reader of it finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregator.api import OUTSIDE, PREFIX, ROUTES
from aggregator.openapi import describe

FILE = Path(__file__).parents[1] / "aggregator" / "web" / "src" / "types.ts"
HEAD = """\
// Made from the API's description by `make page-types`; not to be edited by hand.
// Times are Unix milliseconds; coordinates are fractions of the frame.
"""
# What the page calls otherwise: a browser has a type of that name, or two types of the API share theirs.
NAMES = {
    "Node": "NodeEntry",
    "Document": "CameraDocument",
    "aggregator.schemas.Camera": "CameraEntry",
    "aggregator.alerts.rules.Camera": "CameraCondition",
    "aggregator.alerts.rules.Disk": "DiskCondition",
    "aggregator.alerts.rules.Drift": "DriftCondition",
    "aggregator.alerts.answers.Sent": "TestSent",
    "aggregator.system.schemas.Disk": "DiskUse",
    "aggregator.wanted.schemas.Drift": "Drift",
    "aggregator.wanted.schemas.Sent": "Sent",
}
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}

Schema = Mapping[str, Any]


def page_types() -> str:
    """Return the text of types.ts."""
    schemas = describe([*ROUTES, *OUTSIDE], PREFIX, "")["components"]["schemas"]
    return HEAD + "".join(f"\n{_interface(name, schemas[name])}" for name in sorted(schemas, key=_named))


def _named(component: str) -> str:
    """Return the page's name of one of the API's types."""
    name = NAMES.get(component, component)
    if "." in name:
        raise ValueError(
            f"two types of the API are called {name.rpartition('.')[2]}: give {name} a name in NAMES"
        )
    return name


def _interface(component: str, schema: Schema) -> str:
    lines = [_comment(schema, ""), f"export interface {_named(component)} {{\n"]
    for name, field in schema.get("properties", {}).items():
        mark = "" if name in schema.get("required", ()) else "?"
        lines += [_comment(field, "  "), f"  {name}{mark}: {_type(field)};\n"]
    return "".join([*lines, "}\n"])


def _comment(schema: Schema, indent: str) -> str:
    words = re.sub(r"\s+", " ", schema.get("description", "")).strip()
    return f"{indent}/** {words} */\n" if words else ""


def _type(schema: Schema) -> str:
    """Return what TypeScript calls a type of JSON Schema."""
    if "$ref" in schema:
        return _named(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    match schema.get("type"):
        case "array":
            return _array(schema)
        case "object":
            values = schema.get("additionalProperties")
            return f"Record<string, {_type(values) if isinstance(values, Mapping) else 'unknown'}>"
        case None:
            return "unknown"
        case plain:
            return PLAIN[plain]


def _array(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(each) for each in schema['prefixItems'])}]"
    item = _type(schema.get("items", {}))
    return f"({item})[]" if " | " in item else f"{item}[]"


if __name__ == "__main__":
    FILE.write_text(page_types())
    print(f"written: {FILE.name}")
