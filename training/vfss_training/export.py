# SPDX-License-Identifier: Apache-2.0
"""Export: a trained network becomes one student file, with the graph of the CPU path in it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch

from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network import StudentNetwork
from vfss.student.openvino import OpenVinoRuntime
from vfss.student.torch import build_network

OPSET = 17


def pack(
    network: StudentNetwork,
    config: StudentConfig,
    schema: Schema,
    *,
    provenance: Mapping[str, Any],
    frames: np.ndarray[Any, np.dtype[np.float32]] | None = None,
) -> Checkpoint:
    """Checkpoint of a network: weights rounded as they will lie in the file, the graph, what bf16 costs.

    Args:
        network: Trained network; left as it is.
        config: Its config.
        schema: Its schema.
        provenance: What is needed to make it again.
        frames: float32 (N, 1, size, size), prepared frames to measure the agreement of bf16 with f32 on.

    Raises:
        TrainingError: The exported graph holds weights that are not the network's own.
    """
    tensors = {name: _rounded(tensor) for name, tensor in network.state_dict().items()}
    bare = Checkpoint(config, schema, tensors, b"", provenance)
    graph = _graph(build_network(bare), config)
    whole = Checkpoint(config, schema, tensors, graph, provenance)
    if frames is None:
        return whole
    return Checkpoint(config, schema, tensors, graph, provenance, {}, {"bf16": _agreement(whole, frames)})


def _rounded(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Matrices and kernels in float16, which halves the file; vectors (normalisation, biases) stay float32."""
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    if array.dtype == np.float32 and array.ndim > 1:
        return array.astype(np.float16)
    return array.copy()


def _graph(network: StudentNetwork, config: StudentConfig) -> bytes:
    """ONNX graph of one frame's pass, its initialisers named and emptied."""
    buffer = io.BytesIO()
    example = torch.zeros(1, 1, config.input_size, config.input_size)
    with warnings.catch_warnings():
        # The tracer warns of Python numbers in segment-anything's code, which are constants here, and of its successor.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            buffer,  # type: ignore[arg-type]  # the tracer writes to files and to memory, its annotation says files
            dynamo=False,
            # Folding would make new weights out of old ones; kept apart they are not stored twice.
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["frames"],
            output_names=["logits", "quality"],
            opset_version=OPSET,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    own = network.state_dict()
    for initializer in model.graph.initializer:
        if initializer.name not in own:
            raise TrainingError(f"the exported graph holds foreign weights {initializer.name!r}")
        name = initializer.name
        initializer.Clear()
        initializer.name = name
    graph: bytes = model.SerializeToString()
    return graph


def _agreement(checkpoint: Checkpoint, frames: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Share of pixels that bf16 puts on the same side as f32; 0 where this processor cannot tell."""
    exact, _ = OpenVinoRuntime(checkpoint, precision="f32", cache=None).run(frames)
    reduced, _ = OpenVinoRuntime(checkpoint, precision="bf16", cache=None).run(frames)
    return float(np.mean((exact > 0) == (reduced > 0)))
