# SPDX-License-Identifier: Apache-2.0
"""From matter in the beam to grey values: attenuation, scatter, blur, noise, field, lookup table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from vfss.phantom.confusers import burn_text, draw_objects
from vfss.phantom.geometry import Floats, Points, View, coverage, to_pixels
from vfss.phantom.matter import Matter, Scene
from vfss.phantom.style import Apparatus

_SKIN_MM = 46.0  # half the width of the neck across the beam: over that distance from the skin tissue gets thicker


class Screen:
    """One apparatus looking at one field of view; what does not change from frame to frame is made once.

    Attributes:
        view: Where the patient lies in the picture.
        apparatus: Settings.
        field: Exposed part of the picture, bool (height, width).
    """

    def __init__(self, view: View, apparatus: Apparatus) -> None:
        self.view = view
        self.apparatus = apparatus
        self._matrix = view.matrix
        self._light = _field(view, apparatus)
        self.field: npt.NDArray[np.bool_] = self._light > 0.5
        rng = np.random.default_rng((apparatus.seed, 1))
        self._texture = _unevenness(view, rng, ((4, 1.0), (9, 0.6), (20, 0.45), (48, 0.25)), apparatus.texture)
        self._grain = np.maximum(_unevenness(view, rng, ((14, 0.7), (40, 0.6), (110, 0.6)), apparatus.bone_texture), 0)
        self._objects = np.zeros((view.height, view.width), np.float32)
        draw_objects(self._objects, view, apparatus, rng)

    def pixels(self, points: Points) -> Points:
        """Millimetres to pixels."""
        return to_pixels(self._matrix, points)

    def grey(self, scene: Scene, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Picture of a scene, uint8 (height, width); rng makes the noise of this frame."""
        soft = self._soft(scene)
        signal = np.exp(-self._attenuation(scene, soft))
        signal = self._expose(signal, rng)
        shown = self._lookup(signal, soft > 0.3 * scene.soft)
        picture: npt.NDArray[np.uint8] = np.rint(shown * np.float32(255)).astype(np.uint8)
        if self.apparatus.text:
            picture = burn_text(picture, np.random.default_rng((self.apparatus.seed, 2)))
        return picture

    def _attenuation(self, scene: Scene, soft: Floats) -> Floats:
        height, width = self.view.height, self.view.width
        coarse = _resized(soft, height, width)
        total = np.zeros((height, width), np.float32)
        shade = np.zeros((-(-height // 2), -(-width // 2)), np.float32)
        for matter in scene.matter:
            if matter.blur == 0:
                self._add(total, matter, 1.0)
            else:
                self._add(shade, matter, 0.5)
        total *= self._grain
        total += self._objects
        total += coarse * self._texture
        shade = ndimage.gaussian_filter(shade, 0.5 * 0.8 * self.view.scale, truncate=2.5)
        total += _resized(shade, height, width)
        air = ndimage.gaussian_filter(self._painted(scene.air), 0.4 * self.view.scale, truncate=2.0)
        if scene.barium:
            barium = ndimage.gaussian_filter(self._painted(scene.barium), 0.45 * self.view.scale, truncate=2.5)
            total += np.float32(self.apparatus.barium) * barium
            air = air * (1 - np.minimum(barium * 2, 1))
        total -= np.float32(self.apparatus.air) * air
        return np.asarray(np.maximum(total, 0, out=total))

    def _add(self, layer: Floats, matter: Matter, zoom: float) -> None:
        height, width = layer.shape
        rim = max(0.7, matter.rim_mm * self.view.scale * zoom) if matter.rim > 0 else 0.0
        # Filling and rim share one drawing; the rim lies half inside, where it stands on the filling.
        edge = matter.rim + 0.5 * matter.nepers
        together = rim > 0 and 0 <= matter.nepers <= edge
        top = edge if together else matter.nepers
        inside = round(255 * matter.nepers / edge) if together else 255
        outline = self.pixels(matter.outline) * zoom
        fine = 2 if zoom == 1 else 1
        found = coverage(outline, height, width, fine=fine, rim=rim if together else 0.0, inside=inside)
        if found is None:
            return
        window, share = found
        layer[window] += share * np.float32(top / 255)
        if rim > 0 and not together:
            found = coverage(outline, height, width, fine=fine, rim=rim, inside=0)
            if found is not None:
                layer[found[0]] += found[1] * np.float32(matter.rim / 255)

    def _soft(self, scene: Scene) -> Floats:
        """Soft tissue, thicker away from the skin, and shoulders, at a quarter of the resolution."""
        height, width = -(-self.view.height // 4), -(-self.view.width // 4)
        out = np.zeros((height, width), np.float32)
        scale = self.view.scale / 4
        # A margin keeps tissue cut by the picture's border from thinning there.
        pad = int(_SKIN_MM * scale) + 2
        image = Image.new("L", (width + 2 * pad, height + 2 * pad))
        ImageDraw.Draw(image).polygon((self.pixels(scene.skin) / 4 + pad).ravel().tolist(), fill=255)
        distance = ndimage.distance_transform_edt(np.asarray(image) > 127).astype(np.float32)
        deep = np.clip(1 - distance / np.float32(_SKIN_MM * scale), 0, 1)
        thick = np.sqrt(1 - deep * deep)
        out += np.float32(scene.soft) * thick[pad : pad + height, pad : pad + width]
        for outline, nepers in scene.trunk:
            found = coverage(self.pixels(outline) / 4, height, width, fine=2)
            if found is not None:
                out[found[0]] += found[1] * np.float32(nepers / 255)
        return np.asarray(ndimage.gaussian_filter(out, 0.7, truncate=2.5))

    def _painted(self, parts: list[tuple[Points, float]]) -> Floats:
        """Shares painted one over another, float32 (height, width), 0..1."""
        fine = 2
        image = Image.new("L", (self.view.width * fine, self.view.height * fine))
        draw = ImageDraw.Draw(image)
        for outline, share in parts:
            if len(outline) >= 3:
                draw.polygon((self.pixels(outline) * fine).ravel().tolist(), fill=round(255 * share))
        return np.asarray(image.reduce(fine), np.float32) * np.float32(1 / 255)

    def _expose(self, signal: Floats, rng: np.random.Generator) -> Floats:
        """Scatter, blur, noise, field."""
        settings = self.apparatus
        height, width = signal.shape
        unit = min(height, width) / 512
        signal = signal * self._light
        small = np.asarray(
            Image.fromarray(signal).resize((max(1, width // 8), max(1, height // 8)), Image.Resampling.BOX)
        )
        haze = ndimage.gaussian_filter(small, min(small.shape) * 0.09, truncate=2.5)
        signal = ndimage.gaussian_filter(signal, max(0.35, settings.blur_mm * self.view.scale / 2), truncate=3.0)
        signal = (1 - settings.scatter) * signal + settings.scatter * _resized(haze, height, width)
        coarse = settings.blocks * unit
        if coarse > 1.01:
            size = (max(8, round(width / coarse)), max(8, round(height / coarse)))
            signal = np.asarray(Image.fromarray(signal).resize(size, Image.Resampling.BOX))
        grain = max(0.0, settings.grain * unit / max(1.0, coarse))
        noise = rng.standard_normal(signal.shape, dtype=np.float32)
        if grain > 0.3:
            noise = ndimage.gaussian_filter(noise, grain, truncate=2.0)
            noise *= np.float32(np.sqrt(1 + 4 * np.pi * grain * grain) * 0.9)
        level = np.float32(max(1e-4, float(signal.mean())))
        signal = signal + noise * np.sqrt(np.maximum(signal, 0) * level) * np.float32(settings.noise)
        return signal if signal.shape == (height, width) else _resized(np.asarray(signal, np.float32), height, width)

    def _lookup(self, signal: Floats, tissue: npt.NDArray[np.bool_]) -> Floats:
        """Grey values 0..1: exposure control on the field, lookup table, polarity, saturation."""
        settings = self.apparatus
        probe = signal[::4, ::4][self.field[::4, ::4] & tissue]
        white, black = np.percentile(probe, (settings.white, settings.black)) if probe.size else (1.0, 0.0)
        white = max(float(white), 1e-5)
        low = np.float32(max(float(black), 1e-6) / white) ** np.float32(settings.gamma)
        shown = (np.maximum(signal, 0) * np.float32(1 / white)) ** np.float32(settings.gamma)
        shown = np.clip((shown - 0.9 * low) / (1 - 0.9 * low), 0, 1)
        if settings.inverted:
            shown = 1 - shown
        light = self._light
        return np.asarray(shown * light + np.float32(settings.outside) * (1 - light), np.float32)


def _resized(values: Floats, height: int, width: int) -> Floats:
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))


def _field(view: View, settings: Apparatus) -> Floats:
    """Exposed part of the picture with its penumbra, float32 (height, width), 0..1."""
    height, width = view.height, view.width
    light = np.ones((height, width), np.float32)
    if settings.shutters is not None:
        left, top, right, bottom = settings.shutters
        light[: round(top * height)] = 0
        light[round(bottom * height) :] = 0
        light[:, : round(left * width)] = 0
        light[:, round(right * width) :] = 0
    if settings.circle is not None:
        x, y, radius = settings.circle
        rows, columns = np.ogrid[:height, :width]
        short = min(height, width)
        light[(rows - y * height) ** 2 + (columns - x * width) ** 2 > (radius * short) ** 2] = 0
    return np.asarray(ndimage.gaussian_filter(light, 1.2 * min(height, width) / 512, truncate=2.5, mode="nearest"))


def _unevenness(
    view: View, rng: np.random.Generator, octaves: tuple[tuple[int, float], ...], strength: float
) -> Floats:
    """A factor around 1 for tissue or bone: smooth random fields of several sizes, float32 (height, width)."""
    out = np.ones((view.height, view.width), np.float32)
    for cells, weight in octaves:
        coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
        smooth = coarse.resize((view.width, view.height), Image.Resampling.BICUBIC)
        out += np.asarray(smooth) * np.float32(weight * strength)
    return out
