# SPDX-License-Identifier: Apache-2.0
"""What hinders an import: counted, with a few examples each, however many images there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["source", "label", "unmatched", "frame", "size", "damaged", "twice"]
_EXAMPLES = 3


@dataclass(frozen=True)
class Problem:
    """One thing that hinders, and how often.

    Attributes:
        kind: source: told when it was opened; label: no structure; unmatched: no clip; frame: not in the clip;
            size: not the clip's; damaged: cannot be read; twice: another image said it already.
        what: In words.
        count: Images or planes concerned.
        examples: A few of them by name.
    """

    kind: Kind
    what: str
    count: int
    examples: tuple[str, ...]

    @property
    def text(self) -> str:
        """In a sentence for a person."""
        shown = ", ".join(self.examples) + (", ..." if self.count > len(self.examples) else "")
        return f"{self.what}: {self.count} ({shown})" if self.examples else self.what


@dataclass
class Problems:
    """Gathers problems while an import is planned."""

    _found: dict[tuple[Kind, str], tuple[int, list[str]]] = field(default_factory=dict)

    def add(self, kind: Kind, what: str, example: str | None = None) -> None:
        """Count one more."""
        count, examples = self._found.setdefault((kind, what), (0, []))
        if example is not None and len(examples) < _EXAMPLES:
            examples.append(example)
        self._found[kind, what] = count + 1, examples

    def all(self) -> tuple[Problem, ...]:
        """In the order in which they came up."""
        return tuple(
            Problem(kind, what, count, tuple(examples)) for (kind, what), (count, examples) in self._found.items()
        )
