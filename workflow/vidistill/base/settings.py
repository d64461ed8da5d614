"""Settings as frozen models, read strictly from JSON, and sentences on what is wrong with them."""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vidistill.base.stage import UserError

T = TypeVar("T")


class Section(BaseModel):
    """Settings under one key of the configuration, or of one stage.

    Strict: true is no number, 1.0 is no integer, and a key that is not a field is an error.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


S = TypeVar("S", bound=Section)


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if twice := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{twice[0]!r} is given twice; remove one")
    return values


Several = Annotated[tuple[T, ...], Field(min_length=1)]
Unique = Annotated[tuple[T, ...], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]
Distinct = Annotated[Unique[T], Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]


class Problem(NamedTuple):
    """One thing that is wrong with settings."""

    path: tuple[str | int, ...]  # of the value, or of the section whose key is unknown or missing
    what: str
    remedy: str | None = None
    unknown: str | None = None  # the key, when it is unknown


def parse(cls: type[S], text: str) -> S:
    """The settings in a JSON text.

    Raises:
        UserError: on a key that is unknown or missing, or a value of the wrong type or out of range; names them all.
    """
    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        found = problems(error)
    said = (f"{'.'.join(map(str, p.path)) or cls.__name__}: {p.what}; {p.remedy or 'correct it'}." for p in found)
    raise UserError(" ".join(said))


def problems(error: ValidationError, given: Any = None) -> Iterator[Problem]:
    """Each problem that pydantic found in `given`, the settings as plain values."""
    for about in error.errors(include_url=False):
        path, kind, context = _place(about["loc"], given), about["type"], about.get("ctx", {})
        if kind == "too_short" and about["input"]:
            continue  # it is short of the items that are wrong, each of which is a problem of its own
        if kind == "default_factory_not_called":
            continue  # its default follows from other keys, of which one is wrong
        if kind == "extra_forbidden":
            yield Problem(path[:-1], f"the key {path[-1]!r} is unknown", unknown=str(path[-1]))
        elif kind == "missing":
            yield Problem(path[:-1], f"the key {path[-1]!r} is missing", "add it")
        elif kind == "union_tag_not_found":
            yield Problem(path, f"the key {context['discriminator']} is missing", "add it")
        elif kind == "union_tag_invalid":
            yield Problem(
                (*path, context["discriminator"].strip("'")),
                f"{context['tag']!r} is not supported",
                f"use one of {context['expected_tags']}",
            )
        elif kind == "literal_error":
            yield Problem(path, f"{about['input']!r} is not supported", f"use {context['expected']}")
        elif kind == "value_error":
            what, _, remedy = str(context["error"]).partition("; ")
            yield Problem(path, what, remedy or None)
        else:
            start, should, rest = about["msg"].partition(" after validation")[0].partition(" should ")
            rest = rest.replace("an object", "a section").replace("valid array", "list")
            yield Problem(path, f"{_short(about['input'])} should {rest}" if should else start)


def _place(path: tuple[str | int, ...], given: Any) -> tuple[str | int, ...]:
    """A path without pydantic's own steps, which say which of several models a value was taken for."""
    path = tuple(step for step in path if step != "[key]")  # for the key itself
    if given is None:
        return path
    found: list[str | int] = []
    for number, step in enumerate(path, 1):
        last = number == len(path)
        if (isinstance(given, list) and isinstance(step, int)) or (isinstance(given, dict) and (last or step in given)):
            found.append(step)
            given = None if last else given[step]  # type: ignore[index]
    return tuple(found)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
