# SPDX-License-Identifier: Apache-2.0
"""Tables whose rows nobody changes and nobody takes away, whatever program writes."""

from __future__ import annotations

from sqlalchemy import DDL, Table, event


def keep_append_only(table: Table, words: str) -> None:
    """Let the database refuse changes of a table's rows, from the moment on when the table is made.

    Args:
        table: The table.
        words: What its rows are called when one is refused.
    """
    for what, when in (("remain", "DELETE"), ("stay", "UPDATE")):
        refusal = f"BEGIN SELECT RAISE(ABORT, '{words} are append-only'); END"
        rule = DDL(f"CREATE TRIGGER IF NOT EXISTS {table.name}_{what} BEFORE {when} ON {table.name} {refusal}")  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", rule.execute_if(dialect="sqlite"))
