# SPDX-License-Identifier: Apache-2.0
"""Architecture and preprocessing of a student."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vfss.errors import StudentError
from vfss.plain_data import parse_json

STRIDE = 16
"""Input pixels per cell of the embedding e_L; the input size is a multiple of it."""
LOGIT_STRIDE = 4
"""Input pixels per logit."""
LARGEST_INPUT = 2048
"""Largest side of the input, px."""

_BACKBONE = re.compile(r"[a-z0-9_]{1,64}(\.[a-z0-9_]{1,64})?\Z")
"""A name as timm lists them; other forms ("hf-hub:...", "local-dir:...") would reach for the network or the disk."""
_BOUNDS = {
    "width": (8, 2048),
    "heads": (1, 64),
    "depth": (1, 16),
    "mlp_width": (1, 8192),
    "fine_width": (0, 2048),
    "landmarks": (0, 64),
    "landmark_head": (0, 64),
}


@dataclass(frozen=True)
class StudentConfig:
    """Architecture and preprocessing of one student: everything but the weights and the schema.

    Attributes:
        backbone: Name of a timm model with features at strides 4, 8, 16 and 32.
        input_size: Side of the square network input, px, a multiple of 32.
        width: Channels of the embedding e_L and of the decoder's tokens, a multiple of 8.
        heads: Attention heads of the decoder.
        depth: Two-way attention blocks of the decoder.
        mlp_width: Hidden channels of the decoder's feed-forward parts.
        fine_width: Channels of the decoder at stride 8, half as many at stride 4, an even number; 0: width/4.
        detail: Two extra layers compute features of the frame for the decoder's stride 4, added to the backbone's.
        mirrored: Logits are the mean over the frame and its mirror image: twice the time for about one Dice point.
        landmarks: Number of landmarks that it finds, the first ones of vfss.landmarks.LANDMARKS.
        landmark_head: The same, found by a head of their own, which is computed only where points are wanted.
        prompted: Whether there is a corrector besides the decoder, which takes clicks, boxes and the current mask.
        crop_to_field: Whether a long frame is cropped to the exposed field (see vfss.clips.exposed_field).
        low_percentile: Grey value mapped to -1, as a percentile of the frame.
        high_percentile: Grey value mapped to +1, as a percentile of the frame.
    """

    backbone: str = "efficientnet_lite0"
    input_size: int = 320
    width: int = 128
    heads: int = 8
    depth: int = 2
    mlp_width: int = 256
    fine_width: int = 0
    detail: bool = False
    mirrored: bool = False
    landmarks: int = 0
    landmark_head: int = 0
    prompted: bool = False
    crop_to_field: bool = False
    low_percentile: float = 1.0
    high_percentile: float = 99.0

    def __post_init__(self) -> None:
        if not is_backbone_name(self.backbone):
            raise StudentError(
                f"the backbone {reprlib.repr(self.backbone)} is not the name of a model that timm lists",
                remedy="Write a plain name, such as efficientnet_lite0.",
            )
        if not 32 <= self.input_size <= LARGEST_INPUT or self.input_size % 32:
            raise StudentError(f"input size {self.input_size} is not a multiple of 32 up to {LARGEST_INPUT}")
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise StudentError(f"{name} {getattr(self, name)} is not within {least} and {most}")
        if self.width % 8 or self.width % (2 * self.heads):
            raise StudentError(f"width {self.width} is not a multiple of 8 and of twice the {self.heads} heads")
        if self.fine_width % 2:
            raise StudentError(f"fine width {self.fine_width} is not an even number")
        if not 0.0 <= self.low_percentile < self.high_percentile <= 100.0:
            raise StudentError(f"percentiles {self.low_percentile} and {self.high_percentile} are not in order")

    @property
    def channels8(self) -> int:
        """Channels of the decoder at stride 8; at stride 4 it has half as many."""
        return self.fine_width or self.width // 4

    def to_json(self) -> str:
        """Return a JSON object with one entry per field."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> StudentConfig:
        """Parse the text that to_json returns.

        Raises:
            StudentError: Not an object, or a field is unknown or of a wrong type; missing ones take their defaults.
        """
        try:
            data = parse_json(text)
        except ValueError as error:
            raise StudentError(f"the student's config is not JSON ({error})") from error
        if not isinstance(data, Mapping):
            raise StudentError("the student's config is not a JSON object")
        return cls(**_checked(data))


def is_backbone_name(name: str) -> bool:
    """Return whether a text can be the name of a model that timm lists; only timm knows whether it is one."""
    return _BACKBONE.match(name) is not None


def _checked(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are given, each checked against the type of its default."""
    expected = {field.name: type(field.default) for field in fields(StudentConfig)}
    if not set(data) <= set(expected):
        unknown = ", ".join(sorted(set(data) - set(expected)))
        raise StudentError(f"the student's config has unknown fields: {unknown}", remedy="Update napari-vfss.")
    for name, value in data.items():
        field_type = expected[name]
        accepted = (int, float) if field_type is float else (field_type,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and field_type is not bool):
            raise StudentError(f"{name} of the student's config is {value!r}, not {field_type.__name__}")
    return {name: float(value) if expected[name] is float else value for name, value in data.items()}
