# SPDX-License-Identifier: Apache-2.0
"""Problems of an import, counted by kind, with a few examples each, however many images there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["source", "label", "unmatched", "frame", "size", "damaged", "twice"]
_EXAMPLES = 3


@dataclass(frozen=True)
class Problem:
    """A problem of an import, and how often it occurs.

    Attributes:
        kind: source: found on opening; label: not a structure; unmatched: no clip; frame: not in the clip;
            size: not the clip's; damaged: cannot be read; twice: another image has the same mask already.
        what: Description for a person.
        count: Number of images or planes affected.
        examples: Names of a few of them.
    """

    kind: Kind
    what: str
    count: int
    examples: tuple[str, ...]

    @property
    def text(self) -> str:
        """Description, count and examples, for a person."""
        shown = ", ".join(self.examples) + (", ..." if self.count > len(self.examples) else "")
        return f"{self.what}: {self.count} ({shown})" if self.examples else self.what


@dataclass
class Problems:
    """Collects problems while an import is planned."""

    _entries: dict[tuple[Kind, str], tuple[int, list[str]]] = field(default_factory=dict)

    def add(self, kind: Kind, what: str, example: str | None = None) -> None:
        """Count one more occurrence of a problem."""
        count, examples = self._entries.setdefault((kind, what), (0, []))
        if example is not None and len(examples) < _EXAMPLES:
            examples.append(example)
        self._entries[kind, what] = count + 1, examples

    def all(self) -> tuple[Problem, ...]:
        """Return the problems in the order in which they first occurred."""
        return tuple(
            Problem(kind, what, count, tuple(examples)) for (kind, what), (count, examples) in self._entries.items()
        )
