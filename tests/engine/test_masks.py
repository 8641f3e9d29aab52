# SPDX-License-Identifier: Apache-2.0
"""Masks, their states and their packing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from vfss import Masks, MaskState
from vfss.errors import MaskError
from vfss.masks import pack_mask, unpack_mask


@given(npst.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_packing_is_lossless(mask: np.ndarray) -> None:
    back = unpack_mask(pack_mask(mask))
    assert back.dtype == np.bool_ and np.array_equal(back, mask)


def test_packed_size_follows_the_structure_not_the_frame() -> None:
    mask = np.zeros((1024, 1024), np.bool_)
    assert len(pack_mask(mask)) < 50
    mask[500:540, 300:360] = True
    assert len(pack_mask(mask)) < 400


@given(st.binary(max_size=60))
def test_foreign_bytes_are_an_error_not_a_mask(noise: bytes) -> None:
    with pytest.raises(MaskError):
        unpack_mask(noise)


def test_damaged_bytes_are_an_error() -> None:
    mask = np.random.default_rng(0).random((50, 60)) > 0.5
    packed = pack_mask(mask)
    for damaged in (packed[:-4], packed[:20], packed[:60] + bytes([packed[60] ^ 255]) + packed[61:]):
        with pytest.raises(MaskError):
            unpack_mask(damaged)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(MaskError, match="uint8"):
        pack_mask(np.zeros((3, 3), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(MaskError, match=r"bool \(S, H, W\)"):
        Masks(np.zeros((3, 3), np.bool_), np.zeros(3, np.uint8))
    with pytest.raises(MaskError, match="state"):
        Masks(np.zeros((2, 3, 3), np.bool_), np.zeros(3, np.uint8))


def test_states_tell_what_is_annotated() -> None:
    assert [s for s in MaskState if s.is_annotated] == [
        MaskState.EDITED,
        MaskState.ACCEPTED,
        MaskState.EMPTY,
        MaskState.NOT_VISIBLE,
    ]
    assert [s for s in MaskState if s.is_truth] == [MaskState.ACCEPTED, MaskState.EMPTY]
    assert MaskState.NOT_VISIBLE.label == "not visible"
    assert Masks.unseen(12, 4, 5).state.tolist() == [MaskState.UNSEEN] * 12
