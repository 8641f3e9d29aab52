# SPDX-License-Identifier: Apache-2.0
"""The student on a CPU: OpenVINO over the graph in its file. No torch here (it may not meet a running Qt)."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import openvino
from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]
from onnx import numpy_helper

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint
from vfss.student.refinement import Encoded

FloatArray = npt.NDArray[np.float32]

AGREEMENT = 0.999
"""Share of pixels that must stay as they are in f32 for a faster precision to be used."""


class OpenVinoRuntime:
    """The network compiled for this processor.

    Attributes:
        device: "cpu (f32)" or "cpu (bf16)".
        batch: 1: the graph takes one frame, the latency of one is what a person waits for.
    """

    batch = 1

    # Frames of a whole clip go side by side, one core each, which the cores do in less time than one after another on
    # all of them; a single frame is quickest the other way. The second network is compiled when it is first needed.
    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        precision: str | None = None,
        cache: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """Compile, or take the compiled network from the cache.

        Args:
            checkpoint: The student.
            precision: "f32" or "bf16"; None: bf16 where the processor has it and the student agrees with itself in it.
            cache: Folder for compiled networks; None: keep none.
            threads: Threads to compute with; None: as many as there are cores.

        Raises:
            StudentError: The file has no graph, or one that OpenVINO cannot run.
        """
        core = openvino.Core()
        chosen = precision if precision is not None else _precision(core, checkpoint)
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": chosen}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        if cache is not None and _writable(cache):
            options["CACHE_DIR"] = str(cache)
        self._side_by_side = threads if threads is not None else max(1, os.cpu_count() or 1)
        self._checkpoint, self._options = checkpoint, options
        self._single = self._compiled(options)
        self._request = self._single.create_infer_request()
        self._streams: openvino.CompiledModel | None = None
        self._parts: dict[str, openvino.InferRequest] = {}
        self._building = threading.Lock()
        self.device = f"cpu ({chosen})"

    def _compiled(self, options: dict[str, str | int], part: str = "") -> openvino.CompiledModel:
        core = openvino.Core()
        checkpoint = self._checkpoint
        graph = checkpoint.prompted.get(part, b"") if part else checkpoint.graph
        try:
            return core.compile_model(core.read_model(_whole_graph(checkpoint, graph)), "CPU", options)
        except (RuntimeError, ValueError) as error:
            raise StudentError(
                f"OpenVINO cannot run its graph ({error})", path=self._checkpoint.path, remedy="Choose another student."
            ) from error

    def _for_clips(self) -> openvino.CompiledModel:
        """The network compiled for as many frames side by side as there are threads."""
        n = self._side_by_side
        if n == 1:
            return self._single
        with self._building:
            if self._streams is None:
                streams: dict[str, str | int] = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": n}
                self._streams = self._compiled({**self._options, **streams, "INFERENCE_NUM_THREADS": n})
            return self._streams

    def run_each(self, inputs: Iterable[FloatArray]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Logits and quality of one input after another, in order, several computed side by side.

        While they are computed the next inputs are asked for, here and in the caller's thread: OpenVINO has threads of
        its own, and a second Python thread in its Python layer can wait for the first one for ever.

        Args:
            inputs: float32 (1, size, size) each.
        """
        compiled = self._for_clips()
        free = [compiled.create_infer_request() for _ in range(self._side_by_side)]
        working: deque[openvino.InferRequest] = deque()
        try:
            for one in inputs:
                working.append(_started(free.pop(), one))
                if not free:
                    found = _finished(working[0])
                    free.append(working.popleft())
                    yield found
            while working:
                yield _finished(working.popleft())
        finally:
            for request in working:
                request.wait()

    def encode(self, one: FloatArray) -> Encoded:
        """Features of one input, float32 (1, size, size)."""
        request = self._part("encode")
        request.infer([np.ascontiguousarray(one[None])])
        embedding, fine8, fine4 = (request.get_output_tensor(i).data.copy() for i in range(3))
        return embedding, fine8, fine4

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits float32 (S, size/4, size/4) and quality float32 (S,); see PromptRuntime."""
        request = self._part("correct")
        request.infer([*features, np.ascontiguousarray(maps[None]), np.ascontiguousarray(asked[None])])
        return request.get_output_tensor(0).data[0].copy(), request.get_output_tensor(1).data[0].copy()

    def _part(self, name: str) -> openvino.InferRequest:
        """A part of the network, compiled when it is first needed; in f32, whose time hardly counts for one frame."""
        if name not in self._parts:
            options = {**self._options, "INFERENCE_PRECISION_HINT": "f32"}
            self._parts[name] = self._compiled(options, name).create_infer_request()
        return self._parts[name]

    def run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits float32 (N, S, size/4, size/4) and quality float32 (N, S) of inputs float32 (N, 1, size, size)."""
        done = [_finished(_started(self._request, one)) for one in inputs]
        return np.stack([logits for logits, _ in done]), np.stack([quality for _, quality in done])


def _started(request: openvino.InferRequest, one: FloatArray) -> openvino.InferRequest:
    """The request, at work on one input, float32 (1, size, size), which it has a copy of."""
    request.set_input_tensor(openvino.Tensor(np.ascontiguousarray(one[None])))
    request.start_async()
    return request


def _finished(request: openvino.InferRequest) -> tuple[FloatArray, FloatArray]:
    """Logits float32 (S, size/4, size/4) and quality float32 (S,) when it is done."""
    request.wait()
    return request.get_tensor("logits").data[0].copy(), request.get_tensor("quality").data[0].copy()


def _precision(core: openvino.Core, checkpoint: Checkpoint) -> str:
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if able and checkpoint.precision.get("bf16", 0.0) >= AGREEMENT else "f32"


def _writable(folder: Path) -> bool:
    """Whether compiled networks can be kept there: a nicety, so failing is no error."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _whole_graph(checkpoint: Checkpoint, graph: bytes) -> bytes:
    """An ONNX graph with the weights put back into its initialisers."""
    if not graph:
        raise StudentError(
            "the student has no graph for the CPU path", path=checkpoint.path, remedy="Export it with vfss-train."
        )
    try:
        model = onnx.load_model_from_string(graph)
    except DecodeError as error:
        raise StudentError(f"its graph is damaged ({error})", path=checkpoint.path) from error
    for initializer in model.graph.initializer:
        tensor = checkpoint.tensors.get(initializer.name)
        if tensor is None:
            raise StudentError(f"its graph asks for weights {initializer.name!r}, which it lacks", path=checkpoint.path)
        wanted = tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor
        initializer.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(wanted), initializer.name))
    whole: bytes = model.SerializeToString()
    return whole
