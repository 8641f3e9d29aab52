# SPDX-License-Identifier: Apache-2.0
"""What each rule after the network gains or costs: levels, false bolus and pieces on real film, Dice on phantoms.

The network runs once on every picture; every choice of rules is applied to what it computed. Levels, false bolus and
pieces are those of benchmarks/levels.py, real frames those of benchmarks/real_frames.py. Phantoms are patients that no
student learnt from (seeds from 97,000 on), in a style that students learn and three that they do not; a mask that is
empty where the truth is counts as Dice 1, so that what is proposed of an absent structure counts.

Run: python benchmarks/rules.py [--student FILE ...] [--patients 32] [--whole] [--json FILE]
     [--films FOLDER] [--clips FOLDER], the latter by default in $VFSS_SHARED/data.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cephalograms import read_films
from levels import Grey, Material, Planes, folder_of, gather, measure, proposer, read_clips
from real_frames import ANNOTATIONS, AnnotatedClip, find_clips, read_annotations, score_frame, summary

from vfss.clips import open_clip
from vfss.errors import VfssError
from vfss.masks.metrics import dice
from vfss.phantom.phantom import Phantom
from vfss.schema import Schema
from vfss.student import Checkpoint, Student, load_checkpoint, student_file
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.rules import NO_RULES, RuleBook, Rules

RESULTS = Path(__file__).parent / "results" / "rules.json"
STYLES = ("standard", "sharpened", "capture", "harsh")
FIRST_SEED, CLIP_FRAMES, SIDE = 97_000, 40, 384
CLIP_EVERY = 10
ALONE = {
    "none": NO_RULES,
    "disjoint": Rules(one_piece=False, least_confidence={}),
    "one_piece": Rules(disjoint=False, least_confidence={}),
    "least_confidence": Rules(disjoint=False, one_piece=False),
    "recount": replace(NO_RULES, recount=True),
    "default": Rules(),
    "all": Rules(recount=True),
}
"""Every rule alone, the default ones together, and all."""

FloatArray = npt.NDArray[np.float32]


class RememberingRuntime(OpenVinoRuntime):
    """Computes every input once."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        """Compile the network."""
        super().__init__(checkpoint, threads=threads)
        self._kept: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits and quality; see Runtime."""
        identity = blake2b(inputs.tobytes(), digest_size=16).digest()
        if identity not in self._kept:
            self._kept[identity] = super().run(inputs)
        logits, quality = self._kept[identity]
        return logits.copy(), quality.copy()

    @property
    def outputs(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Logits (S, h, w) and quality (S,) of all inputs so far."""
        return ((logits[0], quality[0]) for logits, quality in self._kept.values())


@dataclass(frozen=True)
class Patient:
    """A frame of a phantom, uint8 (H, W), and its masks, bool (S, H, W)."""

    style: str
    frame: Grey
    truth: Planes


@dataclass(frozen=True)
class RealFrame:
    """An annotated frame of a clip, uint8 (H, W), and its masks, bool (S, H, W)."""

    clip: AnnotatedClip
    number: int
    frame: Grey
    truth: Planes


def patients(n: int) -> Iterator[Patient]:
    """Yield one frame of each of n patients in each style, at a moment drawn by seed."""
    for style in STYLES:
        for seed in range(FIRST_SEED, FIRST_SEED + n):
            phantom = Phantom(seed, n_frames=CLIP_FRAMES, height=SIDE, width=SIDE, style=style)
            frame, truth, _ = phantom.sample(int(np.random.default_rng(seed).integers(CLIP_FRAMES)))
            yield Patient(style, frame, truth)


def real_frames(folder: Path, schema: Schema) -> list[RealFrame]:
    """Return the annotated frames of the two clips."""
    annotated = read_annotations(ANNOTATIONS, schema)
    paths = find_clips(folder, (one.content for one in annotated))
    frames = []
    for one in annotated:
        with open_clip(paths[one.content]) as clip:
            for chosen in one.frames:
                grey = clip.as_uint8(chosen.frame)
                frames.append(RealFrame(one, chosen.frame, grey, chosen.planes(schema, *grey.shape)))
    return frames


def dice_of_phantoms(student: Student, schema: Schema, chosen: Iterable[Patient]) -> dict[str, Any]:
    """Return mean Dice by style, standard errors over patients, and mean Dice by structure over all styles."""
    propose = proposer(student, schema)
    scores: dict[str, list[list[float]]] = {}
    for patient in chosen:
        proposed = propose(patient.frame)
        row = [_agreement(t, p) for t, p in zip(patient.truth, proposed, strict=True)]
        scores.setdefault(patient.style, []).append(row)
    by_style = {style: np.array(rows) for style, rows in scores.items()}
    every = np.concatenate(list(by_style.values()))
    return {
        "styles": {style: round(float(rows.mean()), 4) for style, rows in by_style.items()},
        "standard_errors": {
            style: round(float(rows.mean(axis=1).std(ddof=1) / math.sqrt(len(rows))), 4)
            for style, rows in by_style.items()
        },
        "mean": round(float(every.mean()), 4),
        "structures": {key: round(float(v), 4) for key, v in zip(schema.keys, every.mean(axis=0), strict=True)},
    }


def _agreement(truth: npt.NDArray[np.bool_], proposed: npt.NDArray[np.bool_]) -> float:
    value = dice(truth, proposed)
    return 1.0 if math.isnan(value) else value


def dice_of_real_frames(student: Student, schema: Schema, frames: Iterable[RealFrame]) -> dict[str, Any]:
    """Return the summary of benchmarks/real_frames.py by clip."""
    propose = proposer(student, schema)
    rows: dict[str, dict[int, dict[str, dict[str, Any]]]] = {}
    for real in frames:
        annotated = next(frame for frame in real.clip.frames if frame.frame == real.number)
        found = score_frame(annotated, real.truth, propose(real.frame), schema)
        rows.setdefault(real.clip.name, {})[real.number] = found
    wanted = ("mean_dice_sure", "false_structures", "missed_structures", "false_pieces")
    summaries = {name: summary(of_clip, schema) for name, of_clip in rows.items()}
    return {name: {key: figures[key] for key in wanted} for name, figures in summaries.items()}


def milliseconds(rules: Rules, schema: Schema, outputs: Iterable[tuple[FloatArray, FloatArray]]) -> float:
    """Return CPU time of the rules per frame, ms."""
    book, kept = RuleBook(rules, schema.structures), list(outputs)[:50]
    started = time.process_time()
    for logits, quality in kept:
        book.apply(logits, quality)
    return round(1000 * (time.process_time() - started) / max(1, len(kept)), 3)


def examine(
    checkpoint: Checkpoint, schema: Schema, material: Material, shown: list[Patient], real: list[RealFrame]
) -> dict[str, Any]:
    """Return the figures of every choice of rules for one student."""
    runtime = RememberingRuntime(checkpoint, threads=1)
    figures = {}
    for name, rules in ALONE.items():
        student = Student(checkpoint, runtime, rules=rules)
        figures[name] = {
            **measure(proposer(student, schema), schema, material),
            "phantoms": dice_of_phantoms(student, schema, shown),
            "real_frames": dice_of_real_frames(student, schema, real),
            "ms": milliseconds(rules, checkpoint.schema, runtime.outputs),
        }
        report(name, figures[name])
    return figures


def report(name: str, figures: Mapping[str, Any]) -> None:
    """Print one choice of rules in a few lines."""
    right = {level: table["all"]["right"] for level, table in figures["levels"].items()}
    parted = {clip: (row["in_pieces"], row["claimed_by_two_vertebrae"]) for clip, row in figures["pieces"].items()}
    print(f"{name:17} {figures['ms']:.2f} ms  right {right}  false bolus {figures['false_bolus']['share']:.3f}")
    print(f"{'':17} in pieces, claimed twice {parted}")
    print(f"{'':17} phantoms {figures['phantoms']['mean']} {figures['phantoms']['styles']}")
    real = {clip: (row["mean_dice_sure"], row["false_pieces"]) for clip, row in figures["real_frames"].items()}
    print(f"{'':17} real frames, false pieces {real}", flush=True)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", nargs="+", default=["default"], help="student files, or default")
    parser.add_argument("--patients", type=int, default=32, help="phantom patients of each style")
    parser.add_argument("--whole", action="store_true", help="all views of levels.py, not its quick choice")
    parser.add_argument("--films", type=Path, help="folder of films and levels.json [$VFSS_SHARED/data/cephalograms]")
    parser.add_argument("--clips", type=Path, help="folder of the two clips [$VFSS_SHARED/data/clips]")
    parser.add_argument("--json", type=Path, default=RESULTS, help="file for the figures")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    schema = Schema.load()
    films, folder = read_films(folder_of(options.films, "films")), folder_of(options.clips, "clips")
    clips = read_clips(folder, schema, CLIP_EVERY)
    material = gather(films, clips, quick=not options.whole)
    shown, real = list(patients(options.patients)), real_frames(folder, schema)
    views = {"views": len(material.views), "films_without_barium": len(material.bolus)}
    result: dict[str, Any] = {**views, "patients_a_style": options.patients, "students": {}}
    for name in options.student:
        checkpoint = load_checkpoint(student_file(name))
        print(f"\n{Path(name).name} ({checkpoint.id})", flush=True)
        figures = examine(checkpoint, schema, material, shown, real)
        result["students"][checkpoint.id] = {"file": Path(name).name, "rules": figures}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except VfssError as error:
        sys.exit(str(error))
