# SPDX-License-Identifier: Apache-2.0
"""A student's graph in 8-bit integers, for processors that have no fast bf16: quantised after training, by NNCF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from vfss.errors import TrainingError
from vfss.student.checkpoint import Checkpoint
from vfss.student.graphs import graph_with_weights

FloatArray = npt.NDArray[np.float32]


def quantised_graph(checkpoint: Checkpoint, frames: Sequence[FloatArray]) -> bytes:
    """Return the graph of one pass in int8; initialisers that are weights of the file lose their values.

    Args:
        checkpoint: The student.
        frames: float32 (1, 1, size, size) each: inputs from which the ranges of activations are taken.

    Raises:
        TrainingError: NNCF is not installed.
    """
    try:
        import nncf  # type: ignore[import-not-found, unused-ignore]
        from nncf.quantization.advanced_parameters import (  # type: ignore[import-not-found, unused-ignore]
            AdvancedQuantizationParameters,
            AdvancedSmoothQuantParameters,
        )
    except ImportError as error:
        raise TrainingError(
            f"NNCF, which quantises students, is not installed ({error})", remedy="pip install 'napari-vfss[int8]'"
        ) from error
    model = onnx.load_from_string(graph_with_weights(checkpoint, "propose"))
    name = model.graph.input[0].name
    quantised: Any = nncf.quantize(
        model,
        nncf.Dataset([{name: one} for one in frames]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(frames),
        model_type=nncf.ModelType.TRANSFORMER,
        # Smoothing moves ranges from activations into weights, and was slower here for the same Dice.
        advanced_parameters=AdvancedQuantizationParameters(
            smooth_quant_alphas=AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
        ),
    )
    _share_weights(quantised, checkpoint)
    return bytes(quantised.SerializeToString())


def _share_weights(model: Any, checkpoint: Checkpoint) -> None:
    """Take the values out of initialisers that are weights of the file, as float32."""
    for initializer in model.graph.initializer:
        weights = checkpoint.tensors.get(initializer.name)
        if weights is None or initializer.data_type != onnx.TensorProto.FLOAT:
            continue
        if np.array_equal(numpy_helper.to_array(initializer), weights.astype(np.float32)):
            for field in ("raw_data", "float_data"):
                initializer.ClearField(field)
