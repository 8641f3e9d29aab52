# SPDX-License-Identifier: Apache-2.0
"""Run a student in torch: bf16 on CUDA. Import this only before a Qt window is open, or in a separate process."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint
from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss.student.refinement import Encoded

FloatArray = npt.NDArray[np.float32]


def cuda_is_available() -> bool:
    """Return whether torch finds a CUDA device."""
    return bool(torch.cuda.is_available())


def build_network(checkpoint: Checkpoint) -> StudentNetwork:
    """Build the network with a checkpoint's weights in float32, in evaluation mode, on the CPU.

    Raises:
        StudentError: Names or shapes of the weights differ from what config and schema require.
    """
    _expect_shapes(checkpoint)
    network = StudentNetwork(checkpoint.config, len(checkpoint.schema))
    weights: dict[str, Tensor] = {}
    for name, array in checkpoint.tensors.items():
        tensor = torch.from_numpy(np.array(array))
        weights[name] = tensor.float() if tensor.is_floating_point() else tensor
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise StudentError(
            f"the weights do not fit the config ({error})", path=checkpoint.path, remedy="Choose another student."
        ) from error
    return network.eval()


def _expect_shapes(checkpoint: Checkpoint) -> None:
    """Compare the weights with a network that has shapes alone: a config may claim more than fits into memory."""
    with torch.device("meta"):
        network = StudentNetwork(checkpoint.config, len(checkpoint.schema))
    # A student file stores a single number, of shape (), as (1,).
    expected = {name: tuple(tensor.shape) or (1,) for name, tensor in network.state_dict().items()}
    found = {name: array.shape or (1,) for name, array in checkpoint.tensors.items()}
    wrong = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
    if wrong:
        have, need = (shapes.get(wrong[0], "missing") for shapes in (found, expected))
        raise StudentError(
            f"the weights do not fit the config and schema: {wrong[0]} has shape {have}, needed is {need} "
            f"({len(wrong)} of {len(expected)} differ)",
            path=checkpoint.path,
            remedy="Choose another student.",
        )


class TorchRuntime:
    """Runtime that computes in torch.

    Attributes:
        device: "cuda (bf16)" or "cpu-torch (f32)".
        batch: Frames per call of the network.
    """

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        """Build the network and move it to "cuda", or to "cpu-torch" for comparison.

        Raises:
            StudentError: There is no such device.
        """
        if device == "cuda" and not cuda_is_available():
            raise StudentError(
                "torch finds no CUDA device", remedy="Use device='cpu', or install a driver for your GPU."
            )
        self._device = torch.device("cuda" if device == "cuda" else "cpu")
        self._network = build_network(checkpoint).to(self._device).to(memory_format=torch.channels_last)
        # Where the file says when to mirror, vfss.student.mirrored_runtime does; else the network does always or never.
        self._compute = self._network if checkpoint.mirror is None else self._network.one_pass
        self.device = "cuda (bf16)" if device == "cuda" else "cpu-torch (f32)"
        self.batch = 16 if device == "cuda" else 4

    def run_each(self, inputs: Iterable[FloatArray]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield logits and quality of each input, float32 (1, size, size), in order; computed in batches."""
        source = iter(inputs)
        while batch := list(itertools.islice(source, self.batch)):
            yield from zip(*self.run(np.stack(batch)), strict=True)

    def run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (N, S, size/4, size/4), quality float32 (N, S) of inputs float32 (N, 1, size, size)."""
        on_device = torch.from_numpy(inputs).to(self._device)
        with torch.inference_mode(), self._precision():
            logits, quality = self._compute(on_device)
        return logits.float().cpu().numpy(), quality.float().cpu().numpy()

    def encode(self, frame: FloatArray) -> Encoded:
        """Return the encoder's features of one input, float32 (1, size, size)."""
        with torch.inference_mode(), self._precision():
            features = self._network.encoder(torch.from_numpy(frame[None]).to(self._device))
        embedding, fine8, fine4 = (
            level.float().cpu().numpy() for level in (features.embedding, features.fine8, features.fine4)
        )
        return embedding, fine8, fine4

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (S, size/4, size/4) and quality float32 (S,); see PromptRuntime."""
        on_device = Features(*(torch.from_numpy(level).to(self._device) for level in features))
        prompts = (torch.from_numpy(array[None]).to(self._device) for array in (maps, asked))
        with torch.inference_mode(), self._precision():
            logits, quality = self._network.correct(on_device, *prompts)
        return logits[0].float().cpu().numpy(), quality[0].float().cpu().numpy()

    def landmarks(self, features: Encoded) -> tuple[FloatArray, FloatArray]:
        """Return heat maps float32 (L, size/4, size/4) and presence float32 (L,); see PromptRuntime."""
        on_device = Features(*(torch.from_numpy(level).to(self._device) for level in features))
        with torch.inference_mode(), self._precision():
            heat, presence = self._network.landmarks(on_device)
        return heat[0].float().cpu().numpy(), presence[0].float().cpu().numpy()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")
