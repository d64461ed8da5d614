"""Settings: from the workflow's JSON text to frozen dataclasses, strictly."""

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from vidistill.base.stage import UserError

T = TypeVar("T")


def parse(cls: type[T], text: str) -> T:
    """Build the frozen dataclass `cls` from JSON; nested dataclasses, tuples and optional values included.

    Raises:
        UserError: on a key that is unknown, missing or of the wrong type.
    """
    return _build(cls, json.loads(text), cls.__name__)


def _build(kind: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        errors = []
        for option in args:
            if option is not type(None):
                try:
                    return _build(option, value, where)
                except UserError as error:
                    errors.append(error)
        raise errors[0]
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise UserError(f"{where} is {value!r}, a list is expected; correct it in the configuration.")
        return tuple(_build(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        return {key: _build(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is typing.Literal:
        if value not in args:
            raise UserError(f"{where} is {value!r}; supported values are {', '.join(map(repr, args))}.")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Any or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise UserError(f"{where} is {value!r}, {kind.__name__} is expected; correct it in the configuration.")


def _build_dataclass(cls: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{where} is {value!r}, a section with keys is expected; correct it in the configuration.")
    kinds = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    if unknown := sorted(set(value) - set(names)):
        raise UserError(f"{where} has the unknown key {unknown[0]!r}; known keys are {', '.join(names)}.")
    if missing := [name for name in names if name not in value]:
        raise UserError(f"{where} lacks the key {missing[0]!r}; add it to the configuration.")
    return cls(**{name: _build(kinds[name], value[name], f"{where}.{name}") for name in names})
