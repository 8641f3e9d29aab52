# SPDX-License-Identifier: Apache-2.0
"""Export of a trained network to one student file, which includes the graph for the CPU."""

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
from vfss.student.closer_look import CloserLook
from vfss.student.config import StudentConfig
from vfss.student.level_chain import SPINE
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.network.corrector import prompt_channels
from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss.student.precision import measured_precision
from vfss.student.torch_runtime import build_network

OPSET = 17


def pack(
    network: StudentNetwork,
    config: StudentConfig,
    schema: Schema,
    *,
    provenance: Mapping[str, Any],
    frames: np.ndarray[Any, np.dtype[np.float32]] | None = None,
    learnt: Mapping[str, int] | None = None,
) -> Checkpoint:
    """Create the checkpoint of a network: rounded weights, the graph, and the agreement of bf16 with f32.

    The graph is one pass; where the network is mirrored, the file says where the mirror image is computed too, and
    where it knows vertebrae, on which frames there is a closer look.

    Args:
        network: Trained network; not changed.
        config: Config of the network.
        schema: Structures of the network.
        provenance: What is needed to train it again.
        frames: float32 (N, 1, size, size), prepared frames to measure the agreement of bf16 with f32; None: it is not
            measured.
        learnt: Structures that it has learnt, and from how many annotated frames; None: all, see Checkpoint.

    Raises:
        TrainingError: The exported graph holds weights that are not the network's own.
    """
    tensors = {name: _rounded(tensor) for name, tensor in network.state_dict().items()}
    rounded = build_network(Checkpoint(config, schema, tensors, b"", provenance))
    example = torch.zeros(1, 1, config.input_size, config.input_size)
    graph = _graph(_OnePassGraph(rounded), rounded, (example,), ["frames"], ["logits", "quality"])
    prompted = _prompted(rounded, example)
    checkpoint = Checkpoint(
        config,
        schema,
        tensors,
        graph,
        provenance,
        prompted=prompted,
        learnt=learnt,
        mirror=MirrorPolicy() if config.mirrored else None,
        closer=CloserLook() if any(schema[key].chain == SPINE for key in schema.keys) else None,
    )
    return checkpoint if frames is None else replace(checkpoint, precision=measured_precision(checkpoint, frames))


def _rounded(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Round matrices and kernels to float16, which halves the file; vectors (normalisation, biases) stay float32."""
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    if array.dtype == np.float32 and array.ndim > 1:
        return array.astype(np.float16)
    return array.copy()


class _OnePassGraph(nn.Module):
    """The network over a frame alone."""

    def __init__(self, network: StudentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.one_pass(frames)


class _EncoderGraph(nn.Module):
    """The encoder with its features as a tuple, as the tracer needs them."""

    def __init__(self, network: StudentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.network.encoder(frames)
        return features.embedding, features.fine8, features.fine4


class _CorrectorGraph(nn.Module):
    """The corrector with its features from a tuple."""

    def __init__(self, network: StudentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor, fine8: Tensor, fine4: Tensor, maps: Tensor, asked: Tensor) -> Any:
        return self.network.correct(Features(embedding, fine8, fine4), maps, asked)


class _LandmarkGraph(nn.Module):
    """The landmark head with its features from a tuple."""

    def __init__(self, network: StudentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor, fine8: Tensor, fine4: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.landmarks(Features(embedding, fine8, fine4))


def _prompted(network: StudentNetwork, example: Tensor) -> dict[str, bytes]:
    """Export the graphs of encoder, corrector and landmark head; none if the network has neither of the latter."""
    if network.corrector is None and network.landmark_head is None:
        return {}
    with torch.inference_mode():
        features = tuple(part.clone() for part in _EncoderGraph(network)(example))
    names = ["embedding", "fine8", "fine4"]
    graphs = {"encode": _graph(_EncoderGraph(network), network, (example,), ["frames"], names)}
    if network.corrector is not None:
        n, side = network.corrector.n_structures, features[2].shape[-1]
        inputs = (*features, torch.zeros(1, prompt_channels(n), side, side), torch.zeros(1, n))
        of_corrector = [*names, "maps", "asked"]
        graphs["correct"] = _graph(_CorrectorGraph(network), network, inputs, of_corrector, ["logits", "quality"])
    if network.landmark_head is not None:
        graphs["landmarks"] = _graph(_LandmarkGraph(network), network, features, names, ["heat", "presence"])
    return graphs


def _graph(
    traced: nn.Module, network: StudentNetwork, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]
) -> bytes:
    """Export a part of a network as ONNX for one frame; initialisers keep their names and lose their values."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracer warns of Python numbers in segment-anything's code, constants here, and of its deprecation.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced,
            example,
            buffer,  # type: ignore[arg-type]  # the tracer also writes to memory, which its annotation does not include
            dynamo=False,
            # Constant folding would create new weights from existing ones, which would then be stored twice.
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
            raise TrainingError(f"the exported graph holds weights that are not the network's: {initializer.name!r}")
        for node in model.graph.node:
            node.input[:] = [name if one == initializer.name else one for one in node.input]
        initializer.Clear()
        initializer.name = name
    graph: bytes = model.SerializeToString()
    return graph
