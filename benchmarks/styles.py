# SPDX-License-Identifier: Apache-2.0
"""Mean Dice of students on each style of the phantom, those that no student learns among them.

One frame of each patient, 512 x 512; a structure counts where it is visible, and an empty mask as in docs/metrics.md.
Standard errors are over patients. Patients 97,000 ... are for choosing between students: no recipe trains or validates
on them. Patients 150,000 ... (--report) are for reporting what was chosen. Several students are measured on the same
frames, and compared pair by pair with the first of them. Figures of different versions of the phantom cannot be
compared.

Styles that need meshes of a real neck (meshed, neck: training/README.md) are measured where --styles names them.

Frames are rendered once and kept in --cache, outside the repository, in folders named after the phantom's source.

Run: python benchmarks/styles.py [--student FILE ...] [--patients N] [--report] [--styles NAME ...] [--json FILE]
     [--mirror never unsure always]  (each is measured; default: as the file says)
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from level_scores import pieces
from levels import proposer
from real_frames import SPECK
from style_scores import Floats, Planes, gain, over_styles, summary, visible_dice

from vfss.phantom.style import MESH_STYLES, STYLES
from vfss.schema import Schema
from vfss.student import load_student
from vfss.student.mirror_policy import WHEN
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.evaluation.calibrate import COMMON
from vfss_training.loop.run import default_cache

CHOOSING_SEED, REPORTING_SEED = 97_000, 150_000
PATIENTS = 64
SIZE = 512
UNLEARNT = tuple(style for style in STYLES if style not in COMMON)

Propose = Callable[[np.ndarray], Planes]
"""From a frame, uint8 (H, W), to its masks, bool (S, H, W) in the order of the schema."""


def frames_of(style: str, first_seed: int, patients: int, cache: Path, schema: Schema) -> PhantomSamples:
    """Return one frame of each patient of a style; those that are not kept in the cache are rendered on reading."""
    return PhantomSamples(cache, schema, styles={style: 1.0}, first_seed=first_seed, n=patients, size=SIZE)


def measure(propose: Propose, samples: PhantomSamples, schema: Schema) -> tuple[Floats, dict[str, float]]:
    """Return Dice, float64 (patients, S), and the share of hidden structures on which a piece is proposed, by key."""
    scores = np.full((len(samples), len(schema)), np.nan)
    hidden: dict[str, list[bool]] = {key: [] for key in schema.keys}
    for i in range(len(samples)):
        sample = samples[i]
        truth = np.unpackbits(sample.bits, axis=0, count=len(schema)).astype(np.bool_)
        visible, planes = sample.known == 1.0, propose(sample.frame)
        scores[i] = visible_dice(truth, visible, planes)
        for structure in schema.structures:
            if not visible[structure.index]:
                hidden[structure.key].append(pieces(planes[structure.index], SPECK * truth[0].size) > 0)
    return scores, {key: round(float(np.mean(values)), 4) for key, values in hidden.items() if values}


def figures(
    proposals: Mapping[str, Propose], styles: tuple[str, ...], first_seed: int, patients: int, cache: Path
) -> dict[str, Any]:
    """Return the figures of all students by name, each compared with the first."""
    schema, started = Schema.load(), time.process_time()
    result: dict[str, Any] = {name: {"styles": {}} for name in proposals}
    for style in styles:
        samples = frames_of(style, first_seed, patients, cache, schema)
        first: Floats | None = None
        for name, propose in proposals.items():
            scores, hidden = measure(propose, samples, schema)
            row = {**summary(scores, schema.keys), "proposed_where_hidden": hidden}
            if first is None:
                first = scores
            else:
                row["gain"] = gain(scores, first)
            result[name]["styles"][style] = row
            print(f"{style:12} {name:32} {_with_error(row)}{_gain(row)}   {time.process_time() - started:.0f} CPU s")
    for name, student in result.items():
        rows = [student["styles"][style] for style in styles if style in UNLEARNT]
        if rows:
            student["unlearnt"] = over_styles(rows)
            if "gain" in rows[0]:
                student["unlearnt"]["gain"] = over_styles([row["gain"] for row in rows])
            print(f"never learnt {name:32} {_with_error(student['unlearnt'])}{_gain(student['unlearnt'])}")
    return result


def _with_error(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:.4f} +- {row['se']:.4f}"


def _gain(row: Mapping[str, Any]) -> str:
    return f", gain {row['gain']['mean']:+.4f} +- {row['gain']['se']:.4f}" if "gain" in row else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", nargs="+", default=["default"], help="student files, or default")
    parser.add_argument("--mirror", nargs="+", choices=WHEN, help="where mirror images count, each [as in the file]")
    parser.add_argument("--patients", type=int, default=PATIENTS, help="number of patients of each style")
    parser.add_argument("--report", action="store_true", help="on the patients that are for reporting only")
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=[*STYLES, *MESH_STYLES])
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of rendered frames")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    schema = Schema.load()
    proposals, ids = {}, {}
    for file, mirror in itertools.product(options.student, options.mirror or [None]):
        student = load_student(file, "cpu", threads=options.threads, mirror=mirror)
        name = Path(file).stem + (f" mirror {mirror}" if mirror else "")
        name = name if name not in ids else f"{name} {student.id}"
        proposals[name], ids[name] = proposer(student, schema), student.id
    seed = REPORTING_SEED if options.report else CHOOSING_SEED
    measured = figures(proposals, tuple(options.styles), seed, options.patients, options.cache)
    if options.json is not None:
        source = frames_of(options.styles[0], seed, 0, options.cache, schema).source
        result = {"phantom": source, "first_seed": seed, "size": SIZE, "students": {}}
        result["students"] = {name: {"id": ids[name], **row} for name, row in measured.items()}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
