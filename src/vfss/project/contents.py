# SPDX-License-Identifier: Apache-2.0
"""Checks of what a database holds: at opening what all readers rely on, on request everything."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, func, inspect, select
from sqlalchemy.exc import DBAPIError

from vfss.project.column_types import BadValueError
from vfss.project.marks import marks
from vfss.project.pixel_reviews import pixel_reviews
from vfss.project.tables import (
    COUNT_MASKS,
    LAYOUT,
    RULES,
    columns_of,
    layout,
    metadata,
    project,
    structures,
    tables_of,
)
from vfss.schema import Schema

_ROWS_AT_ONCE = 10_000
_OF_READINGS = "reading_"  # second readings have rules of their own

_OUT_OF_RANGE = (
    "SELECT present.clip, present.frame, present.plane FROM present LEFT JOIN clips ON clips.id = present.clip "
    "WHERE NOT coalesce(typeof(present.frame) = 'integer' AND typeof(plane) = 'integer' "
    "AND typeof(state) = 'integer' AND typeof(revision) = 'integer' AND present.frame >= 0 "
    "AND present.frame < clips.n_frames AND plane BETWEEN 0 AND {last_plane} AND state BETWEEN 0 AND 5, 0) LIMIT 1"
)
_DISAGREES = (
    "SELECT count(*), min(present.frame) FROM present LEFT JOIN revisions ON revisions.id = present.revision "
    "LEFT JOIN structures ON structures.plane = present.plane "
    "WHERE NOT coalesce(revisions.clip = present.clip AND revisions.frame = present.frame "
    "AND revisions.structure = structures.key AND revisions.state = present.state, 0)"
)
_NOT_NEWEST = (
    "SELECT count(*), min(newest.frame) FROM "
    "(SELECT clip, frame, structure, max(id) AS id FROM revisions GROUP BY clip, frame, structure) AS newest "
    "LEFT JOIN structures ON structures.key = newest.structure "
    "LEFT JOIN present ON present.clip = newest.clip AND present.frame = newest.frame "
    "AND present.plane = structures.plane WHERE present.revision IS NOT newest.id"
)
_MISCOUNTED = (
    "SELECT count(*), min(frame) FROM (SELECT clip, frame FROM "
    f"(SELECT clip, frame, proposed, edited, final, revision FROM frame_progress UNION ALL {COUNT_MASKS}) "
    "GROUP BY clip, frame, proposed, edited, final, revision HAVING count(*) <> 2)"
)


def expect_contents(connection: Connection, schema: Schema, version: int) -> None:
    """Refuse a database on whose contents the readers of a project cannot rely, in the time that opening has.

    Args:
        connection: To the database.
        schema: Its schema.
        version: Its layout.

    Raises:
        BadValueError: Tables or columns lack what they must have, or their contents contradict each other.
    """
    for name in sorted(tables_of(version)):
        _expect_definition(connection, metadata.tables[name], version)
    for table in (layout, project):
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if count != 1:
            raise BadValueError(f"{table.name} has {count} rows, not one")
    planes = {row.key: row.plane for row in connection.execute(select(structures))}
    if planes != {structure.key: structure.index for structure in schema.structures}:
        raise BadValueError("structures are not those of the schema")
    row = connection.exec_driver_sql(_OUT_OF_RANGE.format(last_plane=len(schema) - 1)).first()
    if row is not None:
        raise BadValueError(f"present has frame {row[1]!a}, plane {row[2]!a} of clip {row[0]!a}, which does not exist")


def faults(connection: Connection, version: int) -> Iterator[str]:
    """Yield what is wrong with the contents of a database whose pages are whole, a phrase each.

    Args:
        connection: To the database.
        version: Its layout.
    """
    loose = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if loose:
        yield f"{len(loose)} references to rows that do not exist, the first in {loose[0][0]}"
    yield from _bad_values(connection, version)
    for query, what in (
        (_DISAGREES, "are shown with a revision of another place or state"),
        (_NOT_NEWEST, "are not shown with their newest revision"),
    ):
        count, frame = connection.exec_driver_sql(query).one()
        if count:
            yield f"{count} masks {what}, the first on frame {frame}"
    if "frame_progress" in tables_of(version):
        count, frame = connection.exec_driver_sql(_MISCOUNTED).one()
        if count:
            yield f"the masks of {count} frames are miscounted, the first of frame {frame}"
    if version == LAYOUT:
        yield from _rules(connection)


def _bad_values(connection: Connection, version: int) -> Iterator[str]:
    """Yield the first bad value of each table; masks are checked elsewhere."""
    existing = set(inspect(connection).get_table_names())
    tables = [table for table in metadata.sorted_tables if table.name in tables_of(version)]
    for table in (*tables, *(table for table in (marks, pixel_reviews) if table.name in existing)):
        columns = [column for column in columns_of(table, version) if column.name != "mask"]
        try:
            for _ in connection.execute(select(*columns)).yield_per(_ROWS_AT_ONCE):
                pass
        except BadValueError as error:
            yield str(error)
        except DBAPIError as error:
            yield f"{table.name} cannot be read ({error.orig})"


def _rules(connection: Connection) -> Iterator[str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    rules = {str(name): sql for name, sql in connection.exec_driver_sql(query)}
    for name, sql in RULES.items():
        if rules.get(name) != sql:
            yield f"the rule {name} is missing or was changed"
    own = {f"{table.name}_{end}" for table in (marks, pixel_reviews) for end in ("stay", "remain")}
    for name in sorted(rules.keys() - RULES.keys() - own):
        if not name.startswith(_OF_READINGS):
            yield f"it has a rule {name!a} that napari-vfss did not make"


def _expect_definition(connection: Connection, table: Table, version: int) -> None:
    """Refuse a table without the columns, keys and refusals of null that readers rely on."""
    info = connection.exec_driver_sql(f'PRAGMA table_info("{table.name}")').fetchall()
    found = {row[1]: (bool(row[3]), bool(row[5])) for row in info}
    for column in table.c:
        if int(column.info.get("since", 1)) > version:
            continue
        if column.name not in found:
            raise BadValueError(f"{table.name} has no column {column.name}")
        refuses_null, is_key = found[column.name]
        if is_key != column.primary_key or (not column.nullable and not refuses_null and not is_key):
            raise BadValueError(f"the column {table.name}.{column.name} is not as it must be")
