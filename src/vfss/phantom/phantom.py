# SPDX-License-Identifier: Apache-2.0
"""A phantom clip: a person, a swallow, a view and an apparatus, drawn by seed, with exact masks of every frame."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from vfss.errors import VfssError
from vfss.landmarks import LANDMARKS
from vfss.masks import BoolArray, ByteArray
from vfss.phantom.anatomy import Patient
from vfss.phantom.capture import shown_frame
from vfss.phantom.chance import around, drawn
from vfss.phantom.childhood import as_child
from vfss.phantom.course import dry
from vfss.phantom.framing import FramingRange
from vfss.phantom.geometry import Points, View, coverage, fill
from vfss.phantom.matter import Scene
from vfss.phantom.meshes import load_meshes
from vfss.phantom.motion import SWALLOW_S, VARIANTS, Variant, sample_course
from vfss.phantom.population import sample_person
from vfss.phantom.scan import Scanned, sample_scan
from vfss.phantom.style import Apparatus, one_way, sample_apparatus, style_named
from vfss.phantom.trappings import sample_trappings
from vfss.phantom.xray import Screen
from vfss.schema import Schema

_HIDDEN_BY_SHOULDER = 0.62  # share of a vertebra under dense shoulder from which nobody would paint it
_DENSE = 1.05  # nepers of shoulder that drown a vertebra
_HIDDEN_BY_BOLUS = 0.55  # share of the epiglottis behind contrast from which it is lost
_UNDER_SHOULDER = frozenset(("c4", "c5", "c6", "c7"))
_TRACE_MM2 = 12.0  # contrast of less than that is a trace that nobody would paint: 1 % of the square from C2 to C4
_KEPT_SCENES = 4  # a picture may show several, as detectors lag
_TOO_LITTLE = 0.12  # share of an outline left inside the field below which it is not recognised


class Phantom:
    """A clip in memory whose frames and masks are computed when asked for.

    The same arguments give the same clip; frame(t) and planes(t) depend on nothing else, in any order.

    Attributes:
        seed: Seed of everything.
        schema: The structures; planes come in its order.
        n_frames: Number of frames.
        height: Rows.
        width: Columns.
        fps: Frames a second.
        times_s: float64 (n_frames,), the first is 0.
        facing: Where the patient looks in the picture.
        inverted: True where dense matter is bright.
        variant: What the swallow is like.
        style: Name of the style.
        patient: The anatomy and its motion.
        screen: View and image formation.
    """

    def __init__(
        self,
        seed: int,
        *,
        n_frames: int = 60,
        height: int = 512,
        width: int = 512,
        fps: float = 30.0,
        variant: str | None = None,
        style: str = "standard",
        facing: Literal["left", "right"] | None = None,
    ) -> None:
        """Draw a clip.

        Raises:
            VfssError: No such variant or style, a size that cannot be, or no meshes for a style that needs them.
        """
        if n_frames < 1 or height < 16 or width < 16 or fps <= 0:
            raise VfssError(
                f"a phantom of {n_frames} frames, {height}x{width} pixels, {fps} per second cannot be made",
                remedy="Ask for at least 1 frame of 16x16 pixels.",
            )
        chosen = _variant(variant)
        settings = style_named(style)
        self.seed, self.n_frames, self.height, self.width, self.fps = seed, n_frames, height, width, fps
        self.style = style
        self.schema = _schema()
        self.times_s: npt.NDArray[np.float64] = np.arange(n_frames) / fps
        people, swallows, views, machines, extras, scans = (
            np.random.default_rng(s) for s in np.random.SeedSequence([seed, zlib.crc32(style.encode())]).spawn(6)
        )
        settings = one_way(extras, settings)
        person = sample_person(people, settings.population)
        if people.random() < settings.population.children:
            person = as_child(person, float(people.uniform(0.15, 1.0)))
        course = sample_course(swallows, max(n_frames / fps, 0.3), chosen)
        if extras.random() < settings.dry and variant is None:
            course = dry(course)
        self.variant = course.variant
        scan = sample_scan(scans, settings.scan)
        self.patient = Patient(person, course, None if scan is None else Scanned(scan, load_meshes()))
        self.patient.trappings = sample_trappings(extras, settings.trappings, self.patient.around, self.patient.spine)
        apparatus = sample_apparatus(machines, settings)
        view = _sample_view(views, settings.framing, apparatus, self.patient, height=height, width=width, facing=facing)
        self.patient.shown = _shown(view)
        self.screen = Screen(view, apparatus)
        self.facing: Literal["left", "right"] = "right" if view.mirrored else "left"
        self.inverted = apparatus.display.inverted
        self._scenes: dict[int, Scene] = {}

    def __len__(self) -> int:
        return self.n_frames

    def frame(self, t: int) -> ByteArray:
        """Picture of frame t, uint8 (height, width)."""
        return self._grey(self.shown(t), t)

    def truth(self, t: int) -> tuple[BoolArray, BoolArray]:
        """planes(t) and visible(t) at the cost of one scene."""
        return self._truth(self._scene(self.shown(t)))

    def planes(self, t: int) -> BoolArray:
        """Masks of frame t, bool (S, height, width); empty for what is not visible."""
        return self._truth(self._scene(self.shown(t)))[0]

    def visible(self, t: int) -> BoolArray:
        """Whether each structure is to be seen on frame t, bool (S,): False where it is outside or hidden.

        Contrast that is not there is no hidden contrast: its plane is empty, and visible.
        """
        return self._truth(self._scene(self.shown(t)))[1]

    def sample(self, t: int) -> tuple[ByteArray, BoolArray, BoolArray]:
        """frame(t), planes(t) and visible(t) at the cost of one scene."""
        shown = self.shown(t)
        planes, visible = self._truth(self._scene(shown))
        return self._grey(shown, t), planes, visible

    def landmarks(self, t: int) -> npt.NDArray[np.float64]:
        """Landmarks of frame t, in the order of vfss.landmarks, float64 (L, 2): x, y in pixels; 0 is a pixel's middle.

        NaN where a point is not there at that time, or not within what is exposed.
        """
        scene = self._scene(self.shown(t))
        points = np.full((len(LANDMARKS), 2), np.nan)
        for row, landmark in zip(points, LANDMARKS, strict=True):
            if landmark.key in scene.landmarks:
                x, y = self.screen.pixels(scene.landmarks[landmark.key])[0] - 0.5
                column, line = round(float(x)), round(float(y))
                if 0 <= line < self.height and 0 <= column < self.width and self.screen.field[line, column]:
                    row[:] = x, y
        return points

    def shown(self, t: int) -> int:
        """The frame of which frame t shows the picture: recorders repeat frames, and their truth with them."""
        if not 0 <= t < self.n_frames:
            raise IndexError(f"frame {t} of a phantom of {self.n_frames} frames")
        return shown_frame(self.screen.apparatus.capture, t, self.seed)

    @property
    def swallow(self) -> tuple[int, int]:
        """First and last frame of the swallow, from the bolus leaving the oral hold to everything at rest again."""
        course = self.patient.course
        first, last = (round((course.onset + u * course.pace) * self.fps) for u in (-0.35, 1.15))
        return min(max(first, 0), self.n_frames - 1), min(max(last, 0), self.n_frames - 1)

    def _grey(self, shown: int, t: int) -> ByteArray:
        return self.screen.grey(self._scene, shown, t, seed=self.seed, fps=self.fps)

    def _scene(self, t: int) -> Scene:
        """The scene of frame t; a few are kept, as picture and truth of a frame are asked for one after the other."""
        if t not in self._scenes:
            while len(self._scenes) >= _KEPT_SCENES:
                self._scenes.pop(next(iter(self._scenes)))
            self._scenes[t] = self.patient.scene(float(self.times_s[t]))
        return self._scenes[t]

    def _truth(self, scene: Scene) -> tuple[BoolArray, BoolArray]:
        height, width = self.height, self.width
        planes = np.zeros((len(self.schema), height, width), np.bool_)
        visible = np.ones(len(self.schema), np.bool_)
        shadow = self._shadow(scene)
        for structure in self.schema.structures:
            i = structure.index
            outlines = [self.screen.pixels(o) for o in scene.truth.get(structure.key, ()) if len(o) >= 3]
            window = fill(planes[i], outlines)
            part = planes[i][window]
            part &= self.screen.field[window]
            seen = int(np.count_nonzero(part))
            trace = _TRACE_MM2 * self.screen.view.scale**2
            if structure.key == "bolus" and seen < trace:
                part[:] = False
                visible[i] = sum(_area([outline], height, width) for outline in outlines) < trace
                continue
            visible[i] = seen > 0 and seen >= _TOO_LITTLE * _area(outlines, height, width)
            if visible[i] and shadow is not None and structure.key in _UNDER_SHOULDER:
                visible[i] = int(np.count_nonzero(part & shadow[window])) <= _HIDDEN_BY_SHOULDER * seen
        self._nest(planes, visible)
        planes[~visible] = False
        return planes, visible

    def _nest(self, planes: BoolArray, visible: BoolArray) -> None:
        """Contrast hides the epiglottis."""
        keys = self.schema.keys
        bolus, epiglottis = keys.index("bolus"), keys.index("epiglottis")
        area = int(np.count_nonzero(planes[epiglottis]))
        if area and int(np.count_nonzero(planes[bolus] & planes[epiglottis])) > _HIDDEN_BY_BOLUS * area:
            visible[epiglottis] = False

    def _shadow(self, scene: Scene) -> BoolArray | None:
        """Where shoulders are too dense to see bone through, bool (height, width); None where nowhere."""
        if sum(nepers for _, nepers in scene.trunk) <= _DENSE:
            return None
        density = np.zeros((self.height, self.width), np.float32)
        for outline, nepers in scene.trunk:
            found = coverage(self.screen.pixels(outline), self.height, self.width, fine=1)
            if found is not None:
                density[found[0]] += found[1] * np.float32(nepers / 255)
        dense = density > _DENSE
        return dense if dense.any() else None


@cache
def _schema() -> Schema:
    """The schema of all phantoms; reading it takes longer than drawing a frame."""
    return Schema.load("vfss12")


def _variant(name: str | None) -> Variant | None:
    if name is None:
        return None
    for variant in VARIANTS:
        if variant == name:
            return variant
    raise VfssError(f"no phantom variant {name!r}", remedy=f"Choose one of: {', '.join(VARIANTS)}.")


def _area(outlines: list[npt.NDArray[np.float64]], height: int, width: int) -> float:
    """Area of the largest outline in pixels, in or out of the picture (shoelace)."""
    areas = []
    for outline in outlines:
        x, y = outline[:, 0], outline[:, 1]
        areas.append(0.5 * abs(float(x[1:] @ y[:-1] - y[1:] @ x[:-1] + x[0] * y[-1] - y[0] * x[-1])))
    return min(max(areas, default=0.0), float(height * width))


def _sample_view(
    rng: np.random.Generator,
    ranges: FramingRange,
    apparatus: Apparatus,
    patient: Patient,
    *,
    height: int,
    width: int,
    facing: Literal["left", "right"] | None,
) -> View:
    left, top, right, bottom = apparatus.framing.box(height, width)
    short = min(right - left, bottom - top)
    scale = short / around(rng, ranges.field_mm)
    level, before = float(rng.normal(ranges.level, 0.5)), float(rng.normal(12, 8))
    jitter = rng.normal(0, ranges.jitter, 2) * short
    mirrored = bool(rng.random() < 0.5) if facing is None else facing == "right"
    degrees = float(np.clip(rng.normal(0, ranges.degrees), -25, 25))
    moved = drawn(rng, ranges.moved) * (1 if rng.random() < 0.5 else -1)
    above = min(level + moved - 1, 0.0) * patient.spine.pitch
    focus = patient.spine.front(level + moved, before) + np.array((0.0, above))
    middle = (left + right) / 2
    return View(
        height=height,
        width=width,
        scale=scale,
        degrees=degrees,
        focus=(float(focus[0]), float(focus[1])),
        centre=(float((width - middle if mirrored else middle) + jitter[0]), float((top + bottom) / 2 + jitter[1])),
        mirrored=mirrored,
    )


def _shown(view: View) -> tuple[Points, Points]:
    """Lowest and highest (x, y) in the patient, millimetres, of what the picture shows, distortion allowed for."""
    reach = np.array(((0.0, 0.0), (1, 0), (0, 1), (1, 1))) * 1.4 - 0.2
    matrix = view.matrix
    corners = np.linalg.solve(matrix[:, :2], (reach * (view.width, view.height) - matrix[:, 2]).T).T
    return corners.min(0), corners.max(0)


def random_frame(seed: int, size: int, style: str = "standard") -> tuple[ByteArray, BoolArray]:
    """One frame of a random clip with its masks: uint8 (size, size) and bool (S, size, size).

    Random time, person, swallow, facing, polarity, size, contrast and field; deterministic by seed.
    """
    rng = np.random.default_rng((seed, 11))
    n_frames = int(SWALLOW_S * 30) + 3
    phantom = Phantom(seed, n_frames=n_frames, height=size, width=size, style=style)
    frame, planes, _ = phantom.sample(int(rng.integers(n_frames)))
    return frame, planes
