# SPDX-License-Identifier: Apache-2.0
"""Training examples for the corrector: simulated clicks, boxes and imperfect masks, made from true masks.

The maps are those of vfss.student.prompt_maps, in torch, at the size of the logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vfss.student.network.corrector import prompt_channels
from vfss.student.prompt_maps import RADIUS

_DEPTH = 16  # pixels of the logits: places deeper inside an error than this count as equally deep
_BOX_SLACK = 0.08


@dataclass(frozen=True)
class PromptedFrames:
    """A prompt for one structure of each of N frames, with its true mask.

    Attributes:
        index: int64 (N,), index of the structure.
        truth: float (N, h, w), covered share of each pixel.
        current: float (N, h, w), covered share of the current mask.
        adding: float (N, h, w), map of the clicks that add.
        removing: float (N, h, w), map of the clicks that remove.
        box: float (N, h, w), map of a box, 0 everywhere if there is none.
    """

    index: Tensor
    truth: Tensor
    current: Tensor
    adding: Tensor
    removing: Tensor
    box: Tensor

    def maps(self, n_structures: int) -> Tensor:
        """Return the input maps of the corrector, float (N, S + 4, h, w)."""
        n, height, width = self.truth.shape
        maps = self.truth.new_zeros(n, prompt_channels(n_structures), height, width)
        maps[:, n_structures] = 2.0 * self.current - 1.0
        maps[:, n_structures + 1] = self.adding
        maps[:, n_structures + 2] = self.removing
        maps[:, n_structures + 3] = self.box
        return maps

    def one_hot(self, n_structures: int) -> Tensor:
        """Return which structure is asked for, one-hot, float (N, S)."""
        return functional.one_hot(self.index, n_structures).to(self.truth.dtype)

    def with_click(self, random: torch.Generator) -> PromptedFrames:
        """Add one click, in the middle of the largest error; none if there is no error."""
        wrong = (self.current > 0.5) != (self.truth > 0.5)
        y, x = deepest(wrong, random)
        rows = torch.arange(wrong.shape[1], dtype=self.truth.dtype)[:, None]
        columns = torch.arange(wrong.shape[2], dtype=self.truth.dtype)[None]
        # People do not click on the centres of the logits' pixels.
        y, x = (place.to(self.truth.dtype) + torch.rand(len(place), generator=random) - 0.5 for place in (y, x))
        distance = torch.hypot(rows[None] - y[:, None, None], columns[None] - x[:, None, None])
        cone = (1.0 - distance / RADIUS).clamp(min=0.0)
        at = (torch.arange(len(y)), y.round().long().clamp(0, len(rows) - 1), x.round().long())
        at = (at[0], at[1], at[2].clamp(0, columns.shape[1] - 1))
        any_wrong = wrong.any(2).any(1)
        adds = (self.truth[at] > 0.5) & any_wrong
        removes = ~(self.truth[at] > 0.5) & any_wrong
        return PromptedFrames(
            self.index,
            self.truth,
            self.current,
            torch.maximum(self.adding, cone * adds[:, None, None]),
            torch.maximum(self.removing, cone * removes[:, None, None]),
            self.box,
        )

    def with_answer(self, logits: Tensor) -> PromptedFrames:
        """Replace the current mask by the corrector's answer, logits of float (N, S, h, w)."""
        rows = torch.arange(len(self.index))
        current = coverage(logits[rows, self.index][:, None])[:, 0]
        return PromptedFrames(self.index, self.truth, current, self.adding, self.removing, self.box)


