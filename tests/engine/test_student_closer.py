# SPDX-License-Identifier: Apache-2.0
"""The closer look: where the spine is of another size than usual, a frame is looked at again, and that look counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delayed_runtime import DelayedRuntime
from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.schema import Schema
from vfss.student import Student, load_checkpoint, load_student
from vfss.student.closer_look import CloserLook, SpineFinder
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.passes import Look, Passes
from vfss.student.preprocess import Placement, fit, restore

SCHEMA = Schema.load()
STRUCTURES = [SCHEMA[key] for key in SCHEMA.keys]
SPINE = [i for i, structure in enumerate(STRUCTURES) if structure.chain == "spine"]
SIZE = 256
SURE, UNSURE = np.full(len(STRUCTURES), 0.9, np.float32), np.full(len(STRUCTURES), 0.5, np.float32)


def neck(distance: float, *, top: float = 20.0, x: float = 150.0, face: float = 60.0) -> np.ndarray:
    """Return logits of a straight spine, distances in input pixels, with a jaw at another column."""
    logits = np.full((len(STRUCTURES), SIZE // 4, SIZE // 4), -5, np.float32)
    rows, columns = np.mgrid[: SIZE // 4, : SIZE // 4] * 4 + 1.5
    for number, plane in enumerate(SPINE):
        y = top + number * distance
        logits[plane][np.hypot(rows - y, columns - x) < 0.4 * distance] = 5
    jaw = SCHEMA["mandible"].index
    logits[jaw][np.hypot(rows - top - distance, columns - face) < 12] = 5
    return logits


@pytest.mark.parametrize(("distance", "face"), [(18.0, 60.0), (18.0, 230.0), (40.0, 60.0)])
def test_the_spine_is_in_the_middle_and_of_its_usual_size(distance: float, face: float) -> None:
    look = CloserLook()
    first = Placement.of(300, 400, SIZE)
    seen = SpineFinder(look, STRUCTURES).find(neck(distance, face=face), SURE, first)
    assert seen is not None and seen.mirrored == (face < 150.0)
    found = seen.placement
    factor = look.spacing * SIZE / distance
    assert found.rows / first.rows == pytest.approx(factor, rel=0.1)
    # The middle between C2 and C5 lies in the middle row, and before the spine, towards the jaw, in the middle column.
    row, column = 20.0 + 2.5 * distance, 150.0 + np.sign(face - 150.0) * 0.8 * distance
    assert (row + 0.5 - first.top) * found.rows / first.rows + found.top == pytest.approx(SIZE / 2, abs=4)
    assert (column + 0.5 - first.left) * found.columns / first.columns + found.left == pytest.approx(SIZE / 2, abs=4)


def test_a_frame_is_looked_at_again_where_the_spine_is_small_or_large_or_the_look_was_unsure() -> None:
    first, usual = Placement.of(SIZE, SIZE, SIZE), CloserLook().spacing * SIZE

    def again(distance: float, quality: np.ndarray, when: str = "unsure") -> bool:
        finder = SpineFinder(CloserLook(when), STRUCTURES)
        return finder.find(neck(distance), quality, first) is not None

    assert not again(usual, SURE) and not again(1.1 * usual, SURE) and not again(usual / 1.1, SURE)
    assert again(usual, UNSURE) and again(1.4 * usual, SURE) and again(usual / 1.4, SURE)
    assert again(usual, SURE, "always") and not again(0.5 * usual, UNSURE, "never")
    nothing = np.full_like(neck(20.0), -5)
    assert SpineFinder(CloserLook("always"), STRUCTURES).find(nothing, UNSURE, first) is None
    one = nothing.copy()
    one[SPINE[2]] = neck(20.0)[SPINE[2]]
    assert SpineFinder(CloserLook("always"), STRUCTURES).find(one, UNSURE, first) is None
    low = nothing.copy()  # only vertebrae below those that the closer look is centred on
    low[SPINE[5:]] = neck(20.0)[SPINE[5:]]
    low[SCHEMA["mandible"].index] = neck(20.0)[SCHEMA["mandible"].index]
    seen = SpineFinder(CloserLook("always"), STRUCTURES).find(low, UNSURE, first)
    assert seen is not None
    found = seen.placement
    assert (20 + 5.5 * 20 + 0.5) * found.rows / SIZE + found.top == pytest.approx(SIZE / 2, abs=4)
    alone = nothing.copy()  # a spine and nothing before it: where its bodies are is not known
    alone[SPINE] = neck(20.0)[SPINE]
    assert SpineFinder(CloserLook("always"), STRUCTURES).find(alone, UNSURE, first) is None
    other = [structure for structure in STRUCTURES if structure.chain is None]
    assert SpineFinder(CloserLook("always"), other).find(nothing[: len(other)], UNSURE, first) is None


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(40, 300), st.integers(40, 300)),
    st.floats(0.3, 3.0),
    st.tuples(st.floats(0, SIZE), st.floats(0, SIZE)),
)
def test_what_is_seen_comes_back_where_it_is_and_nothing_elsewhere(
    shape: tuple[int, int], factor: float, middle: tuple[float, float]
) -> None:
    placement = Placement.of(*shape, SIZE).around(middle, factor)
    rows, columns = placement.window
    assert 0 <= rows.start < rows.stop <= SIZE and 0 <= columns.start < columns.stop <= SIZE
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    frame = np.where(np.hypot(y - shape[0] / 2, x - shape[1] / 2) < min(shape) / 3, 255, 0).astype(np.uint8)
    square = fit(frame, placement)
    logits = cv2.resize(square, (SIZE // 4, SIZE // 4), interpolation=cv2.INTER_AREA).astype(np.float32) - 127.5
    plane = restore(logits[None], placement)[0]
    left, top, right, bottom = placement.seen
    inside = (y - top, bottom - y, x - left, right - x)  # of a pixel whose middle lies on the edge, either is right
    assert not plane[np.min(inside, axis=0) < -1e-6].any()
    seen = np.min(inside, axis=0) > 1e-6
    # Half a pixel of the logits along the border, which is the longer the more of it is seen, in pixels of the frame.
    border = cv2.morphologyEx(frame, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    slack = 2 + 4 * shape[0] / placement.rows
    near = cv2.dilate(border.astype(np.uint8), np.ones((2 * round(slack) + 1,) * 2, np.uint8)) > 0
    edge = (y < top + slack) | (y > bottom - slack) | (x < left + slack) | (x > right - slack)
    certain = seen & ~near & ~edge
    np.testing.assert_array_equal(plane[certain], frame[certain] > 0)


class Sized(DelayedRuntime):
    """A runtime that finds the spine as large as the first pixel of its input says."""

    def compute(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.stack([neck(float(image[0, 0, 0])) for image in inputs]), np.stack([SURE] * len(inputs))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([15.0, 20.0, 29.0, 30.0, 38.0]), max_size=9))
def test_frames_keep_their_order_and_the_closer_look_counts(distances: list[float]) -> None:
    first, usual = Placement.of(SIZE, SIZE, SIZE), CloserLook().spacing * SIZE

    def look_of(distance: float) -> Look:
        def prepared(placement: Placement) -> np.ndarray:
            return np.full((1, SIZE, SIZE), distance * placement.rows / first.rows, np.float32)

        return Look(first, prepared)

    runtime = Sized()
    passes = Passes(runtime, MirrorPolicy("never"), SpineFinder(CloserLook(), STRUCTURES), range(len(STRUCTURES)))
    seen = list(passes.run_each(look_of(distance) for distance in distances))
    off = [distance for distance in distances if max(distance / usual, usual / distance) > 1.2]
    assert runtime.passes == len(distances) + len(off)
    for distance, one in zip(distances, seen, strict=True):
        wanted = usual / distance if distance in off else 1.0
        assert one.placement.rows / first.rows == pytest.approx(wanted, rel=0.12)
    for one, other in zip(passes.run([look_of(distance) for distance in distances]), seen, strict=True):
        assert one.placement == other.placement
        np.testing.assert_array_equal(one.logits, other.logits)


@pytest.mark.parametrize(("when", "count"), [("never", 2), ("unsure", 2), ("always", 3)])
def test_a_closer_look_is_steadied_and_its_mirror_image_is_computed_only_where_always(when: str, count: int) -> None:
    first, runtime, steadied = Placement.of(SIZE, SIZE, SIZE), Sized(), []

    def prepared(placement: Placement) -> np.ndarray:
        return np.full((1, SIZE, SIZE), 15.0 * placement.rows / first.rows, np.float32)

    def prepared_steadied(placement: Placement) -> np.ndarray:
        steadied.append(placement)
        return prepared(placement)

    finder = SpineFinder(CloserLook(), STRUCTURES)
    passes = Passes(runtime, MirrorPolicy(when, 1.0), finder, range(len(STRUCTURES)))
    (seen,) = passes.run([Look(first, prepared, prepared_steadied)])
    assert runtime.passes == count
    assert steadied == [seen.placement] * (count - 1) and seen.placement != first


def test_the_file_says_where_and_a_caller_may_say_otherwise(tmp_path: Path) -> None:
    saved = replace(small_checkpoint(), closer=CloserLook("never", 0.7, 0.1, 1.5)).save(tmp_path / "s.safetensors")
    assert load_checkpoint(saved.path).closer == CloserLook("never", 0.7, 0.1, 1.5)
    frames = np.stack([disc_frame(70, 60, seed) for seed in range(3)])
    never, always = (load_student(saved.path, "cpu", closer=when).propose(frames) for when in (None, "always"))
    assert any((one.masks.planes != other.masks.planes).any() for one, other in zip(never, always, strict=True))
    old = replace(saved, closer=None)  # as files of earlier versions
    plain = Student(old, OpenVinoRuntime(old), closer="always").propose(frames)
    for one, other in zip(never, plain, strict=True):
        np.testing.assert_array_equal(one.masks.planes, other.masks.planes)


def test_a_closer_look_that_cannot_be_is_refused() -> None:
    checkpoint = replace(small_checkpoint(config=CONFIG), closer=CloserLook())
    with pytest.raises(StudentError, match="sometimes"):
        Student(checkpoint, OpenVinoRuntime(checkpoint), closer="sometimes")
    usual = CloserLook().to_dict()
    assert CloserLook.from_dict(usual) == CloserLook()
    for changed in ({"when": 1}, {"below": True}, {"spacing": "0.1"}, {"tolerance": None}):
        with pytest.raises(ValueError, match="closer"):
            CloserLook.from_dict(usual | changed)
    for changed in (
        {"below": 2.0},
        {"spacing": 0.0},
        {"spacing": 0.9},
        {"tolerance": 0.5},
        {"tolerance": float("nan")},
    ):
        with pytest.raises(StudentError, match="not possible"):
            CloserLook.from_dict(usual | changed)
