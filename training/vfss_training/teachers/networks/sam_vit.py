# SPDX-License-Identifier: Apache-2.0
"""SAM with a ViT-B, and MedSAM, which is the same network with other weights: built and named by segment-anything."""

from __future__ import annotations

from collections.abc import Mapping

from segment_anything import sam_model_registry
from torch import Tensor

from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher

_OWN = "sam."


class SamVitTeacher(FrozenTeacher):
    """SAM ViT-B or MedSAM.

    The whole network is kept, so that each of the 314 tensors of the file has its place; features are its encoder's.

    Attributes:
        sam: segment-anything's network.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Build with random weights, in evaluation mode."""
        super().__init__(entry)
        self.sam = sam_model_registry["vit_b"]()
        self.freeze()

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The published names are segment-anything's."""
        return {_OWN + name: tensor for name, tensor in published.items()}

    def features(self, inputs: Tensor) -> Tensor:
        """What its encoder gives, float32 (N, 256, 64, 64)."""
        found: Tensor = self.sam.image_encoder(inputs)
        return found
