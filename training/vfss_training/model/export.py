# SPDX-License-Identifier: Apache-2.0
"""Export: a trained network becomes one student file, with the graph of the CPU path in it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network.corrector import prompt_channels
from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.torch_runtime import build_network

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
    rounded = build_network(Checkpoint(config, schema, tensors, b"", provenance))
    example = torch.zeros(1, 1, config.input_size, config.input_size)
    graph = _graph(rounded, rounded, (example,), ["frames"], ["logits", "quality"])
    whole = Checkpoint(config, schema, tensors, graph, provenance, prompted=_prompted(rounded, example))
    if frames is None:
        return whole
    return replace(whole, precision={"bf16": _agreement(whole, frames)})


def _rounded(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Matrices and kernels in float16, which halves the file; vectors (normalisation, biases) stay float32."""
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    if array.dtype == np.float32 and array.ndim > 1:
        return array.astype(np.float16)
    return array.copy()


class _Encoding(nn.Module):
    """The encoder, its features as a tuple."""

    def __init__(self, network: StudentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.network.encoder(frames)
        return found.embedding, found.fine8, found.fine4


class _Correcting(nn.Module):
    """The corrector, its features from a tuple."""

    def __init__(self, network: StudentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor, fine8: Tensor, fine4: Tensor, maps: Tensor, asked: Tensor) -> Any:
        return self.network.correct(Features(embedding, fine8, fine4), maps, asked)


def _prompted(network: StudentNetwork, example: Tensor) -> dict[str, bytes]:
    """Graphs of encoder and corrector; none where the network has no corrector."""
    if network.corrector is None:
        return {}
    with torch.inference_mode():
        features = _Encoding(network)(example)
    n, side = network.corrector.n_structures, features[2].shape[-1]
    maps = torch.zeros(1, prompt_channels(n), side, side)
    names = ["embedding", "fine8", "fine4"]
    whole = (*(part.clone() for part in features), maps, torch.zeros(1, n))
    return {
        "encode": _graph(_Encoding(network), network, (example,), ["frames"], names),
        "correct": _graph(_Correcting(network), network, whole, [*names, "maps", "asked"], ["logits", "quality"]),
    }


def _graph(
    traced: nn.Module, network: StudentNetwork, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]
) -> bytes:
    """ONNX graph of one frame's pass through a part of a network, its initialisers named and emptied."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracer warns of Python numbers in segment-anything's code, which are constants here, and of its successor.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced,
            example,
            buffer,  # type: ignore[arg-type]  # the tracer writes to files and to memory, its annotation says files
            dynamo=False,
            # Folding would make new weights out of old ones; kept apart they are not stored twice.
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    own = network.state_dict()
    for initializer in model.graph.initializer:
        name = initializer.name.removeprefix("network.")
        if name not in own:
            raise TrainingError(f"the exported graph holds foreign weights {initializer.name!r}")
        for node in model.graph.node:
            node.input[:] = [name if one == initializer.name else one for one in node.input]
        initializer.Clear()
        initializer.name = name
    graph: bytes = model.SerializeToString()
    return graph


def _agreement(checkpoint: Checkpoint, frames: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Share of pixels that bf16 puts on the same side as f32; 0 where this processor cannot tell."""
    exact, _ = OpenVinoRuntime(checkpoint, precision="f32", cache=None).run(frames)
    reduced, _ = OpenVinoRuntime(checkpoint, precision="bf16", cache=None).run(frames)
    return float(np.mean((exact > 0) == (reduced > 0)))
