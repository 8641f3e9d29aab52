# SPDX-License-Identifier: Apache-2.0
"""What the beam loses on its way: tissue, bone, air, contrast and metal (Beer and Lambert), and scatter.

Structures are no flat plates: vessels of air and contrast and bones thin out towards their borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.phantom.blur import gaussian, resized, smoothed
from vfss.phantom.chance import Span, within
from vfss.phantom.framing import Lens
from vfss.phantom.geometry import Floats, Points, View, Window, coverage, draw
from vfss.phantom.matter import Matter, Scene

_SKIN_MM = 46.0  # half the width of the neck across the beam: over that distance from the skin tissue gets thicker


@dataclass(frozen=True)
class BeamRange:
    """Ranges of the beam.

    Attributes:
        barium: Attenuation of the thickest contrast, nepers.
        air: Attenuation that a full lumen takes away, nepers.
        scatter: Share of the signal that is scatter.
        hardening: Loss of attenuation per neper: what is behind much matter is seen by harder rays.
        rounding: How far structures thin out towards their borders, 0 for plates, 1 for cylinders.
    """

    barium: Span = (0.9, 2.6)
    air: Span = (0.4, 1.3)
    scatter: Span = (0.1, 0.6)
    hardening: Span = (0.0, 0.1)
    rounding: Span = (0.0, 1.0)


@dataclass(frozen=True)
class BeamSettings:
    """One beam; see BeamRange.

    Attributes:
        barium: Nepers.
        air: Nepers.
        scatter: Share.
        hardening: Per neper.
        rounding: 0..1.
        texture: Strength of unevenness in soft tissue, a share.
        bone_texture: The same of bone.
    """

    barium: float
    air: float
    scatter: float
    hardening: float
    rounding: float
    texture: float
    bone_texture: float


def sample_beam(rng: np.random.Generator, ranges: BeamRange) -> BeamSettings:
    """A beam from its ranges."""
    return BeamSettings(
        barium=within(rng, ranges.barium),
        air=within(rng, ranges.air),
        scatter=within(rng, ranges.scatter),
        hardening=within(rng, ranges.hardening),
        rounding=within(rng, ranges.rounding),
        texture=within(rng, (0.01, 0.06)),
        bone_texture=within(rng, (0.04, 0.25)),
    )


class Beam:
    """The beam through a patient onto the plane of the detector; what stays from frame to frame is made once."""

    def __init__(
        self, lens: Lens, settings: BeamSettings, light: Floats, objects: Floats, rng: np.random.Generator
    ) -> None:
        """Aim.

        Args:
            lens: From millimetres to pixels.
            settings: Of the beam.
            light: What the shutters leave, float32 (height, width).
            objects: Attenuation of things on and beside the patient, nepers, float32 (height, width).
            rng: Of the unevenness of tissue and bone.
        """
        self._lens, self._settings, self._light, self._objects = lens, settings, light, objects
        self._view = lens.inner
        self._straight = lens.straight_pixels() if lens.distorted else None
        octaves = ((4, 1.0), (9, 0.6), (20, 0.45), (48, 0.25))
        self._texture = _unevenness(self._view, rng, octaves, settings.texture)
        grain = _unevenness(self._view, rng, ((14, 0.7), (40, 0.6), (110, 0.6)), settings.bone_texture)
        self._grain = np.maximum(grain, 0)

    def light(self, scene: Scene) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Light on the detector, 1 where nothing is in the way, and where tissue is; (height, width) both."""
        height, width = self._view.height, self._view.width
        coarse = self._soft(scene)
        tissue = resized(coarse, height, width)
        total = self._attenuation(scene, tissue)
        if self._settings.hardening:
            total /= 1 + np.float32(self._settings.hardening) * total
        np.exp(np.negative(total, out=total), out=total)
        total *= self._light
        scatter = self._settings.scatter
        light = cv2.addWeighted(total, 1 - scatter, smoothed(total, 0.09), scatter, 0)
        return np.asarray(light), tissue > 0.3 * scene.soft

    def _attenuation(self, scene: Scene, tissue: Floats) -> Floats:
        height, width = self._view.height, self._view.width
        total = np.zeros((height, width), np.float32)
        shade = np.zeros((-(-height // 2), -(-width // 2)), np.float32)
        for matter in scene.matter:
            if matter.blur == 0:
                self._add(total, matter, 1.0)
            else:
                self._add(shade, matter, 0.5)
        total *= self._grain
        for plate in scene.plates:
            total += plate.onto(self._view.matrix, height, width, self._straight)
        total += self._objects
        total += tissue * self._texture
        total += resized(gaussian(shade, 0.5 * 0.8 * self._view.scale, truncate=2.5), height, width)
        air, barium = self._painted(scene.air, 3.0), self._painted(scene.barium, 4.0)
        if barium is not None:
            window, share = barium
            total[window] += np.float32(self._settings.barium) * share
        if air is not None:
            window, share = air
            if barium is not None:
                filled = np.zeros((height, width), np.float32)
                filled[barium[0]] = barium[1]
                share = share * (1 - np.minimum(filled[window] * 2, 1))
            total[window] -= np.float32(self._settings.air) * share
        return np.asarray(np.maximum(total, 0, out=total))

    def _add(self, layer: Floats, matter: Matter, zoom: float) -> None:
        height, width = layer.shape
        rim = max(0.7, matter.rim_mm * self._view.scale * zoom) if matter.rim > 0 else 0.0
        # Filling and rim share one drawing; the rim lies half inside, where it stands on the filling.
        edge = matter.rim + 0.5 * matter.nepers
        together = rim > 0 and 0 <= matter.nepers <= edge
        top = edge if together else matter.nepers
        inside = round(255 * matter.nepers / edge) if together else 255
        outline = self._lens.picture(matter.outline) * zoom
        fine = 2 if zoom == 1 else 1
        found = coverage(outline, height, width, fine=fine, rim=rim if together else 0.0, inside=inside)
        if found is None:
            return
        window, share = found
        if matter.nepers > 0 and zoom == 1:
            share = self._rounded(share, 2.0)
        layer[window] += share * np.float32(top / 255)
        if rim > 0 and not together:
            found = coverage(outline, height, width, fine=fine, rim=rim, inside=0)
            if found is not None:
                layer[found[0]] += found[1] * np.float32(matter.rim / 255)

    def _rounded(self, share: npt.NDArray[np.uint8], reach_mm: float) -> npt.NDArray[np.uint8]:
        """Thinner towards the border, over a reach: uint8 of the same shape."""
        reach = round(reach_mm * self._view.scale)
        # What is narrow is a line, and needs no rounding.
        if reach < 2 or self._settings.rounding < 0.05 or min(share.shape) < 5 * reach:
            return share
        thin = cv2.multiply(share, cv2.blur(share, (2 * reach + 1, 2 * reach + 1)), scale=1 / 255)
        return np.asarray(cv2.addWeighted(share, 1 - self._settings.rounding, thin, self._settings.rounding, 0))

    def _soft(self, scene: Scene) -> Floats:
        """Soft tissue, thicker away from the skin, and shoulders, at a quarter of the resolution."""
        height, width = -(-self._view.height // 4), -(-self._view.width // 4)
        scale = self._view.scale / 4
        # A margin keeps tissue cut by the picture's border from thinning there.
        pad = int(_SKIN_MM * scale) + 2
        body = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
        draw(body, self._lens.picture(scene.skin) / 4 + pad, 255)
        distance = cv2.distanceTransform((body > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        inner = distance[pad : pad + height, pad : pad + width]
        deep = np.clip(1 - inner / np.float32(_SKIN_MM * scale), 0, 1)
        out = np.float32(scene.soft) * np.sqrt(1 - deep * deep)
        for outline, nepers in scene.trunk:
            found = coverage(self._lens.picture(outline) / 4, height, width, fine=2)
            if found is not None:
                out[found[0]] += found[1] * np.float32(nepers / 255)
        return gaussian(out, 0.7, truncate=2.5)

    def _painted(self, parts: list[tuple[Points, float]], reach_mm: float) -> tuple[Window, Floats] | None:
        """Shares painted one over another and rounded, 0..1, on the smallest window; None where there are none."""
        outlines = [(self._lens.picture(outline), share) for outline, share in parts if len(outline) >= 3]
        if not outlines:
            return None
        soft, scale = 0.7 * self._view.scale, self._view.scale
        points = np.concatenate([outline for outline, _ in outlines])
        # Blurred shares reach beyond the outlines.
        margin = soft + round(reach_mm * scale) + 3
        left, top = np.maximum(points.min(0) - margin, 0).astype(int).tolist()
        right, bottom = np.minimum(points.max(0) + margin + 1, (self._view.width, self._view.height)).astype(int)
        if right <= left or bottom <= top:
            return None
        fine = 2
        image = np.zeros(((bottom - top) * fine, (right - left) * fine), np.uint8)
        for outline, share in outlines:
            draw(image, (outline - (left, top)) * fine, round(255 * share))
        filled = cv2.resize(image, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        filled = self._rounded(filled, reach_mm).astype(np.float32)
        return (slice(top, bottom), slice(left, right)), np.multiply(_boxed(filled, soft), np.float32(1 / 255))


def _boxed(values: Floats, radius: float) -> Floats:
    """Mean over a square of a radius that need not be whole, float32 of the same shape."""
    whole, share = int(radius), radius - int(radius)
    side = np.array([share, *[1.0] * (2 * whole + 1), share]) / (1 + 2 * radius)
    return np.asarray(cv2.sepFilter2D(values, cv2.CV_32F, side, side, borderType=cv2.BORDER_REPLICATE))


def _unevenness(
    view: View, rng: np.random.Generator, octaves: tuple[tuple[int, float], ...], strength: float
) -> Floats:
    """A factor around 1 for tissue or bone: smooth random fields of several sizes, float32 (height, width)."""
    # Twice as fine as the finest of them is fine enough for smooth fields.
    side = 2 * octaves[-1][0]
    out = np.ones((side, side), np.float32)
    for cells, weight in octaves:
        coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
        smooth = coarse.resize((side, side), Image.Resampling.BICUBIC)
        out += np.asarray(smooth) * np.float32(weight * strength)
    return resized(out, view.height, view.width)
