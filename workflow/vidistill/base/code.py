"""Digests of a stage's code: its module and what it imports from this package, without comments and docstrings.

Snakemake does not see that an imported module was edited; these digests, params of every rule, let it.
"""

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
# Modules that carry files, logs, locks and errors, and compute nothing that is in a result.
CARRIERS = {
    f"vidistill.base.{name}"
    for name in (
        *("code", "device", "files", "fingerprints", "gpus", "progress", "settings", "shards", "stage"),
        *("store", "wording"),
    )
}


def digest(module: str) -> str:
    """SHA-256 over what decides about numbers in the source closure of `module` (for example `vidistill.video.flow`).

    It travels with results, so that they are told from those of other code. Hexadecimal.
    """
    listed = "".join(f"{name} {of_one}\n" for name, of_one in digests(module).items() if name not in CARRIERS)
    return hashlib.sha256(listed.encode()).hexdigest()


@functools.cache
def digests(module: str) -> dict[str, str]:
    """The SHA-256, hexadecimal, of each module in the source closure of `module`, by its name."""
    return {name: hashlib.sha256(_normalised(name).encode()).hexdigest() for name in closure(module)}


@functools.cache
def closure(module: str) -> tuple[str, ...]:
    """Names of the modules that `module` reaches inside this package, itself included, sorted."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        queue.extend(_imports(name))
    return tuple(sorted(seen))


def _file(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*parts[1:])
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


@functools.cache
def _imports(name: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:  # the package imports absolutely only
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if _file(name))


@functools.cache
def _tree(name: str) -> ast.Module:
    path = _file(name)
    if path is None:
        raise ValueError(f"{name} is no module of {PACKAGE.name}")
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _normalised(name: str) -> str:
    tree = _tree(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
