# SPDX-License-Identifier: Apache-2.0
"""Accuracy of propagation on phantom clips, by structure: from one key frame, and between two.

Every structure starts from its true mask on a key frame and is compared with the truth 1, 5, 10 and 20 frames later,
and in the middle half of gaps of 10 and 20 frames between two key frames. For comparison: a copy of the mask of the
nearer key frame, and the student's proposal. Confidence is compared with the true Dice. Writes
benchmarks/results/propagate.json and a plot.
results/propagate_follow.json is of a student whose input had the masks of the neighbouring frame: it was less accurate
(soft masks between key frames 10 apart: Dice 0.81 instead of 0.84) and took nearly twice the time, so it was removed.
Run: python benchmarks/propagate.py [--clips 4] [--frames 60] [--size 512]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vfss.masks import ByteArray, Masks, MaskState, pack_mask, unpack_mask
from vfss.masks.metrics import dice
from vfss.phantom import Phantom
from vfss.propagation.propagation import Propagation, PropagationRequest
from vfss.schema import Schema
from vfss.student import Proposal, Student, load_student
from vfss.student.calibration import expected_error

RESULTS = Path(__file__).parent / "results" / "propagate.json"
SEED = 910_001  # no student was trained on these
STYLES = ("standard", "intensifier", "capture", "harsh", "elderly", "sharpened")
AHEAD, GAPS = (1, 5, 10, 20), (10, 20)


class TrueClip:
    """A phantom clip whose true masks are annotated on key frames only (vfss.propagation.propagation.Source).

    Attributes:
        keys: Key frames.
    """

    def __init__(self, phantom: Phantom, student: Student) -> None:
        self.schema, self.n_frames, self.pixel_aspect = phantom.schema, phantom.n_frames, 1.0
        samples = [phantom.sample(t) for t in range(phantom.n_frames)]
        self._pictures = [picture for picture, _, _ in samples]
        self._planes = [[pack_mask(plane) for plane in planes] for _, planes, _ in samples]
        self._proposals = []
        for proposal in student.propose_each(iter(self._pictures)):
            self._proposals.append(([pack_mask(plane) for plane in proposal.masks.planes], proposal))
        self.keys: tuple[int, ...] = ()

    def picture(self, frame: int) -> ByteArray:
        """Return a frame, uint8 (H, W)."""
        return self._pictures[frame]

    def states(self) -> ByteArray:
        """Return the states of all frames, uint8 (T, S)."""
        states = np.zeros((self.n_frames, len(self.schema)), np.uint8)
        for frame in self.keys:
            states[frame] = [
                MaskState.ACCEPTED if self.truth(frame, s.key).any() else 4 for s in self.schema.structures
            ]
        return states

    def truth(self, frame: int, key: str) -> Any:
        """Return a true mask, bool (H, W)."""
        return unpack_mask(self._planes[frame][self.schema[key].index])

    plane = truth

    def proposal(self, frame: int) -> Proposal:
        """Return the student's proposal for a frame."""
        packed, proposal = self._proposals[frame]
        planes = np.stack([unpack_mask(plane) for plane in packed])
        return Proposal(proposal.keys, Masks(planes, proposal.masks.state), proposal.confidence, proposal.student)


def propagate(clip: TrueClip, keys: tuple[int, ...], last: int) -> dict[tuple[int, str], tuple[Any, float]]:
    """Return masks and confidence by frame and structure, propagated forwards from the first key frame."""
    clip.keys = keys
    present = tuple(key for key in clip.schema.keys if clip.truth(keys[0], key).any())
    out = {}
    for propagated in Propagation(clip, PropagationRequest(keys[0], "forward", present)).run():
        if propagated.frame > last:
            break
        out |= {
            (propagated.frame, key): (plane, propagated.confidence[key]) for key, plane in propagated.planes.items()
        }
    return out


