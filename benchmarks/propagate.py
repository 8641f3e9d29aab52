# SPDX-License-Identifier: Apache-2.0
"""How well masks are carried over phantom clips, by structure: from one key frame, and between two.

Every structure starts from its true mask on a key frame and is compared with the truth 1, 5, 10 and 20 frames later,
and in the middle half of gaps of 10 and 20 frames whose both ends are known. Beside it: copying the mask of the nearer
key frame, and the student's own proposal. Trust is compared with the true Dice. Writes
benchmarks/results/propagate.json and a plot beside it.
results/propagate_follow.json is of a student that was shown the masks of the neighbouring frame instead of proposing by
itself: worse (soft masks between key frames 10 apart: Dice 0.81 instead of 0.84) in nearly twice the time, so it went.
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


class Truth:
    """A phantom clip with a person's word on some frames only (vfss.propagation.propagation.Source)."""

    def __init__(self, phantom: Phantom, student: Student) -> None:
        self.schema, self.n_frames = phantom.schema, phantom.n_frames
        drawn = [phantom.sample(t) for t in range(phantom.n_frames)]
        self._pictures = [picture for picture, _, _ in drawn]
        self._planes = [[pack_mask(plane) for plane in planes] for _, planes, _ in drawn]
        self._said = []
        for said in student.propose_each(iter(self._pictures)):
            self._said.append(([pack_mask(plane) for plane in said.masks.planes], said))
        self.keys: tuple[int, ...] = ()

    def picture(self, frame: int) -> ByteArray:
        """Frame as uint8 (H, W)."""
        return self._pictures[frame]

    def states(self) -> ByteArray:
        """States of all frames."""
        states = np.zeros((self.n_frames, len(self.schema)), np.uint8)
        for frame in self.keys:
            states[frame] = [
                MaskState.ACCEPTED if self.truth(frame, s.key).any() else 4 for s in self.schema.structures
            ]
        return states

    def truth(self, frame: int, key: str) -> Any:
        """True mask, bool (H, W)."""
        return unpack_mask(self._planes[frame][self.schema[key].index])

    plane = truth

    def proposal(self, frame: int) -> Proposal:
        """What the student says of a frame."""
        packed, said = self._said[frame]
        planes = np.stack([unpack_mask(plane) for plane in packed])
        return Proposal(said.keys, Masks(planes, said.masks.state), said.confidence, said.student)


def carried(film: Truth, keys: tuple[int, ...], last: int) -> dict[tuple[int, str], tuple[Any, float]]:
    """Masks and trust by frame and structure, from the first of the key frames on."""
    film.keys = keys
    present = tuple(key for key in film.schema.keys if film.truth(keys[0], key).any())
    out = {}
    for new in Propagation(film, PropagationRequest(keys[0], "forward", present)).run():
        if new.frame > last:
            break
        out |= {(new.frame, key): (plane, new.confidence[key]) for key, plane in new.planes.items()}
    return out


def measure(film: Truth, starts: range, found: dict[Any, list[tuple[float, ...]]]) -> int:
    """Fill in Dice of (ours, copy, student) and trust, by kind, distance and structure; frames carried."""
    frames = 0
    for start in starts:
        masks = carried(film, (start,), start + max(AHEAD))
        frames += max(AHEAD)
        note(film, masks, (start, start + 100), [(("ahead", n), start + n) for n in AHEAD], found)
        for gap in GAPS:
            masks = carried(film, (start, start + gap), start + gap - 1)
            frames += 2 * (gap - 1)
            middle = range(start + gap // 4, start + gap - gap // 4 + 1)
            note(film, masks, (start, start + gap), [(("between", gap), t) for t in middle], found)
    return frames


def note(film: Truth, masks: Any, ends: tuple[int, int], wanted: Any, found: Any) -> None:
    start, end = ends
    for kind, frame in wanted:
        said = film.proposal(frame)
        key_frame = start if kind[0] == "ahead" or frame - start <= end - frame else end
        for structure in film.schema.structures:
            truth, known = film.truth(frame, structure.key), film.truth(start, structure.key)
            if not truth.any() or not known.any():
                continue
            ours, trust = masks.get((frame, structure.key), (None, float("nan")))
            found[(*kind, structure.key)].append(
                (
                    float("nan") if ours is None else dice(ours, truth),
                    dice(film.truth(key_frame, structure.key), truth),
                    dice(said.masks.planes[structure.index], truth),
                    trust,
                )
            )


def summary(rows: list[tuple[float, ...]]) -> dict[str, float]:
    ours, copy, student, trust = np.array(rows, np.float64).T
    done = ~np.isnan(ours)
    return {
        "ours": mean(ours),
        "copy_there": mean(copy[done]),
        "student_there": mean(student[done]),
        "share_from_0.95": round(float(np.mean(ours[done] >= 0.95)), 3) if done.any() else float("nan"),
        "carried": round(float(done.mean()), 3),
        "trust_error": mean(np.abs(trust - ours)),
        "trust_expected_error": round(expected_error(trust, ours), 4),
        "n": len(rows),
    }


def mean(values: Any) -> float:
    return round(float(np.nanmean(values)), 4) if np.isfinite(values).any() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--starts", type=int, default=2, help="key frames in a clip")
    parser.add_argument("--student", default="default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    student = load_student(arguments.student, "cpu", threads=1)
    found: dict[Any, list[tuple[float, ...]]] = defaultdict(list)
    frames, wall, cpu = 0, 0.0, 0.0
    for i in range(arguments.clips):
        size = arguments.size
        phantom = Phantom(SEED + i, n_frames=arguments.frames, height=size, width=size, style=STYLES[i % len(STYLES)])
        film = Truth(phantom, student)
        last = arguments.frames - max(AHEAD) - 1
        wall, cpu = wall - time.perf_counter(), cpu - time.process_time()
        frames += measure(film, range(2, last, max(1, (last - 2) // arguments.starts)), found)
        wall, cpu = wall + time.perf_counter(), cpu + time.process_time()
        print(f"clip {i + 1} of {arguments.clips}: {phantom.variant}, {phantom.style}", flush=True)
    write(found, {"frames": frames, "wall_ms": 1000 * wall / frames, "cpu_ms": 1000 * cpu / frames}, arguments)


def write(found: dict[Any, list[tuple[float, ...]]], speed: dict[str, float], arguments: argparse.Namespace) -> None:
    structures = list(dict.fromkeys(key for _, _, key in found))
    soft = [key for key in structures if key in Schema.load().soft]
    groups = {"bones": [key for key in structures if key not in soft], "soft": soft}
    kinds = [("ahead", n) for n in AHEAD] + [("between", n) for n in GAPS]
    table = {}
    for kind, n in kinds:
        rows = {key: found[kind, n, key] for key in structures}
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
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, 3, figsize=(13, 6.5), sharey=True)
    for axis, (kind, rows) in zip(axes.flat, table.items(), strict=True):
        for name, mark, label in (
            ("copy_there", "_", "copied"),
            ("student_there", "x", "student"),
            ("ours", "o", "ours"),
        ):
            axis.plot(structures, [rows.get(key, {}).get(name, float("nan")) for key in structures], mark, label=label)
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
