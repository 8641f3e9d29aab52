# SPDX-License-Identifier: Apache-2.0
"""The student in torch: bf16 on CUDA. Import it only where no Qt window is open yet, or in a process of its own."""

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


def build_network(checkpoint: Checkpoint) -> StudentNetwork:
    """The network with the checkpoint's weights in float32, in evaluation mode, on the CPU.

    Raises:
        StudentError: Names or shapes of the weights differ from what config and schema ask for.
    """
    network = StudentNetwork(checkpoint.config, len(checkpoint.schema))
    weights: dict[str, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        loaded = torch.from_numpy(np.array(tensor))
        weights[name] = loaded.float() if loaded.is_floating_point() else loaded
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise StudentError(
            f"its weights do not fit its config ({error})", path=checkpoint.path, remedy="Choose another student."
        ) from error
    return network.eval()


class TorchRuntime:
    """The network in torch.

    Attributes:
        device: "cuda (bf16)" or "cpu-torch (f32)".
        batch: Frames at once.
    """

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        """Move the network to "cuda", or to "cpu-torch" for comparing.

        Raises:
            StudentError: There is no such device.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise StudentError(
                "torch finds no CUDA device", remedy="Use device='cpu', or install a driver for your GPU."
            )
        self._device = torch.device("cuda" if device == "cuda" else "cpu")
        self._network = build_network(checkpoint).to(self._device).to(memory_format=torch.channels_last)
        self.device = "cuda (bf16)" if device == "cuda" else "cpu-torch (f32)"
        self.batch = 16 if device == "cuda" else 4

    def run_each(self, inputs: Iterable[FloatArray]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Logits and quality of one input, float32 (1, size, size), after another: a device is filled by a batch."""
        source = iter(inputs)
        while some := list(itertools.islice(source, self.batch)):
            yield from zip(*self.run(np.stack(some)), strict=True)

    def run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits float32 (N, S, size/4, size/4) and quality float32 (N, S) of inputs float32 (N, 1, size, size)."""
        on_device = torch.from_numpy(inputs).to(self._device)
        with torch.inference_mode(), self._precision():
            logits, quality = self._network(on_device)
        return logits.float().cpu().numpy(), quality.float().cpu().numpy()

    def encode(self, one: FloatArray) -> Encoded:
        """Features of one input, float32 (1, size, size)."""
        with torch.inference_mode(), self._precision():
            found = self._network.encoder(torch.from_numpy(one[None]).to(self._device))
        embedding, fine8, fine4 = (part.float().cpu().numpy() for part in (found.embedding, found.fine8, found.fine4))
        return embedding, fine8, fine4

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits float32 (S, size/4, size/4) and quality float32 (S,); see PromptRuntime."""
        told = Features(*(torch.from_numpy(part).to(self._device) for part in features))
        given = (torch.from_numpy(part[None]).to(self._device) for part in (maps, asked))
        with torch.inference_mode(), self._precision():
            logits, quality = self._network.correct(told, *given)
        return logits[0].float().cpu().numpy(), quality[0].float().cpu().numpy()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")
