# SPDX-License-Identifier: Apache-2.0
"""Random appearance by structure: bones, soft tissue and air brighter, darker, flatter or more blurred, each by itself.

Planes stay as they are. `appearance` changes a picture as a whole, as another machine would; here the relation between
one structure and its neighbours changes, so that no structure is known by how bright it is. After Billot et al.,
"SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without retraining" (Medical Image Analysis
2023), who draw intensities by structure, and Ouyang et al., "Causality-inspired single-source domain generalization for
medical image segmentation" (IEEE TMI 2023), who blend changed pictures by smooth fields.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vfss_training.data.samples import Sample
from vfss_training.recipe_part import NotNegative, Share, recipe_part

FloatArray = npt.NDArray[np.float32]
Random = np.random.Generator

_COARSE = 64  # side on which fields are made; they are smoother than its pixels
_GROUPS = 3  # sets of structures changed together, beside each structure by itself
_ALONE = 0.35  # share of the structures that are changed by themselves
_STRONGEST = 0.45  # largest factor on a structure's contrast as its logarithm: nothing disappears


@recipe_part
class AppearanceByStructure:
    """How far structures are changed, each by itself and in random groups.

    Attributes:
        share: Share of samples, 0..1, that are changed.
        gain: Standard deviation of the logarithm of the factor on the contrast inside a structure.
        offset: Standard deviation of what is added inside it, grey values.
        blur: Share of the changed structures that are blurred.
        spread: Largest width by which a structure is dilated and its border softened, a share of the side.
    """

    share: Share = 0.0
    gain: NotNegative = 0.2
    offset: NotNegative = 14.0
    blur: Share = 0.3
    spread: NotNegative = 0.03

    def __call__(self, sample: Sample, random: Random) -> Sample:
        """Return the sample with another frame; the same random state gives the same frame."""
        if random.random() >= self.share:
            return sample
        masks = self._masks(sample, random)
        if masks is None:
            return sample
        count, shape = len(masks), sample.frame.shape
        gain = np.clip(random.normal(0, self.gain, count), -_STRONGEST, _STRONGEST)
        offset = random.normal(0, self.offset, count)
        blurred = random.uniform(0.3, 1.0, count) * (random.random(count) < self.blur)
        radius = float(random.uniform(0.8, 2.5))
        weights = np.stack([gain, offset, blurred]).astype(np.float32)
        strength, added, share = (weights @ masks.reshape(count, -1)).reshape(3, _COARSE, _COARSE)
        factor = np.exp(np.clip(strength, -_STRONGEST, _STRONGEST))
        frame = sample.frame.astype(np.float32)
        if blurred.any():
            softer = np.asarray(Image.fromarray(sample.frame).filter(ImageFilter.BoxBlur(radius)), np.float32)
            softer -= frame
            softer *= _large(np.minimum(share, 1), shape)
            frame += softer
        # Contrast is changed about the local mean, so that a structure stays where it is among the greys.
        frame *= _large(factor, shape)
        frame += _large(added + _small(sample.frame) * (1 - factor), shape)
        return replace(sample, frame=np.clip(frame, 0, 255, out=frame).astype(np.uint8))

    def _masks(self, sample: Sample, random: Random) -> FloatArray | None:
        """Return smooth masks of dilated structures and of groups, float32 (N, 64, 64), 0..1; None: there are none."""
        side = sample.bits.shape[1]
        places = (np.arange(_COARSE) * side) // _COARSE
        bits = sample.bits[:, places][:, :, places]
        planes = np.unpackbits(bits, axis=0, count=len(sample.known))
        planes = planes[planes.any(axis=(1, 2))]
        if not len(planes):
            return None
        members = random.random((_GROUPS, len(planes))) < random.uniform(0.2, 0.9, (_GROUPS, 1))
        sets = [planes[chosen].max(axis=0) for chosen in members if chosen.any()]
        chosen = [*planes[random.random(len(planes)) < _ALONE], *sets]
        if not chosen:
            return None
        return np.stack([self._softened(plane, random) for plane in chosen])

    def _softened(self, plane: npt.NDArray[np.uint8], random: Random) -> FloatArray:
        """Return one plane, uint8 (64, 64) 0 or 1, dilated and with a smooth border, float32 (64, 64)."""
        radius = float(random.uniform(0.3, 1.0)) * self.spread * _COARSE
        blurred = np.asarray(Image.fromarray(plane * np.uint8(255)).filter(ImageFilter.BoxBlur(radius)))
        # At the border half of the neighbourhood is inside: twice that is 1 there, and falls off outside.
        return np.asarray(np.minimum(blurred.astype(np.float32) * np.float32(2 / 255), np.float32(1)))


def _small(frame: npt.NDArray[np.uint8]) -> FloatArray:
    """Return the local mean of a frame, float32 (64, 64)."""
    small = Image.fromarray(frame).resize((_COARSE, _COARSE), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.BoxBlur(3)), np.float32)


def _large(coarse: npt.NDArray[np.floating], shape: tuple[int, ...]) -> FloatArray:
    """Resize a field smoothly to the size of a frame, float32 (H, W)."""
    image = Image.fromarray(coarse.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), np.float32)
