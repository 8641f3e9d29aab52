# SPDX-License-Identifier: Apache-2.0
"""Parquet for Hugging Face's `datasets`: `load_dataset("<folder>")` returns the splits with decoded pictures.

    data/train-00000.parquet, data/validation-00000.parquet, ...    up to ROWS frames each
    README.md                                                       the dataset card, with the splits in its header

Columns: image (PNG, decoded to a picture), one per structure with its mask as a COCO run-length code (pycocotools
decodes it; null where it is not annotated or not visible), states, and fields that describe a frame. The schema is in
the metadata of each file and in manifest.json.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools import mask as rle

from vfss.datasets.files import LEVEL, stem
from vfss.datasets.format import Fields, Format, FrameWriter, Job, Row
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.output.png_files import write_png
from vfss.schema import Schema

ROWS = 512
"""Frames per file: a few hundred MB at most, as the Hub recommends."""

GROUP = 32
"""Frames in memory at a time."""

_SPOOL = "spool"


class ParquetWriter(FrameWriter):
    """Collects pictures as PNG in the partial folder; the tables are written at the end, split by split."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        (job.folder / _SPOOL).mkdir(exist_ok=True)

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        name = f"{stem(fields)}.png"
        write_png(self._folder / _SPOOL / name, frame.pixels, compress_level=LEVEL)
        masks = {}
        for structure in self._schema.structures:
            if frame.written[structure.index]:
                code = rle.encode(np.asfortranarray(frame.masks.planes[structure.index], np.uint8))
                masks[structure.key] = code["counts"].decode("ascii")
        return {"picture": name, "masks": masks}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        (self._folder / "data").mkdir(exist_ok=True)
        schema = _arrow_schema(self._schema)
        splits = {}
        for split in manifest["splits"]:
            n_rows = sum(row.fields["split"] == split for row in rows)
            if n_rows:
                in_split = (row for row in rows if row.fields["split"] == split)
                self._write_split(split, schema, in_split, -(-n_rows // ROWS))
                splits[split] = n_rows
        for picture in (self._folder / _SPOOL).iterdir():
            picture.unlink()
        (self._folder / _SPOOL).rmdir()
        write_sidecar(self._folder, manifest, (Row(row.fields, {}) for row in rows))
        (self._folder / "README.md").write_text(_card(manifest, list(splits)), "utf-8")

    def _write_split(self, split: str, schema: pa.Schema, rows: Iterator[Row], n_files: int) -> None:
        for number in range(n_files):
            path = self._folder / "data" / f"{split}-{number:05d}-of-{n_files:05d}.parquet"
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                in_file = itertools.islice(rows, ROWS)
                while group := [self._record(row) for row in itertools.islice(in_file, GROUP)]:
                    writer.write_table(pa.Table.from_pylist(group, schema=schema))

    def _record(self, row: Row) -> dict[str, Any]:
        fields = row.fields
        size = [fields["height"], fields["width"]]
        picture = (self._folder / _SPOOL / row.entry["picture"]).read_bytes()
        masks = {
            key: {"size": size, "counts": row.entry["masks"][key]} if key in row.entry["masks"] else None
            for key in self._schema.keys
        }
        return {
            "image": {"bytes": picture, "path": row.entry["picture"]},
            **{name: fields[name] for name in _SCALARS},
            "states": fields["states"],
            "authors": {key: fields["provenance"].get(key, {}).get("author") for key in self._schema.keys},
            **{f"mask_{key}": mask for key, mask in masks.items()},
        }


_SCALARS: dict[str, pa.DataType] = {
    "clip": pa.string(),
    "frame": pa.int32(),
    "time_s": pa.float64(),
    "times_from": pa.string(),
    "pixel_aspect": pa.float64(),
    "patient": pa.string(),
    "height": pa.int32(),
    "width": pa.int32(),
}


def _arrow_schema(schema: Schema) -> pa.Schema:
    texts = pa.struct([(key, pa.string()) for key in schema.keys])
    code = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
    fields = {
        "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        **_SCALARS,
        "states": texts,
        "authors": texts,
        **{f"mask_{key}": code for key in schema.keys},
    }
    # From this `datasets` knows that the struct is a picture.
    features = {"info": {"features": {"image": {"_type": "Image"}, **_features(schema)}}}
    return pa.schema(
        list(fields.items()),
        metadata={"huggingface": json.dumps(features), "vfss_schema": json.dumps(schema.to_dict())},
    )


def _features(schema: Schema) -> dict[str, Any]:
    def value(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "_type": "Value"}

    texts = {key: value("string") for key in schema.keys}
    code = {"size": {"feature": value("int32"), "_type": "List"}, "counts": value("string")}
    names = {pa.string(): "string", pa.int32(): "int32", pa.float64(): "float64"}
    plain = {name: value(names[dtype]) for name, dtype in _SCALARS.items()}
    return {**plain, "states": texts, "authors": texts, **{f"mask_{key}": code for key in schema.keys}}


def _card(manifest: dict[str, Any], splits: list[str]) -> str:
    files = [line for split in splits for line in (f"  - split: {split}", f"    path: data/{split}-*.parquet")]
    header = ["---", "task_categories:", "- image-segmentation", "configs:", "- config_name: default", "  data_files:"]
    return "\n".join([*header, *files, "---", "", "# VFSS masks", "", manifest["notice"], "", "See DATASHEET.md.", ""])


PARQUET = Format(
    "parquet",
    "Parquet (Hugging Face datasets)",
    ParquetWriter,
    ("data/: tables of pictures and masks, by split", "README.md: the dataset card"),
    errors=(pa.ArrowException,),
)
