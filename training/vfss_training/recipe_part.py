# SPDX-License-Identifier: Apache-2.0
"""recipe_part: decorator for the frozen dataclasses that a recipe consists of; pydantic checks their values."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass

from vfss.errors import TrainingError


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check a number and leave a whole one whole: keys of caches are made of the recipe as JSON, where 4 is not 4.0."""
    check(value)
    return value


Share = Annotated[float, Field(ge=0, le=1), WrapValidator(_as_written)]
ShareAboveZero = Annotated[float, Field(gt=0, le=1), WrapValidator(_as_written)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1), WrapValidator(_as_written)]
Positive = Annotated[float, Field(gt=0, le=1e9), WrapValidator(_as_written)]
NotNegative = Annotated[float, Field(ge=0, le=1e9), WrapValidator(_as_written)]
Count = Annotated[int, Field(ge=0, le=10**9)]
AtLeastOne = Annotated[int, Field(ge=1, le=10**9)]

_Part = TypeVar("_Part")
# Strict: neither "true" nor True is a number, and 2.0 is no count; a whole number is accepted for a fraction.
_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_REMEDY = "The docstrings of vfss_training.config say what each field means."


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def recipe_part(cls: type[_Part]) -> type[_Part]:
    """Make a frozen dataclass whose values are checked; a wrong one raises TrainingError, in `replace` as well."""
    part: Any = dataclass(frozen=True, config=_CONFIG)(cls)
    check = part.__init__

    @functools.wraps(check)
    def init(self: _Part, *args: Any, **kwargs: Any) -> None:
        try:
            check(self, *args, **kwargs)
        except ValidationError as error:
            raise recipe_error(error, cls.__name__) from error

    part.__init__ = init
    checked: type[_Part] = part
    return checked


def one_of(choices: Collection[str]) -> AfterValidator:
    """Return a check that a text is one of some names."""

    def check(name: str) -> str:
        if name not in choices:
            raise ValueError(f"{name!r} is none of: {', '.join(choices)}")
        return name

    return AfterValidator(check)


def recipe_error(error: ValidationError, part: str = "", path: str | Path | None = None) -> TrainingError:
    """Return an error that names every wrong field with its value and its bound.

    Args:
        error: What pydantic found.
        part: The part of the recipe that was being made, where it does not come from a file.
        path: The recipe's file.
    """
    problems = [_problem(row) for row in error.errors(include_url=False)]
    lines = "".join(f"\n  {problem}" for problem in problems)
    text = problems[0] if len(problems) == 1 else f"{len(problems)} errors:{lines}"
    return TrainingError(f"{part}: {text}" if part else text, path=path, remedy=_REMEDY)


def _problem(row: Mapping[str, Any]) -> str:
    """Describe one error: dotted name of the field, value, bound."""
    name = ".".join(str(step) for step in row["loc"] if step != "[key]")
    match row["type"]:
        case "unexpected_keyword_argument":
            return f"unknown field {name}"
        case "value_error":
            return f"{name}: {row['ctx']['error']}" if name else str(row["ctx"]["error"])
        case "dataclass_type":
            bound = "must be a mapping"
        case "too_short":
            bound = "must not be empty"
        case _:
            bound = row["msg"].replace("Input should", "must")
    return f"{name} is {reprlib.repr(row['input'])}, {bound}"
