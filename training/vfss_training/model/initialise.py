# SPDX-License-Identifier: Apache-2.0
"""Where a network starts from: ImageNet weights of a file, or another student."""

from __future__ import annotations

import hashlib
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

_PER_STRUCTURE = ("decoder.mask_tokens.weight", "decoder.iou_prediction_head.layers.2.")
_HYPERNETWORKS = "decoder.output_hypernetworks_mlps."
_CORRECTOR = "corrector."
_FINER = (_HYPERNETWORKS, "decoder.output_upscaling.", "encoder.fine", "encoder.detail.")


def from_scratch(config: StudentConfig, schema: Schema, seed: int, backbone: Path | None) -> StudentNetwork:
    """A network with random weights, its backbone from ImageNet where a file is given.

    Raises:
        TrainingError: The file does not fit the backbone.
    """
    torch.manual_seed(seed)
    network = StudentNetwork(config, len(schema))
    if backbone is not None:
        _load_backbone(network, config, backbone)
    begin_corrector(network)
    return network


def begin_corrector(network: StudentNetwork) -> None:
    """Let the corrector, where there is one, begin with what the decoder knows."""
    if network.corrector is not None:
        network.corrector.decoder.load_state_dict(network.decoder.state_dict())


def _load_backbone(network: StudentNetwork, config: StudentConfig, path: Path) -> None:
    """ImageNet weights of a classifier of the same architecture, matched by position, as every port renames them."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise TrainingError(f"cannot read the backbone's weights ({error})", path=path) from error
    whole = timm.create_model(config.backbone, pretrained=False).state_dict()
    tensors = [tensor for tensor in loaded.values() if isinstance(tensor, Tensor)]
    if [_extent(tensor) for tensor in tensors] != [_extent(tensor) for tensor in whole.values()]:
        raise TrainingError(f"the weights are not those of {config.backbone}", path=path, remedy="See training/README.")
    named = dict(zip(whole, tensors, strict=True))
    own = network.encoder.backbone.state_dict()
    fitted = {name: _fitted(named[name].reshape(whole[name].shape), tensor) for name, tensor in own.items()}
    network.encoder.backbone.load_state_dict(fitted, strict=True)


def _extent(tensor: Tensor) -> tuple[int, ...]:
    """Shape but for a kernel of 1x1: what is a linear layer in one port is a convolution in another."""
    return tuple(tensor.shape[:2]) if tuple(tensor.shape[2:]) == (1, 1) else tuple(tensor.shape)


def _fitted(source: Tensor, target: Tensor) -> Tensor:
    """The source in the target's shape: a kernel over colours becomes one over grey by summing them."""
    if source.shape == target.shape:
        return source
    return source.sum(dim=1, keepdim=True)


def sha256(path: Path) -> str:
    """Hash of a file, for provenance."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def from_student(
    checkpoint: Checkpoint, schema: Schema, seed: int, config: StudentConfig | None = None
) -> StudentNetwork:
    """A network with a student's weights, for a schema that may be another.

    Structures with a key that the student knows keep their tokens; others begin at random. So do the finer levels of
    the decoder where a config makes them wider. A corrector is taken over for the same structures only.

    Args:
        checkpoint: The student.
        schema: Structures of the new network.
        seed: Of what begins at random.
        config: Of the new network; None: as the student's.
    """
    torch.manual_seed(seed)
    network = StudentNetwork(config or checkpoint.config, len(schema))
    old, new = build_network(checkpoint).state_dict(), network.state_dict()
    rows = {i: checkpoint.schema.keys.index(key) for i, key in enumerate(schema.keys) if key in checkpoint.schema.keys}
    keeps = schema.keys == checkpoint.schema.keys and _CORRECTOR + "asked" in old
    for name, tensor in new.items():
        if name.startswith(_CORRECTOR):
            if keeps:
                _take(tensor, old.get(name), name)
        elif name.startswith(_PER_STRUCTURE):
            for to, source in rows.items():
                tensor[to] = old[name][source]
        elif name.startswith(_HYPERNETWORKS):
            number, rest = name.removeprefix(_HYPERNETWORKS).split(".", 1)
            if int(number) in rows:
                _take(tensor, old.get(f"{_HYPERNETWORKS}{rows[int(number)]}.{rest}"), name)
        else:
            _take(tensor, old.get(name), name)
    network.load_state_dict(new, strict=True)
    if not keeps:
        begin_corrector(network)
    return network


def _take(tensor: Tensor, source: Tensor | None, name: str) -> None:
    """Copy what fits; only the finer levels may differ.

    Raises:
        TrainingError: Something else differs.
    """
    if source is not None and source.shape == tensor.shape:
        tensor.copy_(source)
    elif not name.startswith(_FINER):
        raise TrainingError(f"the new student's {name} has no counterpart in the old one")