def measure(clip: TrueClip, starts: range, scores: dict[Any, list[tuple[float, ...]]]) -> int:
    """Add Dice of (ours, copy, student) and confidence by kind, distance and structure; return the number of frames."""
    frames = 0
    for start in starts:
        masks = propagate(clip, (start,), start + max(AHEAD))
        frames += max(AHEAD)
        add_scores(clip, masks, (start, start + 100), [(("ahead", n), start + n) for n in AHEAD], scores)
        for gap in GAPS:
            masks = propagate(clip, (start, start + gap), start + gap - 1)
            frames += 2 * (gap - 1)
            middle = range(start + gap // 4, start + gap - gap // 4 + 1)
            add_scores(clip, masks, (start, start + gap), [(("between", gap), t) for t in middle], scores)
    return frames


def add_scores(clip: TrueClip, masks: Any, ends: tuple[int, int], targets: Any, scores: Any) -> None:
    """Add the scores of some frames, each with its kind and distance."""
    start, end = ends
    for kind, frame in targets:
        proposal = clip.proposal(frame)
        key_frame = start if kind[0] == "ahead" or frame - start <= end - frame else end
        for structure in clip.schema.structures:
            truth, known = clip.truth(frame, structure.key), clip.truth(start, structure.key)
            if not truth.any() or not known.any():
                continue
            ours, confidence = masks.get((frame, structure.key), (None, float("nan")))
            scores[(*kind, structure.key)].append(
                (
                    float("nan") if ours is None else dice(ours, truth),
                    dice(clip.truth(key_frame, structure.key), truth),
                    dice(proposal.masks.planes[structure.index], truth),
                    confidence,
                )
            )


def summary(rows: list[tuple[float, ...]]) -> dict[str, float]:
    """Return the means over scores, and the errors of the confidence."""
    ours, copy, student, confidence = np.array(rows, np.float64).T
    covered = ~np.isnan(ours)
    return {
        "ours": mean(ours),
        "copy_there": mean(copy[covered]),
        "student_there": mean(student[covered]),
        "share_from_0.95": round(float(np.mean(ours[covered] >= 0.95)), 3) if covered.any() else float("nan"),
        "carried": round(float(covered.mean()), 3),
        "trust_error": mean(np.abs(confidence - ours)),
        "trust_expected_error": round(expected_error(confidence, ours), 4),
        "n": len(rows),
    }


def mean(values: Any) -> float:
    """Return the rounded mean of finite values; NaN without any."""
    return round(float(np.nanmean(values)), 4) if np.isfinite(values).any() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--starts", type=int, default=2, help="number of key frames in a clip")
    parser.add_argument("--student", default="default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    student = load_student(arguments.student, "cpu", threads=1)
    scores: dict[Any, list[tuple[float, ...]]] = defaultdict(list)
    frames, wall, cpu = 0, 0.0, 0.0
    for i in range(arguments.clips):
        size = arguments.size
        phantom = Phantom(SEED + i, n_frames=arguments.frames, height=size, width=size, style=STYLES[i % len(STYLES)])
        clip = TrueClip(phantom, student)
        last = arguments.frames - max(AHEAD) - 1
        wall, cpu = wall - time.perf_counter(), cpu - time.process_time()
        frames += measure(clip, range(2, last, max(1, (last - 2) // arguments.starts)), scores)
        wall, cpu = wall + time.perf_counter(), cpu + time.process_time()
        print(f"clip {i + 1} of {arguments.clips}: {phantom.variant}, {phantom.style}", flush=True)
    write(scores, {"frames": frames, "wall_ms": 1000 * wall / frames, "cpu_ms": 1000 * cpu / frames}, arguments)


def write(scores: dict[Any, list[tuple[float, ...]]], speed: dict[str, float], arguments: argparse.Namespace) -> None:
    """Write the results and the plot."""
    structures = list(dict.fromkeys(key for _, _, key in scores))
    soft = [key for key in structures if key in Schema.load().soft]
    groups = {"bones": [key for key in structures if key not in soft], "soft": soft}
    kinds = [("ahead", n) for n in AHEAD] + [("between", n) for n in GAPS]
    table = {}
    for kind, n in kinds:
        rows = {key: scores[kind, n, key] for key in structures}
        joint = {name: [row for key in keys for row in rows[key]] for name, keys in groups.items()}
        table[f"{kind} {n}"] = {name: summary(values) for name, values in {**joint, **rows}.items() if values}
    result = {
        "clips": arguments.clips,
        "frames": arguments.frames,
        "size": arguments.size,
        "student": arguments.student,
        "ms_a_frame": {name: round(value, 1) for name, value in speed.items()},
        "note": "ms_a_frame without decoding, and without the student's proposals",
        "dice": table,
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({kind: {g: row[g] for g in groups if g in row} for kind, row in table.items()}, indent=1))
    plot(table, structures, arguments.out.with_suffix(".png"))


def plot(table: dict[str, Any], structures: list[str], path: Path) -> None:
    """Plot the Dice by structure for every kind and distance."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, 3, figsize=(13, 6.5), sharey=True)
    for axis, (kind, rows) in zip(axes.flat, table.items(), strict=True):
        for name, marker, label in (
            ("copy_there", "_", "copied"),
            ("student_there", "x", "student"),
            ("ours", "o", "ours"),
        ):
            axis.plot(
                structures, [rows.get(key, {}).get(name, float("nan")) for key in structures], marker, label=label
            )
        axis.axhline(0.95, color="grey", linewidth=0.6)
        axis.set_title(f"{kind} frames")
        axis.tick_params(axis="x", rotation=60)
        axis.set_ylim(0, 1.02)
    axes[0, 0].set_ylabel("Dice")
    axes[1, 0].set_ylabel("Dice")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
