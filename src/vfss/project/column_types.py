# SPDX-License-Identifier: Apache-2.0
"""Types of columns that check what they read: SQLite lets any program put any value into any column.

A value that the program would not have written is a BadValueError, which the database turns into a ProjectError that
names the column. Sizes are bounded here, before anyone allocates for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from sqlalchemy import JSON, Boolean, DateTime, Dialect, Float, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

MOST_FRAMES = 4_000_000
"""Frames of a clip that can be kept: a day and a half at 30 a second."""
MOST_PLANES = 1 << 12
"""Structures of a schema that can be kept."""
MOST_SIDE = 65_535
"""Rows and columns of a frame that can be kept."""

_GREATEST = 2**63 - 1  # of SQLite's integers
_YEARS = range(1900, 3000)


class BadValueError(ValueError):
    """A value that its column cannot hold, read from a database or about to be written."""


class Checked(TypeDecorator[Any]):
    """Type of a column whose values are checked when they are read.

    Attributes:
        place: "table.column", for messages; set by `name_columns`.
        nullable: Whether null is a value.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = String
    cache_ok = True
    place = "a column"
    nullable = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function that reads a value as SQLite gives it."""
        place, nullable, read = self.place, self.nullable, self.read

        def process(value: Any) -> Any:
            if value is None:
                if nullable:
                    return None
                raise BadValueError(f"{place} is missing")
            try:
                return read(value)
            except (BadValueError, ValueError, RecursionError) as error:
                reason = f": {error}" if type(error) is BadValueError and error.args else ""
                raise BadValueError(f"{place} is {_shown(value)}{reason}") from error

        return process

    def read(self, value: Any) -> Any:
        """Return the value for the caller; raise BadValueError (which may be empty) or ValueError if it is none."""
        raise NotImplementedError


class Words(Checked):
    """Text."""

    impl = String
    cache_ok = True

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        """Take the texts that are allowed; none for any."""
        super().__init__()
        self.allowed = allowed

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Refuse text that a database cannot keep: names that are not Unicode, as an operating system can give them."""
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise BadValueError(f"the text {value!a} is not Unicode") from error
            _without_zero(value)
        return value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function that reads a value: at once where nothing is wrong with it, as with nearly all."""
        allowed, slow = self.allowed, super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            if type(value) is str and (value in allowed if allowed else "\0" not in value):
                return value
            return slow(value)

        return process

    def read(self, value: Any) -> str:
        """Return text."""
        if not isinstance(value, str) or (self.allowed and value not in self.allowed):
            raise BadValueError
        return _without_zero(value)


class LongWords(Words):
    """Text without a maximum length."""

    impl = Text
    cache_ok = True


class Whole(Checked):
    """Whole number within bounds."""

    impl = Integer
    cache_ok = True

    def __init__(self, least: int = 0, most: int = _GREATEST) -> None:
        """Take the bounds, inclusive."""
        super().__init__()
        self.least, self.most = least, most

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function that reads a value: at once where nothing is wrong with it, as with nearly all."""
        least, most, slow = self.least, self.most, super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            return value if type(value) is int and least <= value <= most else slow(value)

        return process

    def read(self, value: Any) -> int:
        """Return a number."""
        if not isinstance(value, int) or not self.least <= value <= self.most:
            raise BadValueError
        return value


class Real(Checked):
    """Finite number within bounds."""

    impl = Float
    cache_ok = True

    def __init__(self, least: float, most: float) -> None:
        """Take the bounds, inclusive."""
        super().__init__()
        self.least, self.most = least, most

    def read(self, value: Any) -> float:
        """Return a number."""
        if not isinstance(value, int | float) or not isfinite(value) or not self.least <= value <= self.most:
            raise BadValueError
        return float(value)


class Flag(Checked):
    """True or false."""

    impl = Boolean
    cache_ok = True

    def read(self, value: Any) -> bool:
        """Return true or false."""
        if value not in (0, 1):
            raise BadValueError
        return bool(value)


class Data(Checked):
    """JSON."""

    impl = JSON
    cache_ok = True

    def __init__(self, kind: type | None = None, none_as_null: bool = False) -> None:
        """Take the type that the data must have (None for any), and whether None is null rather than JSON's null."""
        super().__init__(none_as_null=none_as_null)
        self.kind, self.none_as_null = kind, none_as_null

    def read(self, value: Any) -> Any:
        """Return plain data."""
        if isinstance(value, int | float) and isfinite(value):
            data: Any = value  # SQLite keeps JSON that is a number as one
        elif isinstance(value, str):
            data = json.loads(value)
        else:
            raise BadValueError
        if self.kind is not None and not isinstance(data, self.kind):
            raise BadValueError(f"no {self.kind.__name__}")
        return data


class UtcTime(Checked):
    """Aware times in UTC on databases that keep naive ones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return naive UTC for the database."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def read(self, value: Any) -> datetime:
        """Return aware UTC for the caller."""
        if not isinstance(value, str):
            raise BadValueError
        time = datetime.fromisoformat(value)
        if time.tzinfo is not None or time.year not in _YEARS:
            raise BadValueError
        return time.replace(tzinfo=UTC)


class Packed(Checked):
    """Bytes."""

    impl = LargeBinary
    cache_ok = True

    def read(self, value: Any) -> bytes:
        """Return bytes; a number is never taken for a length."""
        if not isinstance(value, bytes):
            raise BadValueError
        return value


def name_columns(metadata: MetaData) -> None:
    """Tell the types of all columns where they stand, and whether they may be null."""
    for table in metadata.tables.values():
        for column in table.c:
            if isinstance(column.type, Checked):
                column.type.place = f"{table.name}.{column.name}"
                column.type.nullable = bool(column.nullable)


def _without_zero(value: str) -> str:
    if "\0" in value:
        raise BadValueError("it has a zero character")
    return value


def _shown(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else ascii(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
