# SPDX-License-Identifier: Apache-2.0
"""How many interactions a clip costs until every structure on every frame has a Dice of 0.95 with the truth.

Three ways, by one simulated annotator (benchmarks/annotator.py has the error model) on the same phantom clips:
- mobile_sam: MobileSAM, prompted for every structure on every frame: a box, then clicks, then strokes of the brush;
- frame_by_frame: our proposals, corrected on every frame by clicks and strokes;
- ours: the same, but what was corrected is carried to the other frames, and the annotator goes to the frame that is
  then the worst, until none is left. Only what was corrected on a frame is carried from it, and a structure that did
  not hold to the next frame so many times (TRIES) is not carried any more.
Each click, box, stroke and key press counts as one; looking at a frame counts nothing, and accepting it counts one in
all three. After MOST corrections that do not reach 0.95 the structure is given up, and counted so. A structure that is
not there costs one key press where something is shown of it. MobileSAM, which is slow, is given every n-th frame only.
Writes benchmarks/results/effort.json and .png.
Run: VFSS_SHARED=FOLDER python benchmarks/effort.py     (FOLDER/weights/mobile_sam.pt; or --mobile-sam FILE)
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from annotator import Hand, agreement
from correcting import ENOUGH, KEY, Count, Task, corrected, draw, per_frame

from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.phantom import Phantom
from vfss.propagation import CarryOrder, Propagation
from vfss.schema import Schema
from vfss.student import Proposal, Student, load_student
from vfss.student.prompts import Click, Prompts
from vfss_training.teachers.loading import load_teacher

RESULTS = Path(__file__).parent / "results" / "effort.json"
FIRST_SEED, TRIES = 180_000, 2


@dataclass
class Scene:
    """A clip in memory, with its truth and the student's word on it.

    Attributes:
        pictures: uint8 (T, H, W).
        truth: bool (T, S, H, W).
        proposals: One a frame.
        masks: bool (T, S, H, W), what is shown now.
        state: uint8 (T, S), values of MaskState.
    """

    schema: Schema
    student: Student
    pictures: ByteArray
    truth: BoolArray
    proposals: list[Proposal]
    masks: BoolArray
    state: ByteArray
    encoded: dict[int, Any] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Frames of the clip."""
        return len(self.pictures)

    def again(self) -> Scene:
        """The same before anything was corrected."""
        return replace(self, masks=self.masks.copy(), state=self.state.copy(), encoded={})

    def picture(self, frame: int) -> ByteArray:
        """Frame as uint8 (H, W)."""
        return self.pictures[frame]

    def states(self) -> ByteArray:
        """States of all frames."""
        return self.state

    def plane(self, frame: int, structure: str) -> BoolArray:
        """A mask as it is now."""
        found: BoolArray = self.masks[frame, self.schema[structure].index]
        return found

    def suggestion(self, frame: int) -> Proposal | None:
        """What the student says of a frame."""
        return self.proposals[frame]

    def following(self, frame: int, planes: Mapping[str, BoolArray]) -> Proposal | None:
        """What it says when it is shown a neighbour's masks."""
        if not self.student.can_refine:
            return None
        told = np.zeros_like(self.truth[frame])
        known = np.zeros(len(self.schema), np.bool_)
        for key, plane in planes.items():
            told[self.schema[key].index], known[self.schema[key].index] = plane, True
        return self.student.follow(self.features(frame), told, known)

    def features(self, frame: int) -> Any:
        """What the encoder knows of a frame."""
        if frame not in self.encoded:
            self.encoded = {frame: self.student.encode(self.pictures[frame])}
        return self.encoded[frame]

    def is_right(self, frame: int, index: int) -> bool:
        """Whether a structure needs no correction."""
        shown, truth = self.masks[frame, index], self.truth[frame, index]
        return not shown.any() if not truth.any() else agreement(shown, truth) >= ENOUGH


def scene(student: Student, seed: int, frames: int, size: int, style: str) -> Scene:
    phantom = Phantom(seed, n_frames=frames, height=size, width=size, style=style)
    samples = [phantom.sample(t) for t in range(frames)]
    pictures = np.stack([picture for picture, _, _ in samples])
    truth = np.stack([planes for _, planes, _ in samples])
    proposals = list(student.propose_each(iter(pictures)))
    masks = np.stack([proposal.masks.planes for proposal in proposals])
    state = np.full((frames, len(student.schema)), MaskState.PROPOSED, np.uint8)
    return Scene(student.schema, student, pictures, truth, proposals, masks, state)


def correct(one: Scene, frame: int, index: int, hand: Hand, count: Count, *, enough: float = ENOUGH) -> None:
    """Correct one structure of a frame until it is right, by clicks while they help, then by strokes."""
    truth, key = one.truth[frame, index], one.schema.structures[index].key
    if not truth.any():
        one.masks[frame, index] = False
        one.state[frame, index] = MaskState.EMPTY
        count.add("marked as not there", structure=key)
        return
    prompts = Prompts()

    def answer(click: Click, shown: BoolArray) -> BoolArray:
        nonlocal prompts
        prompts = prompts.with_click(click)
        return one.student.refine(one.features(frame), key, prompts, shown).mask

    tool = answer if one.student.can_refine else None
    one.masks[frame, index] = corrected(one.masks[frame, index], Task(key, truth, enough), hand, count, tool)
    one.state[frame, index] = MaskState.ACCEPTED


def frame_by_frame(one: Scene, seed: int) -> Count:
    count = Count()
    count.add("propose")
    for frame in range(one.n_frames):
        for index in range(len(one.schema)):
            if not one.is_right(frame, index):
                correct(one, frame, index, Hand(np.random.default_rng((seed, frame, index))), count)
        count.add("accept")
    return count


