# SPDX-License-Identifier: Apache-2.0
"""The ONNX graphs of a student file: checked before anything is compiled, and joined with the file's weights.

A graph is a program. Those that are run here have no loops, no branches and no parts in other files, their shapes are
those of the student's config and schema, and what they compute is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]
from onnx import numpy_helper
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import LOGIT_STRIDE, STRIDE

Shape = tuple[int, ...]

_OPERATORS = frozenset(
    re.findall(
        r"\w+",
        """
        Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv
        ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Einsum Elu Equal Erf Exp Expand Flatten Floor Gather
        GatherElements Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GroupNormalization
        HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log
        LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mish Mod Mul Neg Not Or PRelu Pad Pow
        QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Slice
        Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh Tile Transpose Trilu
        Unsqueeze Where Xor
        """,
    )
)
"""What backbones, decoder and corrector are exported to: arithmetic on tensors, without control flow and chance."""
_MOST_NODES = 20_000
_CONSTANTS = (onnx.AttributeProto.TENSOR, onnx.AttributeProto.TENSORS)
_PLAIN = (
    onnx.AttributeProto.FLOAT,
    onnx.AttributeProto.INT,
    onnx.AttributeProto.STRING,
    onnx.AttributeProto.FLOATS,
    onnx.AttributeProto.INTS,
    onnx.AttributeProto.STRINGS,
)


def graph_with_weights(checkpoint: Checkpoint, part: str) -> bytes:
    """Return an ONNX graph with the checkpoint's weights as its initialisers.

    Args:
        checkpoint: The student.
        part: "propose", "int8", "encode", "correct" or "landmarks".

    Raises:
        StudentError: The file has no such graph, or one that is damaged or does more than a student need do.
    """
    data = {"propose": checkpoint.graph, "int8": checkpoint.int8, **checkpoint.prompted}.get(part, b"")
    if not data:
        raise StudentError(
            "the student has no graph for the CPU path", path=checkpoint.path, remedy="Export it with vfss-train."
        )
    serialised = b""
    try:
        model = onnx.load_model_from_string(data)
        fault = _fault(model) or _give_weights(model, checkpoint.tensors, own=part == "int8")
        if not fault:
            serialised = model.SerializeToString()
            # OpenVINO dies of a node without its inputs.
            onnx.checker.check_model(serialised, full_check=True)
    except (DecodeError, RuntimeError, ValueError, TypeError, ValidationError, InferenceError) as error:
        fault = f"it is damaged ({error})"
    if fault:
        raise StudentError(
            f"its graph {part!r} cannot be run: {fault}", path=checkpoint.path, remedy="Choose another student."
        )
    return serialised


def expected_shapes(checkpoint: Checkpoint, part: str) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Return the shapes of the inputs and of the outputs of a graph by name, in order; all are float32.

    Args:
        checkpoint: The student.
        part: "propose", "int8", "encode", "correct" or "landmarks".
    """
    config, n = checkpoint.config, len(checkpoint.schema)
    size, at4 = config.input_size, config.input_size // LOGIT_STRIDE
    frames: dict[str, Shape] = {"frames": (1, 1, size, size)}
    features: dict[str, Shape] = {
        "embedding": (1, config.width, size // STRIDE, size // STRIDE),
        "fine8": (1, config.channels8, size // 8, size // 8),
        "fine4": (1, config.channels8 // 2, at4, at4),
    }
    answers: dict[str, Shape] = {"logits": (1, n, at4, at4), "quality": (1, n)}
    if part == "encode":
        return frames, features
    if part == "landmarks":
        return features, {"heat": (1, config.landmark_head, at4, at4), "presence": (1, config.landmark_head)}
    if part == "correct":
        return {**features, "maps": (1, n + 4, at4, at4), "asked": (1, n)}, answers
    return frames, answers


def _fault(model: Any) -> str:
    """Return what a graph does that no student's graph does; empty for nothing."""
    graph = model.graph
    if len(model.functions) or len(model.training_info) or len(graph.sparse_initializer):
        return "it has functions, training or sparse weights"
    if any(entry.domain not in {"", "ai.onnx"} for entry in model.opset_import):
        return "it uses operators that are not of ONNX"
    if len(graph.node) > _MOST_NODES:
        return f"it has {len(graph.node):,} nodes, more than {_MOST_NODES:,}"
    names = [initializer.name for initializer in graph.initializer]
    if len(set(names)) < len(names):
        return "two of its weights have the same name"
    return next(filter(None, map(_fault_of_node, graph.node)), "")


def _fault_of_node(node: Any) -> str:
    if node.domain not in {"", "ai.onnx"} or node.op_type not in _OPERATORS:
        return f"a student does not compute {node.op_type!r}"
    for attribute in node.attribute:
        if attribute.type in _CONSTANTS:
            for tensor in _tensors(attribute):
                if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                    return f"{node.name!r} refers to another file"
                values = numpy_helper.to_array(tensor)  # ValueError where the shape is not that of the data
                # -inf stands where attention must not look.
                if values.dtype.kind == "f" and (np.isnan(values).any() or np.isposinf(values).any()):
                    return f"the constant {node.name!r} is NaN or infinite"
        elif attribute.type not in _PLAIN or not _is_finite(attribute):
            return f"{node.name!r} has an attribute {attribute.name!r} that no student has"
    return ""


def _tensors(attribute: Any) -> Iterator[Any]:
    if attribute.type == onnx.AttributeProto.TENSOR:
        yield attribute.t
    else:
        yield from attribute.tensors


def _is_finite(attribute: Any) -> bool:
    return bool(np.isfinite([attribute.f, *attribute.floats]).all())


def _give_weights(model: Any, tensors: Mapping[str, np.ndarray[Any, Any]], *, own: bool) -> str:
    """Fill the initialisers with the weights of the same names; return what is missing, empty for nothing.

    Args:
        model: The graph, changed.
        tensors: Weights by name.
        own: Whether an initialiser may have data of its own.
    """
    for initializer in model.graph.initializer:
        if own and _has_data(initializer):
            if initializer.data_location == onnx.TensorProto.EXTERNAL or initializer.external_data:
                return f"{initializer.name!r} refers to another file"
            values = numpy_helper.to_array(initializer)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                return f"the weights {initializer.name!r} are NaN or infinite"
            continue
        tensor = tensors.get(initializer.name)
        if tensor is None:
            return f"the file lacks its weights {initializer.name!r}"
        weights = tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor
        initializer.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(weights), initializer.name))
    return ""


def _has_data(initializer: Any) -> bool:
    fields = ("raw_data", "float_data", "int32_data", "int64_data", "external_data")
    return any(len(getattr(initializer, field)) for field in fields)
