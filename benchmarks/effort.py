# SPDX-License-Identifier: Apache-2.0
"""Number of interactions until every structure on every frame of a clip has a Dice of 0.95 with the truth.

Three ways of working, by one simulated annotator (benchmarks/annotator.py has the error model) on the same phantom
clips:
- mobile_sam: MobileSAM, prompted for every structure on every frame: a box, then clicks, then strokes of the brush;
- frame_by_frame: our proposals, corrected on every frame by clicks and strokes;
- ours: the same, but corrected bones are propagated to the other frames, and after given numbers of corrected frames
  (LEARN_AT) the student is adapted to the clip and proposes the soft structures again. The annotator then goes to one
  of the frames with the most errors, far from those visited before, until none is left. A bone whose propagation was
  wrong on a neighbouring frame TRIES times in a row is not propagated any more.
Each click, box, stroke and key press counts as one. Going to a frame counts nothing; playing the clip to find errors,
before each adaptation and at the end, counts one. Accepting counts one for all frames viewed in a row: frame by frame
this is the complete clip; for ours it is each corrected frame, and the rest at the end; for MobileSAM it counts
nothing. The ratios with one key press for each frame in all three ways are reported in addition.
A structure that does not reach 0.95 after MOST_CORRECTIONS is given up and counted as such. A structure that is not
visible costs one key press if a mask of it is shown. MobileSAM, which is slow, is given every n-th frame only.
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
from pathlib import Path
from typing import Any

import numpy as np
from annotator import Hand
from correcting import ENOUGH, KEY, Count, Task, corrected, draw, per_frame
from scene import Scene, scene

from vfss.masks import BoolArray, MaskState
from vfss.student import load_checkpoint, load_student
from vfss.student.checkpoint import Checkpoint
from vfss.student.prompts import Click, Prompts
from vfss_training.teachers.loading import load_teacher

RESULTS = Path(__file__).parent / "results" / "effort.json"
FIRST_SEED, TRIES = 230_000, 2  # no setting was chosen on these clips
LEARN_AT = (3, 6, 10, 16, 24, 36, 50, 70, 90)


def correct(one: Scene, frame: int, index: int, hand: Hand, count: Count, *, enough: float = ENOUGH) -> None:
    """Correct one structure of a frame until its Dice is reached, by clicks while they help, then by strokes."""
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
    """Correct the proposals on every frame; return the interactions."""
    count = Count()
    count.add("propose")
    for frame in range(one.n_frames):
        for index in range(len(one.schema)):
            if not one.is_right(frame, index):
                correct(one, frame, index, Hand(np.random.default_rng((seed, frame, index))), count)
    count.add("accept")  # each frame was viewed after its correction
    return count


def ours(one: Scene, seed: int, checkpoint: Checkpoint) -> tuple[Count, int, float]:
    """Correct, propagate and adapt; return interactions, number of corrected frames, seconds of adaptation."""
    count, visited, seconds = Count(), list[int](), 0.0
    count.add("propose")
    tries = Counter[int]()  # consecutive wrong propagations to a neighbouring frame, by structure
    while (wrong := one.wrong()).any():
        frame = next_frame(wrong, visited)
        visited.append(frame)
        propagated_keys = []
        for index in map(int, np.flatnonzero(wrong[frame])):
            structure = one.schema.structures[index]
            propagates = structure.is_rigid and tries[index] < TRIES
            hand = Hand(np.random.default_rng((seed, frame, index)))
            correct(one, frame, index, hand, count, enough=KEY if propagates else ENOUGH)
            if propagates and one.state[frame, index] == MaskState.ACCEPTED:
                propagated_keys.append(structure.key)
        accept(one, frame)
        count.add("accept")
        if wrong.sum() == wrong[frame].sum():
            break
        if propagated_keys:
            count.add("carry")
            one.propagate(frame, tuple(propagated_keys))
            for index in (one.schema[key].index for key in propagated_keys):
                neighbours = [t for t in (frame - 1, frame + 1) if 0 <= t < one.n_frames]
                neighbours = [t for t in neighbours if one.state[t, index] == MaskState.PROPOSED]
                if neighbours:
                    tries[index] = 0 if all(one.is_right(t, index) for t in neighbours) else tries[index] + 1
        if len(visited) in LEARN_AT:
            count.add("learn")
            count.add("play")
            started = time.monotonic()
            one.learn(checkpoint)
            seconds += time.monotonic() - started
    count.add("play")
    count.add("accept")
    return count, len(visited), seconds


def next_frame(wrong: BoolArray, visited: list[int]) -> int:
    """Return the frame furthest from the visited ones, among those with the most wrong structures or one less."""
    sums = wrong.sum(axis=1)
    best = np.flatnonzero(sums >= max(1, sums.max() - 1))
    if not visited:
        return int(best[len(best) // 2])
    return int(best[np.abs(best[:, None] - np.array(visited)[None]).min(axis=1).argmax()])


def ratios_with_accept_per_frame(table: Mapping[str, Any]) -> dict[str, float]:
    """Return the ratios to ours if each frame takes one key press to be accepted, in all three ways."""
    per = {name: row["interactions"] - row["by_kind"].get("accept", 0.0) + 1.0 for name, row in table.items()}
    return {name: round(value / per["ours"], 2) for name, value in per.items() if name != "ours"}


def accept(one: Scene, frame: int) -> None:
    """Accept all remaining proposals of a frame."""
    proposed = one.state[frame] == MaskState.PROPOSED
    one.state[frame, proposed] = np.where(one.masks[frame, proposed].any((1, 2)), MaskState.ACCEPTED, MaskState.EMPTY)


def mobile_sam(teacher: Any, one: Scene, seed: int, every: int) -> tuple[Count, int]:
    """Correct every n-th frame with MobileSAM; return the interactions and the number of frames."""
    count, frames = Count(), range(every // 2, one.n_frames, every)
    for frame in frames:
        encoded = teacher.encode(one.pictures[frame])
        for index in range(len(one.schema)):
            truth = one.truth[frame, index]
            if truth.any():
                hand = Hand(np.random.default_rng((seed, frame, index)))
                prompt_sam(teacher, encoded, Task(one.schema.structures[index].key, truth), hand, count)
    return count, len(frames)


def prompt_sam(teacher: Any, encoded: Any, task: Task, hand: Hand, count: Count) -> None:
    """Correct one structure by a box, clicks while they help (at most as many as ours), then strokes."""
    box, clicks = hand.box(task.truth), list[Click]()
    count.add("boxes", structure=task.key)
    shown, logits = teacher.refined(encoded, box, clicks, None)

    def answer(click: Click, _shown: BoolArray) -> BoolArray:
        nonlocal logits
        clicks.append(click)
        mask, logits = teacher.refined(encoded, box, clicks, logits)
        return mask

    corrected(shown, task, hand, count, answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="default")
    parser.add_argument("--clips", type=int, default=2, help="Number of clips.")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="Seed of the first clip.")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--style", default="standard")
    parser.add_argument("--sam-every", type=int, default=24, help="MobileSAM is given every n-th frame; 0: none.")
    parser.add_argument(
        "--mobile-sam", type=Path, default=Path(os.environ.get("VFSS_SHARED", ".")) / "weights/mobile_sam.pt"
    )
    parser.add_argument(
        "--only-ours",
        action="store_true",
        help="Leave out the other two ways, which do not depend on the clip-adapted student.",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    student = load_student(arguments.student, "cpu")
    with_sam = arguments.sam_every and not arguments.only_ours
    teacher = load_teacher("mobile-sam", arguments.mobile_sam) if with_sam else None
    counts: dict[str, list[Count]] = {"mobile_sam": [], "frame_by_frame": [], "ours": []}
    sam_frames, visited, learning, started = 0, [], [], time.monotonic()
    checkpoint = load_checkpoint(student.path or "")
    for i in range(arguments.clips):
        clip_scene = scene(student, arguments.seed + i, arguments.frames, arguments.size, arguments.style)
        if not arguments.only_ours:
            counts["frame_by_frame"].append(frame_by_frame(clip_scene.uncorrected(), i))
        count, frames, seconds = ours(clip_scene.uncorrected(), i, checkpoint)
        counts["ours"].append(count)
        visited.append(frames)
        learning.append(round(seconds))
        if teacher is not None:
            count, frames = mobile_sam(teacher, clip_scene, i, arguments.sam_every)
            counts["mobile_sam"].append(count)
            sam_frames += frames
        print(
            f"clip {i}: {[c[-1].total for c in counts.values() if c]} after {time.monotonic() - started:.0f} s",
            flush=True,
        )
    all_frames = arguments.clips * arguments.frames
    table = {name: per_frame(c, sam_frames if name == "mobile_sam" else all_frames) for name, c in counts.items() if c}
    per = {name: row["interactions"] for name, row in table.items()}
    result = {
        "command": f"python benchmarks/effort.py --seed {arguments.seed} --clips {arguments.clips} "
        f"--frames {arguments.frames}",
        "student_id": student.id,
        "clips": f"{arguments.clips} of {arguments.frames} frames, {arguments.size} px, style {arguments.style}",
        "interactions_per_frame": per,
        "ratio_to_mobile_sam": round(per["mobile_sam"] / per["ours"], 2) if "mobile_sam" in per else None,
        "ratio_to_frame_by_frame": round(per["frame_by_frame"] / per["ours"], 2) if "frame_by_frame" in per else None,
        "ratios_with_a_key_to_accept_each_frame": ratios_with_accept_per_frame(table),
        "targets": {"ratio_to_mobile_sam": 10, "ratio_to_frame_by_frame": 3},
        "clip_by_clip": {name: [one.total for one in c] for name, c in counts.items() if c},
        "frames_corrected_by_ours": visited,
        "seconds_of_learning_by_ours": learning,
        "table": table,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(table, arguments.out.with_suffix(".png"))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
