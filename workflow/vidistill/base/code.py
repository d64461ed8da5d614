"""Digests of a stage's code: the parts of its module and of imported modules of this package that affect numbers.

Snakemake does not notice edits to imported modules. These digests are params of every rule, so it does. They leave
out comments, docstrings, texts of errors and log lines, descriptions of settings, the package's version and `base`
(files, logs, locks and errors), none of which affect numbers. Digests are equal under every supported Python.
"""

import ast
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent
COUNTS = ("vidistill.base.spelling",)  # modules of `base` that count: this one names queries
SAY = {"log", "logging", "warnings"}  # objects whose calls change no number
LABELLED = {"Pace"}  # calls whose texts are for the log


def digest(module: str) -> str:
    """SHA-256, hexadecimal, over `digests(module)`, for example of `vidistill.video.flow`.

    Results record it, to distinguish them from results of other code.
    """
    listed = "".join(f"{name} {of_one}\n" for name, of_one in digests(module).items())
    return hashlib.sha256(listed.encode()).hexdigest()


@functools.cache
def digests(module: str) -> dict[str, str]:
    """The SHA-256, hexadecimal, of each module in the source closure of `module` that counts, by its name."""
    return {name: _read(name).digest for name in closure(module) if _counts(name)}


def _counts(name: str) -> bool:
    return name in COUNTS or name.split(".")[1:2] not in ([], ["base"])


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
        queue.extend(_read(name).imports)
    return tuple(sorted(seen))


def _file(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*parts[1:])
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


class _Module(NamedTuple):
    imports: list[str]  # modules of this package
    digest: str


@functools.cache
def _read(name: str) -> _Module:
    path = _file(name)
    if path is None:
        raise ValueError(f"{name} is not a module of {PACKAGE.name}")
    silent = _Silent()
    text = _text(silent.visit(ast.parse(path.read_text(encoding="utf-8"))))
    return _Module([name for name in silent.imports if _file(name)], hashlib.sha256(text.encode()).hexdigest())


class _Silent(ast.NodeTransformer):
    """Remove what only people read, and collect what is imported."""

    def __init__(self) -> None:
        self.imports: set[str] = set()

    def visit_Import(self, node: ast.Import) -> ast.AST:
        self.imports |= {alias.name for alias in node.names}
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module:  # the package imports absolutely only
            self.imports |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        call = node.value.func if isinstance(node.value, ast.Call) else None
        says = isinstance(call, ast.Attribute) and (
            call.attr == "add_argument" or (isinstance(call.value, ast.Name) and call.value.id in SAY)
        )
        if says:
            return None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=kind)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in LABELLED:
            return node.func
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)


@functools.cache
def _in_order(fields: tuple[str, ...]) -> list[str]:
    return sorted(field for field in fields if field != "kind")


def _text(part: object) -> str:
    """A syntax tree as text that is the same in every version of Python, unlike `ast.dump` and `ast.unparse`."""
    if isinstance(part, ast.AST):
        values = ((key, getattr(part, key, None)) for key in _in_order(part._fields))
        given = [f"{key}={_text(value)}" for key, value in values if value not in (None, [])]
        return f"({type(part).__name__} {' '.join(given)})"
    if isinstance(part, list):
        return f"[{' '.join(map(_text, part))}]"
    return repr(part)
