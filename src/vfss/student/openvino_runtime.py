# SPDX-License-Identifier: Apache-2.0
"""Run a student on a CPU: OpenVINO on the graph in its file. No torch here: it cannot be imported beside Qt."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint
from vfss.student.compiled_graph import compile_graph
from vfss.student.cpu_choice import BUDGET_S, CpuChoices, fastest
from vfss.student.refinement import Encoded

FloatArray = npt.NDArray[np.float32]

AGREEMENT = 0.999
"""Share of pixels that must stay as they are in f32 for bf16 to be used."""
KEPT_DICE = 0.997
"""What int8 must keep of the mean Dice to be used: it may lose 0.3 points."""
SLOW_S = 0.03
"""Time of a pass in other precisions from which int8 is used: it names one vertebra in a hundred of film wrong more."""
LONGEST_S = 120.0
"""Time after which a frame is given up; the default student needs a tenth of a second on a slow processor."""
PRECISIONS = ("bf16", "f32", "int8")
"""The one that is taken where none can be timed first; another must be clearly faster."""
CLIP_WAYS = ("one by one", "side by side")
"""How the frames of a clip are computed: each on all cores, or several at a time on one core each."""
PRECISION_VARIABLE, CLIP_VARIABLE = "VFSS_PRECISION", "VFSS_CLIP_FRAMES"
"""Environment variables that take the place of timing."""


class OpenVinoRuntime:
    """The network, compiled for this processor.

    The precision, and how frames of clips are computed, are chosen by timing once and kept in the cache. One runtime
    has one precision, so that the masks of a clip never mix two.

    Attributes:
        device: "cpu (f32)", "cpu (bf16)" or "cpu (int8)".
        batch: 1: the graph takes one frame, since a person waits for the latency of one.
    """

    batch = 1

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        precision: str | None = None,
        clip_frames: str | None = None,
        cache: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """Compile the network, or load the compiled network from the cache.

        Args:
            checkpoint: Student to run.
            precision: "f32", "bf16" or "int8"; None: that of VFSS_PRECISION; without it the fastest one, bf16 only if
                the processor has it and the student's masks agree with f32, int8 only if the file has it, it was
                measured to lose hardly any Dice, and the others are slow.
            clip_frames: "one by one" or "side by side"; None: that of VFSS_CLIP_FRAMES; without it the faster one.
            cache: Folder for compiled networks and choices; None: keep none, and time nothing.
            threads: Threads to compute with; None: one per core.

        Raises:
            StudentError: The file has no graph, or one that OpenVINO cannot run, or there is no such precision or way.
        """
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        kept = cache if cache is not None and _is_writable(cache) else None
        if kept is not None:
            options["CACHE_DIR"] = str(kept)
        self._n_parallel = threads if threads is not None else max(1, os.cpu_count() or 1)
        self._checkpoint, self._options, self._times = checkpoint, options, kept is not None
        self._clip_frames = _wanted(clip_frames, CLIP_VARIABLE, CLIP_WAYS)
        allowed = allowed_precisions(checkpoint)
        graph = hashlib.blake2b(checkpoint.graph + checkpoint.int8, digest_size=20).hexdigest()
        depends_on = (graph, allowed, self._n_parallel, processor_name(), openvino.__version__)
        self._choices = CpuChoices(kept, depends_on)
        wanted = _wanted(precision, PRECISION_VARIABLE, PRECISIONS)
        if wanted is None:
            wanted = self._choices.known("precision", allowed) if len(allowed) > 1 else allowed[0]
        started = time.perf_counter()
        self._precision = wanted or allowed[0]
        self._single = self._compiled(self._precision)
        self._compile_s = time.perf_counter() - started
        if wanted is None and self._may_time():
            self._precision, self._single = self._fastest_precision(allowed)
        self._request = self._single.create_infer_request()
        self._parallel: openvino.CompiledModel | None = None
        self._prompt_requests: dict[str, openvino.InferRequest] = {}
        self._compiling = threading.Lock()
        self.device = f"cpu ({self.precision})"

    @property
    def precision(self) -> str:
        """What the network is computed in: f32 too where processor or file lack the precision that was asked for."""
        if self._is_int8(self._precision):
            return "int8"
        return "bf16" if self._single.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16 else "f32"

    def _is_int8(self, precision: str) -> bool:
        return precision == "int8" and bool(self._checkpoint.int8)

    def _compiled(self, precision: str, **options: str | int) -> openvino.CompiledModel:
        part, hint = ("int8", "f32") if self._is_int8(precision) else ("propose", precision.replace("int8", "f32"))
        return compile_graph(self._checkpoint, part, {**self._options, "INFERENCE_PRECISION_HINT": hint, **options})

    def _fastest_precision(self, allowed: tuple[str, ...]) -> tuple[str, openvino.CompiledModel]:
        """Return the fastest of some precisions and its network, and remember it; the first of them is compiled."""
        networks = {one: self._compiled(one) if i else self._single for i, one in enumerate(allowed) if one != "int8"}
        chosen, times = fastest({one: partial(_compute, network, 1) for one, network in networks.items()})
        if "int8" in allowed and times[chosen] >= SLOW_S:
            networks["int8"] = self._compiled("int8")
            ways = {one: partial(_compute, networks[one], 1) for one in (chosen, "int8")}
            chosen, again = fastest(ways)
            times |= again
        self._choices.keep("precision", chosen, times)
        kept = self._choices.known("precision", allowed) or chosen  # another process may have chosen first
        return kept, networks[kept] if kept in networks else self._compiled(kept)

    def _may_time(self) -> bool:
        """Return whether another network can be compiled and timed without keeping a person waiting for long."""
        return self._times and self._compile_s < BUDGET_S / 2

    def _clip_network(self) -> tuple[openvino.CompiledModel, int]:
        """Return the network to compute the frames of a clip with, and how many are under way at a time.

        Where frames are computed one by one the next one waits in OpenVINO's queue, so that no core is idle while the
        caller takes a result.
        """
        n = self._n_parallel
        with self._compiling:
            way = self._clip_frames
            if way is None:
                way = CLIP_WAYS[0] if n == 1 else self._choices.known("clip_frames", CLIP_WAYS)
            if way is None and self._may_time():
                networks = {CLIP_WAYS[0]: (self._single, 2), CLIP_WAYS[1]: (self._side_by_side(n), n)}
                ways = {one: partial(_compute, network, m, 2 * n) for one, (network, m) in networks.items()}
                way, times = fastest(ways)
                self._choices.keep("clip_frames", way, times)
            self._clip_frames = way = way or CLIP_WAYS[0]
            return (self._single, 2) if way == CLIP_WAYS[0] else (self._side_by_side(n), n)

    def _side_by_side(self, n: int) -> openvino.CompiledModel:
        """Return the network compiled for n frames at a time, one core each."""
        if self._parallel is None:
            streams: dict[str, str | int] = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": n}
            self._parallel = self._compiled(self.precision, **streams, INFERENCE_NUM_THREADS=n)
        return self._parallel

    def run_each(self, inputs: Iterable[FloatArray]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield logits and quality of each input, in order.

        Meanwhile the next inputs are prepared in the caller's thread: OpenVINO has threads of its own, and a second
        Python thread in its Python layer can wait for the first one for ever.

        Args:
            inputs: float32 (1, size, size) each.
        """
        yield from _results(*self._clip_network(), inputs)

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

    def landmarks(self, features: Encoded) -> tuple[FloatArray, FloatArray]:
        """Return heat maps float32 (L, size/4, size/4) and presence float32 (L,); see PromptRuntime."""
        request = self._prompt_request("landmarks")
        _infer(request, *features)
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


