# SPDX-License-Identifier: Apache-2.0
"""From the patient in the beam to grey values: beam, detector, display, capture, one after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vfss.phantom.beam import Beam
from vfss.phantom.capture import mixed, recorded
from vfss.phantom.confusers import draw_objects
from vfss.phantom.detector import Detector
from vfss.phantom.display import Display
from vfss.phantom.framing import Lens, beam_light, disc, exposed
from vfss.phantom.geometry import Floats, Points, View
from vfss.phantom.matter import Scene
from vfss.phantom.overlays import painted
from vfss.phantom.style import Apparatus

Bytes = npt.NDArray[np.uint8]
_KEPT = 4  # signals kept: a clip read in order asks for each frame again where there is lag


class Screen:
    """One apparatus looking at one field of view; what does not change from frame to frame is made once.

    Attributes:
        view: Where the patient lies in the frame.
        apparatus: Settings.
        field: Exposed part of the frame, bool (height, width).
    """

    def __init__(self, view: View, apparatus: Apparatus) -> None:
        self.view = view
        self.apparatus = apparatus
        self._lens = Lens(view, apparatus.framing)
        inner, framing = self._lens.inner, apparatus.framing
        left, top, right, bottom = self._lens.box
        self._window = (slice(top, bottom), slice(left, right))
        self._exposed = exposed(inner, framing)
        self._disc = disc(inner, framing)
        self.field: npt.NDArray[np.bool_] = np.zeros((view.height, view.width), np.bool_)
        self.field[self._window] = self._exposed
        rng = np.random.default_rng((apparatus.seed, 1))
        objects = np.zeros((inner.height, inner.width), np.float32)
        draw_objects(objects, inner, apparatus.objects, np.random.default_rng((apparatus.seed, 2)))
        self._beam = Beam(self._lens, apparatus.beam, beam_light(inner, framing), objects, rng)
        self._detector = Detector(self._lens, apparatus.detector, rng)
        self._display = Display(apparatus.display)
        self._signals: dict[int, tuple[Floats, npt.NDArray[np.bool_]]] = {}

    def pixels(self, points: Points) -> Points:
        """Millimetres to pixels of the frame."""
        return self._lens.frame(points)

    def grey(self, scenes: Callable[[int], Scene], shown: int, t: int, *, seed: int, fps: float) -> Bytes:
        """Frame t, uint8 (height, width); depends on nothing but the arguments, in any order of frames.

        Args:
            scenes: The patient at a frame: the shown one, and those before it, of which lag and interlacing keep some.
            shown: Frame whose picture it is.
            t: Frame.
            seed: Of the noise.
            fps: Frames a second.
        """
        capture = self.apparatus.capture
        picture = self._picture(scenes, shown, seed, fps)
        if capture.mixes and shown:
            picture = mixed(capture, picture, self._picture(scenes, shown - 1, seed, fps))
        framing = self.apparatus.framing
        frame = np.full(self.field.shape, round(255 * framing.around), np.uint8)
        frame[self._window] = picture
        return recorded(capture, painted(self.apparatus.overlays, frame, t), (seed, 8, t))

    def _picture(self, scenes: Callable[[int], Scene], t: int, seed: int, fps: float) -> Bytes:
        """What the display shows of frame t, uint8, without the frame around it."""
        times = [max(0, t - back) for back in range(self._detector.memory + 1)]
        found = [self._signal(scenes, time) for time in times]
        signal = self._detector.lagging([settled for settled, _ in found])
        signal = self._detector.read(signal, t / fps, (seed, 7, t))
        shown = self._display.shown(signal, found[0][1] & self._exposed)
        disc = self._disc
        shown = shown * disc + np.float32(self.apparatus.framing.outside) * (1 - disc)
        return np.asarray(np.rint(np.clip(shown, 0, 1) * np.float32(255)), np.uint8)

    def _signal(self, scenes: Callable[[int], Scene], t: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Signal of frame t alone, without noise, and where tissue is; kept for the frames that follow."""
        found = self._signals.get(t)
        if found is None:
            light, tissue = self._beam.light(scenes(t))
            found = self._detector.settled(light), tissue
            self._signals[t] = found
            while len(self._signals) > _KEPT:
                self._signals.pop(min(self._signals), None)
        return found
