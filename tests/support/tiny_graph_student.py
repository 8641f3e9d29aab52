# SPDX-License-Identifier: Apache-2.0
"""A student file made without torch: a graph of a few nodes, with weights, config and schema that fit it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vfss.schema import Schema
from vfss.student.checkpoint import FORMAT, GRAPH, content_digest
from vfss.student.config import StudentConfig

SIZE = 32
_TYPES = {"<f2": "F16", "<f4": "F32", "<f8": "F64", "<i8": "I64", "<i4": "I32", "|u1": "U8", "|b1": "BOOL"}
SCHEMA = Schema.from_dict(
    {
        "id": "two",
        "version": "1",
        "title": "Two structures",
        "structures": [
            {"key": "bolus", "name": "Bolus", "colour": "#FF8C1A", "motion": "soft"},
            {"key": "mandible", "name": "Mandible", "colour": "#F2E24B", "motion": "rigid"},
        ],
    }
)
CONFIG = StudentConfig(backbone="mobilenetv3_small_050", input_size=SIZE, width=8, heads=1, depth=1, mlp_width=8)


def header() -> dict[str, str]:
    """Return the header without its checksum."""
    return {
        "format": FORMAT,
        "config": CONFIG.to_json(),
        "schema": json.dumps(SCHEMA.to_dict()),
        "provenance": json.dumps({"command": "test", "history": [{"from_step": 0}]}),
        "scores": json.dumps({"mean_dice": 0.5, "structures": {"bolus": {"dice": 0.5}}}),
        "precision": json.dumps({"bf16": 0.5}),
        "calibration": json.dumps({"curves": {"bolus": [[0.0, 0.1], [1.0, 0.9]]}, "measured": {"frames": 3}}),
        "learnt": json.dumps({"bolus": 3, "mandible": 2}),
    }


def tensors() -> dict[str, np.ndarray[Any, Any]]:
    """Return the weights: tokens that are not used, and a convolution."""
    random = np.random.default_rng(0)
    return {
        "decoder.mask_tokens.weight": np.zeros((len(SCHEMA), CONFIG.width), np.float16),
        "head.weight": random.normal(0, 1, (len(SCHEMA), 1, 1, 1)).astype(np.float16),
        "head.bias": np.zeros(len(SCHEMA), np.float32),
        "steps": np.array([3], np.int64),
    }


def graph(
    *, extra: tuple[onnx.NodeProto, ...] = (), size: int = SIZE, structures: int = len(SCHEMA)
) -> onnx.ModelProto:
    """Return the graph: the mean over 4 x 4 pixels, a convolution, and the mean of its sigmoid as quality.

    Args:
        extra: Nodes before all others.
        size: Side of the input that it declares.
        structures: Structures that it declares.
    """
    nodes = [
        *extra,
        helper.make_node("AveragePool", ["frames"], ["coarse"], "pool", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["coarse", "head.weight", "head.bias"], ["logits"], "head", kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["logits"], ["share"], "share"),
        helper.make_node("GlobalAveragePool", ["share"], ["mean"], "mean"),
        constant("shape", np.array([1, structures], np.int64)),
        helper.make_node("Reshape", ["mean", "shape"], ["quality"], "quality"),
    ]
    made = helper.make_graph(
        nodes,
        "propose",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 1, size, size])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, structures, size // 4, size // 4]),
            helper.make_tensor_value_info("quality", TensorProto.FLOAT, [1, structures]),
        ],
        [TensorProto(name="head.weight"), TensorProto(name="head.bias")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def constant(name: str, values: np.ndarray[Any, Any]) -> onnx.NodeProto:
    """Return a node that gives values."""
    return helper.make_node("Constant", [], [name], name, value=numpy_helper.from_array(values))


def packed(
    fields: dict[str, str], weights: dict[str, np.ndarray[Any, Any]], graph_bytes: bytes, *, digest: str | None = None
) -> bytes:
    """Return the bytes of a student file; its checksum is right unless another one is given."""
    every = {**weights, GRAPH: np.frombuffer(graph_bytes, np.uint8)}
    fields = {**fields, "digest": digest if digest is not None else content_digest(fields, every)}
    table: dict[str, Any] = {"__metadata__": fields}  # safetensors' own writer puts them in another order each time
    content = b""
    for name, array in every.items():
        offsets = [len(content), len(content) + array.nbytes]
        table[name] = {"dtype": _TYPES[array.dtype.str], "shape": list(array.shape), "data_offsets": offsets}
        content += array.tobytes()
    head = json.dumps(table).encode()
    return len(head).to_bytes(8, "little") + head + content


def student_bytes() -> bytes:
    """Return a student file that is right."""
    return packed(header(), tensors(), graph().SerializeToString())
