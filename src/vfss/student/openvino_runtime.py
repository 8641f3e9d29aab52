# SPDX-License-Identifier: Apache-2.0
"""Run a student on a CPU: OpenVINO on the graph in its file. No torch here: it cannot be imported beside Qt."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint
from vfss.student.compiled_graph import compile_graph
from vfss.student.refinement import Encoded

FloatArray = npt.NDArray[np.float32]

AGREEMENT = 0.999
"""Share of pixels that must stay as they are in f32 for a faster precision to be used."""
LONGEST_S = 120.0
"""Time after which a frame is given up; the default student needs a tenth of a second on a slow processor."""


class OpenVinoRuntime:
    """The network, compiled for this processor.

    Attributes:
        device: "cpu (f32)" or "cpu (bf16)".
        batch: 1: the graph takes one frame, since a person waits for the latency of one.
    """

    batch = 1

    # Frames of a whole clip are computed in parallel, one core each, which is faster than one after another on all
    # cores; a single frame is fastest on all cores. The second network is compiled when it is first needed.
    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        precision: str | None = None,
        cache: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """Compile the network, or load the compiled network from the cache.

        Args:
            checkpoint: Student to run.
            precision: "f32" or "bf16"; None: bf16 if the processor has it and the student's masks agree with f32.
            cache: Folder for compiled networks; None: keep none.
            threads: Threads to compute with; None: one per core.

        Raises:
            StudentError: The file has no graph, or one that OpenVINO cannot run.
        """
        core = openvino.Core()
        precision = precision if precision is not None else _precision(core, checkpoint)
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        if cache is not None and _is_writable(cache):
            options["CACHE_DIR"] = str(cache)
        self._n_parallel = threads if threads is not None else max(1, os.cpu_count() or 1)
        self._checkpoint, self._options = checkpoint, options
        self._single = compile_graph(checkpoint, "propose", options)
        self._request = self._single.create_infer_request()
        self._parallel: openvino.CompiledModel | None = None
        self._prompt_requests: dict[str, openvino.InferRequest] = {}
        self._compiling = threading.Lock()
        self.device = f"cpu ({precision})"

    def _parallel_model(self) -> openvino.CompiledModel:
        """Return the network compiled for as many frames in parallel as there are threads."""
        n = self._n_parallel
        if n == 1:
            return self._single
        with self._compiling:
            if self._parallel is None:
                streams: dict[str, str | int] = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": n}
                options = {**self._options, **streams, "INFERENCE_NUM_THREADS": n}
                self._parallel = compile_graph(self._checkpoint, "propose", options)
            return self._parallel

    def run_each(self, inputs: Iterable[FloatArray]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield logits and quality of each input, in order, several computed in parallel.

        Meanwhile the next inputs are prepared in the caller's thread: OpenVINO has threads of its own, and a second
        Python thread in its Python layer can wait for the first one for ever.

        Args:
            inputs: float32 (1, size, size) each.
        """
        compiled = self._parallel_model()
        free = [compiled.create_infer_request() for _ in range(self._n_parallel)]
        running: deque[openvino.InferRequest] = deque()
        try:
            for array in inputs:
                running.append(_start(free.pop(), array))
                if not free:
                    result = _result(running[0])
                    free.append(running.popleft())
                    yield result
            while running:
                yield _result(running.popleft())
        finally:
            for request in running:
                _end(request)

    def encode(self, frame: FloatArray) -> Encoded:
        """Return the encoder's features of one input, float32 (1, size, size)."""
        request = self._prompt_request("encode")
        _infer(request, frame[None])
        embedding, fine8, fine4 = (request.get_output_tensor(i).data.copy() for i in range(3))
        return embedding, fine8, fine4

    def correct(self, features: Encoded, maps: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (S, size/4, size/4) and quality float32 (S,); see PromptRuntime."""
        request = self._prompt_request("correct")
        _infer(request, *features, maps[None], asked[None])
        return request.get_output_tensor(0).data[0].copy(), request.get_output_tensor(1).data[0].copy()

    def _prompt_request(self, name: str) -> openvino.InferRequest:
        """Return the request of a prompted graph, compiled at first use; in f32, as one frame takes little time."""
        if name not in self._prompt_requests:
            options = {**self._options, "INFERENCE_PRECISION_HINT": "f32"}
            self._prompt_requests[name] = compile_graph(self._checkpoint, name, options).create_infer_request()
        return self._prompt_requests[name]

    def run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (N, S, size/4, size/4), quality float32 (N, S) of inputs float32 (N, 1, size, size)."""
        results = [_result(_start(self._request, frame)) for frame in inputs]
        return np.stack([logits for logits, _ in results]), np.stack([quality for _, quality in results])


def _start(request: openvino.InferRequest, frame: FloatArray) -> openvino.InferRequest:
    """Start a request on a copy of one input, float32 (1, size, size), and return the request."""
    request.set_input_tensor(openvino.Tensor(np.ascontiguousarray(frame[None])))
    request.start_async()
    return request


def _result(request: openvino.InferRequest) -> tuple[FloatArray, FloatArray]:
    """Wait for a request and return its logits float32 (S, size/4, size/4) and quality float32 (S,)."""
    _wait(request)
    return request.get_tensor("logits").data[0].copy(), request.get_tensor("quality").data[0].copy()


def _infer(request: openvino.InferRequest, *inputs: FloatArray) -> None:
    """Compute the outputs of a request."""
    for i, array in enumerate(inputs):
        request.set_input_tensor(i, openvino.Tensor(np.ascontiguousarray(array)))
    request.start_async()
    _wait(request)


def _wait(request: openvino.InferRequest) -> None:
    """Wait for a request.

    Raises:
        StudentError: It does not end, or failed.
    """
    try:
        ended = request.wait_for(round(LONGEST_S * 1000))
    except RuntimeError as error:
        raise StudentError(f"the student cannot be computed ({error})", remedy="Choose another student.") from error
    if not ended:
        _end(request)
        raise StudentError(
            f"the student did not finish one frame in {LONGEST_S:g} s",
            remedy="Choose another student, or close other programs and try again.",
        )


def _end(request: openvino.InferRequest) -> None:
    """Stop a request; its result is not wanted."""
    request.cancel()
    with suppress(RuntimeError):  # OpenVINO reports that it was cancelled
        request.wait_for(1000)


def _precision(core: openvino.Core, checkpoint: Checkpoint) -> str:
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if has_bf16 and checkpoint.precision.get("bf16", 0.0) >= AGREEMENT else "f32"


def _is_writable(folder: Path) -> bool:
    """Return whether compiled networks can be kept in a folder; the cache is optional, so failing is no error."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
