# SPDX-License-Identifier: Apache-2.0
"""SAM with a ViT-B, and MedSAM, the same network with other weights: segment-anything's network and names."""

from __future__ import annotations

from collections.abc import Mapping

from segment_anything import sam_model_registry
from torch import Tensor

from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher

_OWN = "sam."


class SamVitTeacher(FrozenTeacher):
    """SAM ViT-B or MedSAM.

    The whole network is kept, so that all 314 tensors of the file can be loaded; features come from its encoder.

    Attributes:
        sam: segment-anything's network.
    """

    def __init__(self, entry: TeacherEntry) -> None:
        """Create the teacher with random weights, in evaluation mode."""
        super().__init__(entry)
        self.sam = sam_model_registry["vit_b"]()
        self.freeze()

    def own_names(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights under their published names, which are segment-anything's."""
        return {_OWN + name: tensor for name, tensor in published.items()}

    def features(self, inputs: Tensor) -> Tensor:
        """Return the encoder's features, float32 (N, 256, 64, 64)."""
        features: Tensor = self.sam.image_encoder(inputs)
        return features
