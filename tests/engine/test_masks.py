# SPDX-License-Identifier: Apache-2.0
"""Masks, their states and their packing."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from vfss import Masks, MaskState
from vfss.errors import MaskError
from vfss.masks import pack_mask, packed_shape, seal, unpack_box, unpack_mask


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


PACKED = pack_mask(np.random.default_rng(0).random((50, 60)) > 0.5)
HEADER = struct.Struct("<6I")  # height, width, top, left, bottom, right


def before_checksums(*numbers: int, bits: bytes) -> bytes:
    """Return a plane as packed before layout 5 of projects."""
    return HEADER.pack(*numbers) + zlib.compress(bits)


def sealed(packed: bytes) -> bytes:
    """Return the same with a checksum that is right."""
    return b"VFM\xb2" + struct.pack("<I", zlib.crc32(packed)) + packed


@given(st.integers(0, 8 * len(PACKED) - 1))
def test_no_bit_can_flip_unnoticed(bit: int) -> None:
    damaged = bytearray(PACKED)
    damaged[bit // 8] ^= 1 << bit % 8
    for read in (unpack_mask, unpack_box, packed_shape):
        with pytest.raises(MaskError, match="damaged mask"):
            read(bytes(damaged))


@given(st.integers(0, len(PACKED) - 1))
def test_a_mask_that_is_cut_off_is_an_error(length: int) -> None:
    for read in (unpack_mask, packed_shape):
        with pytest.raises(MaskError, match="damaged mask"):
            read(PACKED[:length])


def test_masks_packed_before_there_were_checksums_are_read_and_sealed() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[2:5, 3:11] = True
    old = before_checksums(9, 12, 2, 3, 5, 11, bits=np.packbits(mask[2:5, 3:11]).tobytes())
    assert np.array_equal(unpack_mask(old), mask)
    assert packed_shape(old) == (9, 12)
    new = seal(old, (9, 12))
    assert new == sealed(old)
    assert seal(new, (9, 12)) == new
    assert np.array_equal(unpack_mask(new, (9, 12)), mask)
    with pytest.raises(MaskError, match="9 x 12 pixels, the frame 12 x 9"):
        seal(old, (12, 9))


@pytest.mark.parametrize("finish", [bytes, sealed], ids=["before checksums", "sealed"])
@pytest.mark.parametrize(
    ("numbers", "bits"),
    [
        ((2**32 - 1, 2**32 - 1, 0, 0, 2**32 - 1, 2**32 - 1), b"\xff"),
        ((30_000, 30_000, 0, 0, 30_000, 30_000), b"\xff"),
        ((0, 2**32 - 1, 0, 0, 0, 0), b"\xff"),
        ((8, 8, 4, 0, 2, 8), b"\xff"),
        ((8, 8, 0, 0, 9, 8), b"\xff" * 9),
        ((8, 8, 0, 0, 8, 9), b"\xff" * 9),
        ((8, 8, 0, 0, 8, 8), b"\xff" * 7),
        ((8, 8, 0, 0, 8, 8), b"\xff" * 9),
        ((8, 8, 0, 0, 0, 0), b"\xff"),
    ],
)
def test_sizes_that_a_mask_claims_are_held_against_it(finish: Callable, numbers: tuple[int, ...], bits: bytes) -> None:
    with pytest.raises(MaskError, match="damaged mask"):
        unpack_mask(finish(before_checksums(*numbers, bits=bits)))


def test_a_mask_that_unpacks_to_far_more_than_its_box_is_refused_without_unpacking_it() -> None:
    bomb = sealed(HEADER.pack(64, 64, 0, 0, 64, 64) + zlib.compress(bytes(64 << 20), 9))
    tracemalloc.start()
    try:
        with pytest.raises(MaskError, match="do not fill its box"):
            unpack_mask(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_mask_of_another_size_than_the_frame_is_refused() -> None:
    assert unpack_mask(PACKED, (50, 60)).shape == (50, 60)
    for read in (unpack_mask, unpack_box):
        with pytest.raises(MaskError, match="50 x 60 pixels, the frame 60 x 50"):
            read(PACKED, (60, 50))


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
