# SPDX-License-Identifier: Apache-2.0
"""Telling vertebrae apart: the loss on their names, and how much hidden structures weigh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vfss.schema import Schema
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.losses.masks import MaskLoss, level_loss


def _bodies(*rows: int) -> torch.Tensor:
    """Three bodies, one below the other, float (1, 3, 12, 4), each in the plane that `rows` names for it."""
    planes = torch.zeros(1, 3, 12, 4)
    for place, plane in enumerate(rows):
        planes[0, plane, 4 * place : 4 * place + 3] = 1.0
    return planes


TRUE, ONE_TOO_HIGH = _bodies(0, 1, 2), _bodies(1, 2, 0)
KNOWN = torch.ones(1, 3)


def _logits(planes: torch.Tensor) -> torch.Tensor:
    return 8.0 * planes - 4.0


def test_right_names_cost_next_to_nothing_and_wrong_ones_much() -> None:
    assert float(level_loss(_logits(TRUE), TRUE, KNOWN)) < 0.01
    assert float(level_loss(_logits(ONE_TOO_HIGH), TRUE, KNOWN)) > 5.0


def test_where_no_body_is_names_do_not_matter() -> None:
    logits = _logits(TRUE)
    logits[:, 1, 3::4] = 9.0  # the gaps
    assert float(level_loss(logits, TRUE, KNOWN)) == pytest.approx(float(level_loss(_logits(TRUE), TRUE, KNOWN)))
    assert float(level_loss(logits, torch.zeros_like(TRUE), KNOWN)) == 0.0


def test_small_bodies_count_as_much_as_large_ones() -> None:
    target = TRUE.clone()
    target[0, 2, 9:] = 0.0  # a third of the lowest body is left
    logits = _logits(target)
    logits[0, :, 8] = _logits(ONE_TOO_HIGH)[0, :, 8]  # and has another name
    one = float(level_loss(logits, target, KNOWN))
    logits = _logits(target)
    logits[0, :, 0:3] = _logits(ONE_TOO_HIGH)[0, :, 0:3]
    assert one == pytest.approx(float(level_loss(logits, target, KNOWN)), rel=1e-3)


def test_a_body_that_nobody_annotated_is_left_out() -> None:
    wrong = _logits(TRUE)
    wrong[0, :, 0:3] = _logits(ONE_TOO_HIGH)[0, :, 0:3]
    assert float(level_loss(wrong, TRUE, torch.tensor([[0.0, 1.0, 1.0]]))) < 0.01


def test_the_mask_loss_adds_it_for_each_chain() -> None:
    quality = torch.ones(1, 3)
    plain = MaskLoss()(_logits(ONE_TOO_HIGH), quality, TRUE, KNOWN)
    told = MaskLoss(levels=0.5, chains=((0, 1, 2),))(_logits(ONE_TOO_HIGH), quality, TRUE, KNOWN)
    expected = 0.5 * level_loss(_logits(ONE_TOO_HIGH), TRUE, KNOWN)
    assert float(told - plain) == pytest.approx(float(expected), rel=1e-5)


def test_hidden_structures_weigh_what_the_recipe_says(tmp_path: Path) -> None:
    samples = PhantomSamples(
        tmp_path, Schema.load(), first_seed=0, n=24, size=64, styles={"wide": 1.0}, kept_bytes=0, hidden=0.7
    )
    weights = np.unique(np.stack([samples[i].known for i in range(len(samples))]))
    np.testing.assert_allclose(weights, [0.7, 1.0])