def deepest(wrong: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a place, int64 (N,) each of y and x, deep inside the thickest part of areas, bool (N, h, w).

    Of equally deep places one is drawn; for an empty area the place is arbitrary.
    """
    left = wrong[:, None].to(torch.float32)
    depth = left.clone()
    for _ in range(_DEPTH):
        left = -functional.max_pool2d(-functional.pad(left, (1, 1, 1, 1)), 3, stride=1)
        depth += left
    flat = (depth + 0.5 * torch.rand(depth.shape, generator=random) * (depth > 0)).flatten(1)
    at = flat.argmax(1)
    return at // wrong.shape[2], at % wrong.shape[2]


def coverage(logits: Tensor) -> Tensor:
    """Return the covered share of each pixel, float (N, S, h, w), of the mask of logits at four times their size."""
    fine = functional.interpolate(logits, scale_factor=4, mode="bilinear")
    return functional.avg_pool2d((fine > 0).to(logits.dtype), 4)


def boxes(truth: Tensor, random: torch.Generator) -> Tensor:
    """Return maps of boxes as people draw them around areas, float (N, h, w); 0 everywhere for an empty area."""
    n, height, width = truth.shape
    inside = truth > 0.5
    maps = torch.zeros_like(truth)
    for i in range(n):
        rows, columns = inside[i].any(1).nonzero()[:, 0], inside[i].any(0).nonzero()[:, 0]
        if not len(rows):
            continue
        sides = torch.tensor([rows[0], columns[0], rows[-1], columns[-1]], dtype=truth.dtype)
        extent = torch.stack([sides[2] - sides[0], sides[3] - sides[1]]).repeat(2) + 1
        sides = sides + (2 * torch.rand(4, generator=random) - 1) * _BOX_SLACK * extent
        top, left, bottom, right = sides.tolist()
        y, x = torch.arange(height)[:, None], torch.arange(width)[None]
        within = (y >= top - 0.5) & (y <= bottom + 0.5) & (x >= left - 0.5) & (x <= right + 0.5)
        maps[i] = 2.0 * within.to(truth.dtype) - 1.0
    return maps


def moved(shares: Tensor, random: torch.Generator, strength: float) -> Tensor:
    """Distort planes, float (N, S, h, w), like masks of another moment or of a careless annotator.

    Every plane is shifted, rotated and scaled by itself, and bent smoothly.

    Args:
        shares: Covered share of each pixel.
        random: Random generator.
        strength: 0..1; 1: shifts of about 3 % of the side, 8 degrees, 8 % of the size.
    """
    n, s, height, width = shares.shape
    count = n * s
    normal = torch.randn(count, 4, generator=random) * strength * torch.rand(count, 1, generator=random)
    angle, scale = 0.14 * normal[:, 0], torch.exp(0.08 * normal[:, 1])
    flat = shares.reshape(count, 1, height, width)
    centre = _centres(flat)
    turn = (
        torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).reshape(count, 2, 2)
        * scale[:, None, None]
    )
    shift = 0.06 * normal[:, 2:] + centre - (turn @ centre[:, :, None])[:, :, 0]
    grid = functional.affine_grid(torch.cat([turn, shift[:, :, None]], 2), [count, 1, height, width], False)
    coarse = 0.03 * strength * torch.randn(count, 2, 6, 6, generator=random)
    bend = functional.interpolate(coarse, size=(height, width), mode="bicubic").permute(0, 2, 3, 1)
    return functional.grid_sample(flat, grid + bend, align_corners=False).reshape(n, s, height, width)


def _centres(flat: Tensor) -> Tensor:
    """Return the centres of mass (x, y) in -1..1 of planes, float (N, 1, h, w)."""
    height, width = flat.shape[-2:]
    mass = flat.sum((1, 2, 3)).clamp(min=1e-6)
    x = (flat.sum((1, 2)) * torch.linspace(-1, 1, width)).sum(1) / mass
    y = (flat.sum((1, 3)) * torch.linspace(-1, 1, height)).sum(1) / mass
    return torch.stack([x, y], 1)


def blotted(shares: Tensor, random: torch.Generator) -> Tensor:
    """Cut a disc out of each plane, float (N, h, w), or add one, near its border, like a slip of the hand."""
    n, height, width = shares.shape
    border = ((shares > 0.5) ^ (functional.max_pool2d(shares[:, None], 3, 1, 1)[:, 0] > 0.5)) | (shares > 0.5)
    y, x = any_place(border, random)
    radius = 1.5 + 6.0 * torch.rand(n, generator=random)
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None]
    disc = torch.hypot(rows - y[:, None, None].float(), columns - x[:, None, None].float()) < radius[:, None, None]
    adds = torch.rand(n, generator=random) < 0.5
    return torch.where(disc, adds[:, None, None].to(shares.dtype), shares)


def any_place(area: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a random place, int64 (N,) each of y and x, in areas, bool (N, h, w)."""
    at = (torch.rand(area.shape, generator=random) * area).flatten(1).argmax(1)
    return at // area.shape[2], at % area.shape[2]