def _results(
    network: openvino.CompiledModel, n: int, inputs: Iterable[FloatArray]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield the results of inputs, float32 (1, size, size), in order, up to n of them under way at a time."""
    free = [network.create_infer_request() for _ in range(n)]
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


def _compute(network: openvino.CompiledModel, n: int, frames: int = 1) -> None:
    """Compute empty frames, n at a time: what a frame shows does not change the time."""
    empty = np.zeros(tuple(network.inputs[0].shape)[1:], np.float32)
    for _ in _results(network, n, [empty] * frames):
        pass


def allowed_precisions(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the precisions that processor and file have and in which a student does as in f32, as in PRECISIONS."""
    allowed = {
        "bf16": has_bf16() and checkpoint.precision.get("bf16", 0.0) >= AGREEMENT,
        "f32": True,
        "int8": bool(checkpoint.int8) and checkpoint.precision.get("int8", 0.0) >= KEPT_DICE,
    }
    return tuple(precision for precision in PRECISIONS if allowed[precision])


def has_bf16() -> bool:
    """Return whether this processor computes in bf16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def processor_name() -> str:
    """Return the name of this processor."""
    return str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"))


def _wanted(argument: str | None, variable: str, options: tuple[str, ...]) -> str | None:
    """Return what an argument, or else an environment variable, asks for; None for nothing.

    Raises:
        StudentError: It is none of the options.
    """
    wanted = argument if argument is not None else os.environ.get(variable) or None
    if wanted is not None and wanted not in options:
        raise StudentError(
            f"a student cannot be computed {wanted!r}",
            remedy=f"Set {variable} to one of {', '.join(map(repr, options))}, or unset it.",
        )
    return wanted


def _is_writable(folder: Path) -> bool:
    """Return whether compiled networks can be kept in a folder; the cache is optional, so failing is no error."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
