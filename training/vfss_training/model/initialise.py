# SPDX-License-Identifier: Apache-2.0
"""First weights of a network: random, ImageNet weights from a file, or those of another student."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import Tensor

from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss.student.torch_runtime import build_network
from vfss_training.saved_tensors import load_tensors

_PER_STRUCTURE = ("decoder.mask_tokens.weight", "decoder.iou_prediction_head.layers.2.")
_HYPERNETWORKS = "decoder.output_hypernetworks_mlps."
_CORRECTOR = "corrector."
_LANDMARKS = "decoder.landmark_"
_LANDMARK_HEAD = "landmark_head."
_FINER = (_HYPERNETWORKS, "decoder.output_upscaling.", "encoder.fine", "encoder.detail.", _LANDMARKS)


def from_scratch(config: StudentConfig, schema: Schema, seed: int, backbone: Path | None) -> StudentNetwork:
    """Create a network with random weights, and ImageNet weights for its backbone if a file is given.

    Raises:
        TrainingError: The file does not fit the backbone.
    """
    torch.manual_seed(seed)
    network = StudentNetwork(config, len(schema))
    if backbone is not None:
        _load_backbone(network, config, backbone)
    initialise_corrector(network)
    initialise_landmark_head(network)
    return network


def initialise_corrector(network: StudentNetwork) -> None:
    """Copy the weights of the decoder to the corrector, if there is one; it finds no landmarks."""
    if network.corrector is not None:
        masks = network.decoder.state_dict()
        wanted = network.corrector.decoder.state_dict()
        network.corrector.decoder.load_state_dict({name: masks[name] for name in wanted})


def initialise_landmark_head(network: StudentNetwork) -> None:
    """Copy transformer, finer levels and structure tokens of the decoder to the landmark head, if there is one."""
    head, decoder = network.landmark_head, network.decoder
    if head is None:
        return
    head.transformer.load_state_dict(decoder.transformer.state_dict())
    head.upscaling.load_state_dict(decoder.output_upscaling.state_dict())
    with torch.no_grad():
        head.structures.copy_(torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]))


def _load_backbone(network: StudentNetwork, config: StudentConfig, path: Path) -> None:
    """Load ImageNet weights of a classifier of the same architecture, matched by position, as ports rename them."""
    loaded = load_tensors(path, remedy="See training/README.md for where to get the backbone's weights.")
    if not isinstance(loaded, Mapping):
        raise TrainingError("the file holds no table of tensors", path=path, remedy="See training/README.md.")
    classifier = timm.create_model(config.backbone, pretrained=False).state_dict()
    tensors = [tensor for tensor in loaded.values() if isinstance(tensor, Tensor)]
    if [_extent(tensor) for tensor in tensors] != [_extent(tensor) for tensor in classifier.values()]:
        raise TrainingError(f"the weights are not those of {config.backbone}", path=path, remedy="See training/README.")
    named = dict(zip(classifier, tensors, strict=True))
    own = network.encoder.backbone.state_dict()
    fitted = {name: _fitted(named[name].reshape(classifier[name].shape), tensor) for name, tensor in own.items()}
    network.encoder.backbone.load_state_dict(fitted, strict=True)


def _extent(tensor: Tensor) -> tuple[int, ...]:
    """Return a shape without a kernel of 1x1: a linear layer in one port is a convolution in another."""
    return tuple(tensor.shape[:2]) if tuple(tensor.shape[2:]) == (1, 1) else tuple(tensor.shape)


def _fitted(source: Tensor, target: Tensor) -> Tensor:
    """Return the source in the target's shape: a kernel over three colours is summed to one over grey."""
    if source.shape == target.shape:
        return source
    return source.sum(dim=1, keepdim=True)


def sha256(path: Path) -> str:
    """Return the hash of a file, for provenance."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def from_student(
    checkpoint: Checkpoint, schema: Schema, seed: int, config: StudentConfig | None = None
) -> StudentNetwork:
    """Create a network with a student's weights, for the same schema or another one.

    Structures with a key that the student knows keep their tokens; others start at random, and so do the finer levels
    of the decoder if the config makes them wider. Corrector and landmark head are copied for the same structures only.

    Args:
        checkpoint: The student.
        schema: Structures of the new network.
        seed: Seed of the weights that start at random.
        config: Config of the new network; None: the student's.
    """
    torch.manual_seed(seed)
    network_config = config or checkpoint.config
    network = StudentNetwork(network_config, len(schema))
    old, new = build_network(checkpoint).state_dict(), network.state_dict()
    rows = {i: checkpoint.schema.keys.index(key) for i, key in enumerate(schema.keys) if key in checkpoint.schema.keys}
    keeps_corrector = schema.keys == checkpoint.schema.keys and _CORRECTOR + "asked" in old
    keeps_head = schema.keys == checkpoint.schema.keys and network.landmark_head is not None
    keeps_head = keeps_head and network_config.landmark_head == checkpoint.config.landmark_head
    for name, tensor in new.items():
        if name.startswith(_CORRECTOR):
            if keeps_corrector:
                _copy(tensor, old.get(name), name)
        elif name.startswith(_LANDMARK_HEAD):
            if keeps_head:
                _copy(tensor, old.get(name), name)
        elif name.startswith(_PER_STRUCTURE):
            for to, source in rows.items():
                tensor[to] = old[name][source]
        elif name.startswith(_HYPERNETWORKS):
            number, rest = name.removeprefix(_HYPERNETWORKS).split(".", 1)
            if int(number) in rows:
                _copy(tensor, old.get(f"{_HYPERNETWORKS}{rows[int(number)]}.{rest}"), name)
        else:
            _copy(tensor, old.get(name), name)
    network.load_state_dict(new, strict=True)
    if not keeps_corrector:
        initialise_corrector(network)
    if not keeps_head:
        initialise_landmark_head(network)
    return network


def _copy(tensor: Tensor, source: Tensor | None, name: str) -> None:
    """Copy a weight of the student if it fits; only the finer levels may differ.

    Raises:
        TrainingError: Something else differs.
    """
    if source is not None and source.shape == tensor.shape:
        tensor.copy_(source)
    elif not name.startswith(_FINER):
        raise TrainingError(f"the new student's {name} has no counterpart in the old one")
