# SPDX-License-Identifier: Apache-2.0
"""Least-squares fit of a person of the phantom and a pose per frame to masks, on blurred coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from vfss.phantom.geometry import View, coverage
from vfss.phantom.head import head_place
from vfss.phantom.larynx import airway_outline, epiglottis_outline
from vfss.phantom.mandible import jaw_outlines, jaw_place
from vfss.phantom.motion import Moment, moment, sample_course
from vfss.phantom.passage import Site
from vfss.phantom.population import Person
from vfss.phantom.proportions import spreads
from vfss.phantom.spine import bones, stand

Doubles = npt.NDArray[np.float64]
SPINE = tuple(f"c{i}" for i in range(1, 8))
KEYS = ("epiglottis", "mandible", *SPINE, "airway")
_SIZE = 256  # side of the masks while fitting, pixels; originally 512
_MARGIN = 9
_WEIGHT = 0.03  # weight of the population mean, for parameters that the masks do not determine
_STEP = 0.12  # of finite differences, in spreads


@dataclass(frozen=True)
class Pose:
    """Parameters of one frame; SPREAD has the usual range of each.

    Attributes:
        x: Position of the atlas to the right, pixels of a 512 picture.
        y: Position of the atlas downwards, pixels of a 512 picture.
        turn: Rotation of the patient in the picture, degrees.
        bend: Bend of the neck, degrees per level.
        nod: Rotation of the atlas, degrees.
        tilt: Rotation of the head, degrees.
        jaw: Opening of the jaw, degrees.
        lift: Ascent of the larynx, millimetres.
        forward: Shift of the hyoid, millimetres.
        closure: Closure of the vestibule, 0..1.
        inversion: Inversion of the epiglottis, 0..1.
    """

    x: float
    y: float
    turn: float = 0.0
    bend: float = 0.0
    nod: float = 0.0
    tilt: float = 0.0
    jaw: float = 0.0
    lift: float = 0.0
    forward: float = 0.0
    closure: float = 0.0
    inversion: float = 0.0


SPREAD = {
    "x": 8.0,
    "y": 8.0,
    "turn": 4.0,
    "bend": 0.5,
    "nod": 4.0,
    "tilt": 5.0,
    "jaw": 4.0,
    "lift": 7.0,
    "forward": 8.0,
    "closure": 0.4,
    "inversion": 0.4,
}
_SHARE = ("closure", "inversion")
_POSITIVE = (*_SHARE, "jaw")


@dataclass(frozen=True)
class Fitted:
    """A person, the scale of the picture (pixels of 512 per millimetre), and a pose per frame."""

    person: Person
    scale: float
    poses: tuple[Pose, ...]


@dataclass(frozen=True)
class Target:
    """One annotated structure on one frame: corner (y, x) of its window in the small picture and blurred coverage."""

    corner: tuple[int, int]
    blurred: npt.NDArray[np.float32]
    area: float


def resting_moment() -> Moment:
    """Return a moment at which nothing moves."""
    still = moment(sample_course(np.random.default_rng(0), 3.0, "normal", onset=2.0), 0.0)
    return replace(still, hyoid=(0.0, 0.0), lift=0.0, inversion=0.0, closure=0.0, jaw=0.0, tilt=0.0, breath=0.0)


_RESTING = resting_moment()


def outlines(person: Person, pose: Pose, keys: Iterable[str]) -> dict[str, list[Doubles]]:
    """Return the outlines of structures in millimetres of the patient, by key."""
    spine = stand(person, pose.bend, pose.nod)
    current = replace(
        _RESTING,
        hyoid=(pose.forward, 0.0),
        lift=pose.lift,
        closure=pose.closure,
        inversion=pose.inversion,
        jaw=pose.jaw,
        tilt=pose.tilt,
    )
    out: dict[str, list[Doubles]] = {}
    for key in keys:
        if key == "mandible":
            out[key] = jaw_outlines(person, jaw_place(person, current, head_place(person, current)))
        elif key == "airway":
            out[key] = [airway_outline(Site(person, spine, current))]
        elif key == "epiglottis":
            out[key] = [epiglottis_outline(Site(person, spine, current))]
        else:
            out[key] = bones(person, spine, int(key[1:]))
    return out


def view(pose: Pose, scale: float, size: int) -> View:
    """Return the view from the patient to a square picture of a size in pixels."""
    share = size / 512
    return View(size, size, scale * share, pose.turn, (0.0, 0.0), (pose.x * share, pose.y * share), False)


def target(mask: npt.NDArray[np.bool_], blur: float) -> Target | None:
    """Prepare an annotated mask, bool (512, 512), for comparison; None if it is empty."""
    if not mask.any():
        return None
    small = mask.reshape(_SIZE, 512 // _SIZE, _SIZE, 512 // _SIZE).mean((1, 3), dtype=np.float32)
    rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
    y0, x0 = max(0, rows[0] - _MARGIN), max(0, columns[0] - _MARGIN)
    cut = small[y0 : rows[-1] + _MARGIN, x0 : columns[-1] + _MARGIN]
    return Target((int(y0), int(x0)), ndimage.gaussian_filter(cut, blur, truncate=2.5), float(cut.sum()))


def difference(shapes: Sequence[Doubles], goal: Target, window: View, blur: float) -> Doubles:
    """Return blurred coverage of outlines (mm) minus that of the mask, scaled so that its square is like 1 - Dice."""
    height, width = goal.blurred.shape
    image = np.zeros((height, width), np.float32)
    for outline in shapes:
        part = coverage(window.pixels(outline) - np.array(goal.corner[::-1]), height, width, fine=2, margin=0)
        if part is not None:
            image[part[0]] = np.maximum(image[part[0]], part[1] * np.float32(1 / 255))
    gap = ndimage.gaussian_filter(image, blur, truncate=2.5) - goal.blurred
    return np.asarray(gap.ravel() / np.sqrt(goal.area), np.float64)


def reach(value: Any, path: str) -> float:
    """Return a number inside nested dataclasses and tuples, as at 'vertebrae.2.depth'."""
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, tuple) else getattr(value, step)
    return float(value)


def put(value: Any, path: str, number: float) -> Any:
    """Return a copy with one number changed."""
    step, _, further = path.partition(".")
    if isinstance(value, tuple):
        i = int(step)
        inner = put(value[i], further, number) if further else number
        return (*value[:i], inner, *value[i + 1 :])
    return replace(value, **{step: put(getattr(value, step), further, number) if further else number})


def paths(person: Person, name: str) -> dict[str, float]:
    """Return the spreads of all numbers of a shape of the person, by path."""
    shape = person
    for step in name.split("."):
        shape = shape[int(step)] if isinstance(shape, tuple) else getattr(shape, step)
    return {f"{name}.{f.name}": s for f, s in zip(fields(shape), spreads(shape), strict=True)}


class Fitter:
    """Fits blocks of parameters to annotated masks.

    Attributes:
        masks: Annotated masks by key, bool (T, 512, 512).
        blur: Blur of the comparison, pixels of the small picture.
        usual: Mean person, towards whom parameters are regularised.
        evaluations: Number of outlines compared so far.
    """

    def __init__(self, masks: dict[str, npt.NDArray[np.bool_]], usual: Person) -> None:
        self.masks = masks
        self.usual = usual
        self.evaluations = 0
        self.blur = 0.0
        self.sharpen(2.5)

    def sharpen(self, blur: float) -> None:
        """Set the blur of the comparison."""
        self.blur = blur
        count = len(next(iter(self.masks.values())))
        self.goals = [{k: target(m[t], blur) for k, m in self.masks.items()} for t in range(count)]

    def compare(self, person: Person, scale: float, pose: Pose, t: int, keys: Sequence[str]) -> Doubles:
        """Return the differences of all structures that are annotated on frame t."""
        goals = self.goals[t]
        annotated_keys = [k for k in keys if goals[k] is not None]
        self.evaluations += len(annotated_keys)
        shapes, window = outlines(person, pose, annotated_keys), view(pose, scale, _SIZE)
        parts = [difference(shapes[k], goals[k], window, self.blur) for k in annotated_keys]  # type: ignore[arg-type]
        return np.concatenate([np.zeros(1), *parts])

    def pose(
        self, current: Fitted, t: int, keys: Sequence[str], names: Sequence[str], steps: int = 6
    ) -> tuple[Pose, float]:
        """Return the best pose of frame t in the named fields, and its cost."""
        start = np.array([getattr(current.poses[t], n) / SPREAD[n] for n in names])
        low = np.array([0.0 if n in _POSITIVE else -60.0 for n in names]) - 1e-6
        high = np.array([1.0 / SPREAD[n] if n in _SHARE else 80.0 for n in names])

        def pose_of(z: Doubles) -> Pose:
            return replace(current.poses[t], **{n: float(v) * SPREAD[n] for n, v in zip(names, z, strict=True)})

        def cost(z: Doubles) -> Doubles:
            pull = _WEIGHT * np.where([n in ("x", "y", "turn") for n in names], 0.0, z)
            return np.concatenate([self.compare(current.person, current.scale, pose_of(z), t, keys), pull])

        z, value = _descend(cost, np.clip(start, low, high), (low, high), steps)
        return pose_of(z), value

    def poses(self, current: Fitted, frames: Iterable[int], keys: Sequence[str], names: Sequence[str]) -> Fitted:
        """Fit the pose of each of the frames."""
        fitted = list(current.poses)
        for t in frames:
            fitted[t] = self.pose(current, t, keys, names)[0]
        return replace(current, poses=tuple(fitted))

    def shape(
        self, current: Fitted, frames: Sequence[int], keys: Sequence[str], names: dict[str, float], steps: int = 8
    ) -> Fitted:
        """Fit named parameters of the person, given with their spreads, over frames; 'scale' may be one of them."""
        usual = np.array([current.scale if n == "scale" else reach(self.usual, n) for n in names])
        wide = np.array(list(names.values()))
        start = np.array([current.scale if n == "scale" else reach(current.person, n) for n in names])

        def person_and_scale(z: Doubles) -> tuple[Person, float]:
            person, scale = current.person, current.scale
            for name, number in zip(names, usual + z * wide, strict=True):
                if name == "scale":
                    scale = float(number)
                else:
                    person = put(person, name, float(number))
            return person, scale

        def cost(z: Doubles) -> Doubles:
            person, scale = person_and_scale(z)
            gaps = [self.compare(person, scale, current.poses[t], t, keys) for t in frames]
            return np.concatenate([*gaps, _WEIGHT * np.sqrt(len(frames)) * z])

        bounds = (np.full(len(names), -3.0), np.full(len(names), 3.0))
        z, _ = _descend(cost, np.clip((start - usual) / wide, -2.99, 2.99), bounds, steps)
        person, scale = person_and_scale(z)
        return replace(current, person=person, scale=scale)


def _descend(
    cost: Callable[[Doubles], Doubles], start: Doubles, bounds: tuple[Doubles, Doubles], steps: int
) -> tuple[Doubles, float]:
    """Minimise a cost by least squares with finite differences; return parameters and cost."""

    def slope(z: Doubles) -> Doubles:
        residuals = cost(z)
        columns = []
        for i in range(len(z)):
            step = _STEP if z[i] + _STEP <= bounds[1][i] else -_STEP
            columns.append((cost(z + step * np.eye(len(z))[i]) - residuals) / step)
        return np.stack(columns, axis=1)

    inside = np.clip(start, bounds[0] + 1e-5, bounds[1] - 1e-5)
    result = optimize.least_squares(cost, inside, jac=slope, bounds=bounds, max_nfev=steps, ftol=1e-3, xtol=1e-3)
    return result.x, float(result.cost)
