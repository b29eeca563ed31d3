"""The reference of the API as a page, made here from its OpenAPI document: no script, and nothing from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from f5_pipeline.gateway.page import template


def render_reference(document: dict[str, Any]) -> str:
    """HTML of `/docs`."""
    schemas = document["components"]["schemas"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["others"])[0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "fields": [*_parameters(operation), *_body_fields(operation, schemas)],
                    "example": _example(operation, schemas),
                    "answer": _answer(operation),
                }
            )
    return template("reference.html").render(info=document["info"], groups=groups)


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _field(entry["name"], entry["schema"], entry["in"], entry["required"], entry.get("description"))
        for entry in operation.get("parameters", [])
    ]


def _body_fields(operation: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    fields = []
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"].get("items", content["schema"]), schemas)
        place = "form" if "form" in media else "body"
        needed = schema.get("required", [])
        fields += [_field(name, entry, place, name in needed) for name, entry in schema.get("properties", {}).items()]
    return fields


def _field(name: str, schema: dict[str, Any], place: str, needed: bool, text: str | None = None) -> dict[str, Any]:
    description = text or schema.get("description", "")
    return {"name": name, "place": place, "needed": needed, "kind": _kind(schema), "description": description}


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words: "mp3 | flac", "list of string"."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(kind for entry in schema["anyOf"] if (kind := _kind(entry)) != "null")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("const") or schema.get("type", "any"))


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _example(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for example in _resolved(content["schema"], schemas).get("examples", []):
            return json.dumps(example, ensure_ascii=False, indent=2)
    return ""


def _answer(operation: dict[str, Any]) -> str:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            (media, content), *_ = answer.get("content", {"nothing": {}}).items()
            schema = content.get("schema", {})
            return f"{status} {_kind(schema) if media == 'application/json' else media}"
    return ""