def ours(one: Scene, seed: int) -> tuple[Count, int]:
    """Interactions, and on how many frames anything was corrected."""
    count, visited = Count(), 0
    count.add("propose")
    tries = Counter[int]()  # how often a structure was carried and did not hold to the next frame
    while True:
        wrong = np.array([[not one.is_right(t, i) for i in range(len(one.schema))] for t in range(one.n_frames)])
        wrong &= one.state == MaskState.PROPOSED
        if not wrong.any():
            break
        frame = worst(wrong)
        visited += 1
        carried = []
        for index in np.flatnonzero(wrong[frame]):
            hand = Hand(np.random.default_rng((seed, frame, int(index))))
            holds = tries[int(index)] < TRIES
            correct(one, frame, int(index), hand, count, enough=KEY if holds else ENOUGH)
            if one.state[frame, index] == MaskState.ACCEPTED and holds:
                carried.append(one.schema.structures[index].key)
        here = one.state[frame] == MaskState.PROPOSED
        one.state[frame, here] = np.where(one.masks[frame, here].any((1, 2)), MaskState.ACCEPTED, MaskState.EMPTY)
        if carried and wrong.sum() > wrong[frame].sum():
            count.add("carry")
            carry(one, frame, tuple(carried))
            for index in (one.schema[key].index for key in carried):
                near = [t for t in (frame - 1, frame + 1) if 0 <= t < one.n_frames]
                near = [t for t in near if one.state[t, index] == MaskState.PROPOSED]
                if near:
                    tries[index] = 0 if all(one.is_right(t, index) for t in near) else tries[index] + 1
    count.add("accept", one.n_frames)
    return count, visited


def worst(wrong: BoolArray) -> int:
    """The frame with most that is wrong; of equal ones the one in the middle."""
    sums = wrong.sum(axis=1)
    best = np.flatnonzero(sums == sums.max())
    return int(best[len(best) // 2])


def carry(one: Scene, frame: int, keys: tuple[str, ...]) -> None:
    for found in Propagation(one, CarryOrder(frame, "both", keys)).run():
        for key, plane in found.planes.items():
            index = one.schema[key].index
            if one.state[found.frame, index] in (MaskState.UNSEEN, MaskState.PROPOSED):
                one.masks[found.frame, index] = plane


def mobile_sam(teacher: Any, one: Scene, seed: int, every: int) -> tuple[Count, int]:
    """Interactions on every n-th frame, and on how many frames."""
    count, frames = Count(), range(every // 2, one.n_frames, every)
    for frame in frames:
        encoded = teacher.encode(one.pictures[frame])
        for index in range(len(one.schema)):
            truth = one.truth[frame, index]
            if truth.any():
                hand = Hand(np.random.default_rng((seed, frame, index)))
                prompt_sam(teacher, encoded, Task(one.schema.structures[index].key, truth), hand, count)
        count.add("accept")
    return count, len(frames)


def prompt_sam(teacher: Any, encoded: Any, task: Task, hand: Hand, count: Count) -> None:
    """One structure: a box, clicks while they help (at most as many as ours), then strokes."""
    box, clicks = hand.box(task.truth), list[Click]()
    count.add("boxes", structure=task.key)
    shown, logits = teacher.refined(encoded, box, clicks, None)

    def answer(click: Click, _shown: BoolArray) -> BoolArray:
        nonlocal logits
        clicks.append(click)
        found, logits = teacher.refined(encoded, box, clicks, logits)
        return found

    corrected(shown, task, hand, count, answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="default")
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--style", default="standard")
    parser.add_argument("--sam-every", type=int, default=12, help="MobileSAM is given every n-th frame; 0: none.")
    parser.add_argument(
        "--mobile-sam", type=Path, default=Path(os.environ.get("VFSS_SHARED", ".")) / "weights/mobile_sam.pt"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    student = load_student(arguments.student, "cpu")
    teacher = load_teacher("mobile-sam", arguments.mobile_sam) if arguments.sam_every else None
    counts: dict[str, list[Count]] = {"mobile_sam": [], "frame_by_frame": [], "ours": []}
    sam_frames, visited, began = 0, [], time.monotonic()
    for i in range(arguments.clips):
        made = scene(student, FIRST_SEED + i, arguments.frames, arguments.size, arguments.style)
        counts["frame_by_frame"].append(frame_by_frame(made.again(), i))
        found, frames = ours(made.again(), i)
        counts["ours"].append(found)
        visited.append(frames)
        if teacher is not None:
            found, frames = mobile_sam(teacher, made, i, arguments.sam_every)
            counts["mobile_sam"].append(found)
            sam_frames += frames
        print(
            f"clip {i}: {[c[-1].total for c in counts.values() if c]} after {time.monotonic() - began:.0f} s",
            flush=True,
        )
    whole = arguments.clips * arguments.frames
    table = {name: per_frame(c, sam_frames if name == "mobile_sam" else whole) for name, c in counts.items() if c}
    per = {name: row["interactions"] for name, row in table.items()}
    result = {
        "command": f"python benchmarks/effort.py --clips {arguments.clips} --frames {arguments.frames}",
        "student_id": student.id,
        "clips": f"{arguments.clips} of {arguments.frames} frames, {arguments.size} px, style {arguments.style}",
        "interactions_per_frame": per,
        "ratio_to_mobile_sam": round(per["mobile_sam"] / per["ours"], 2) if "mobile_sam" in per else None,
        "ratio_to_frame_by_frame": round(per["frame_by_frame"] / per["ours"], 2),
        "targets": {"ratio_to_mobile_sam": 10, "ratio_to_frame_by_frame": 3},
        "frames_corrected_by_ours": visited,
        "table": table,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(table, arguments.out.with_suffix(".png"))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
