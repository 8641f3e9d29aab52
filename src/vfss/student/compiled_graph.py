# SPDX-License-Identifier: Apache-2.0
"""Compile a student's graph with OpenVINO, once its shapes and its cost are known to be those of a student."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import openvino

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint
from vfss.student.graphs import Shape, expected_shapes, graph_with_weights

_LARGEST = 1 << 28
"""Values of one tensor; the largest of the default student has 7 million."""
_MOST_VALUES = 1 << 32
"""Values of all tensors together; the default student has 176 million."""
_MOST_PRODUCTS = 1 << 39
"""Multiplications for one frame; the default student has a few thousand million."""

_KERNEL = {
    "Convolution": 1,
    "GroupConvolution": 2,
    "ConvolutionBackpropData": 1,
    "GroupConvolutionBackpropData": 2,
}
"""Axes of a kernel's shape from this one on are multiplied for each value."""
_MULTIPLYING = {"MatMul", "Einsum", *_KERNEL}


def compile_graph(checkpoint: Checkpoint, part: str, options: Mapping[str, str | int]) -> openvino.CompiledModel:
    """Compile a graph of a student for the processor.

    Args:
        checkpoint: The student.
        part: "propose", "int8", "encode", "correct" or "landmarks".
        options: OpenVINO's options.

    Raises:
        StudentError: The graph is missing, damaged, of other shapes than config and schema require, or too costly.
    """
    data = graph_with_weights(checkpoint, part)
    core = openvino.Core()
    try:
        model = core.read_model(data)
        fault = _fault(model, *expected_shapes(checkpoint, part))
        if not fault:
            return core.compile_model(model, "CPU", dict(options))
    except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise StudentError(
            f"OpenVINO cannot run its graph {part!r} ({error})", path=checkpoint.path, remedy="Choose another student."
        ) from error
    raise StudentError(
        f"its graph {part!r} does not fit its config and schema: {fault}",
        path=checkpoint.path,
        remedy="Choose another student.",
    )


def _fault(model: openvino.Model, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> str:
    """Return how a graph differs from what is expected; empty if it does not."""
    for kind, ports, expected in (("input", model.inputs, inputs), ("output", model.outputs, outputs)):
        if len(ports) != len(expected):
            return f"{len(ports)} {kind}s, not {len(expected)}"
        for port, (name, shape) in zip(ports, expected.items(), strict=True):
            found = port.get_partial_shape()
            if name not in port.get_names() or port.get_element_type() != openvino.Type.f32:
                return f"{kind} {port.get_names()} of type {port.get_element_type()}, not {name} of float32"
            if not found.is_static or tuple(found.to_shape()) != shape:
                return f"{kind} {name} has shape {found}, not {shape}"
    return _cost_fault(model)


def _cost_fault(model: openvino.Model) -> str:
    values = products = 0
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind == "Constant":  # no larger than the file
            continue
        for i in range(node.get_output_size()):
            shape = node.get_output_partial_shape(i)
            if not shape.is_static:
                return f"the shape {shape} of {node.get_friendly_name()!r} is not known before it is run"
            n = prod(_extent(shape))
            if n > _LARGEST:
                return f"{node.get_friendly_name()!r} has {n:,} values, more than {_LARGEST:,}"
            values += n
        if kind in _MULTIPLYING:
            products += _products(node, kind)
    if values > _MOST_VALUES or products > _MOST_PRODUCTS:
        return f"{values:,} values and {products:,} multiplications for one frame"
    return ""


def _extent(shape: Any) -> Shape:
    """Return a static shape of OpenVINO as a tuple; through its text, which is ten times as fast as its numbers."""
    text = str(shape)[1:-1]
    return tuple(map(int, text.split(","))) if text else ()


def _products(node: Any, kind: str) -> int:
    """Return the multiplications of a node whose cost is not proportional to its output."""
    shapes = [_extent(node.get_input_partial_shape(i)) for i in range(node.get_input_size())]
    result = _extent(node.get_output_partial_shape(0))
    if kind == "MatMul":
        columns = -2 if node.get_attributes()["transpose_a"] and len(shapes[0]) > 1 else -1
        return prod(result) * shapes[0][columns]
    if kind == "Einsum":
        return _products_of_sum(node.get_attributes()["equation"], shapes)
    pixels = shapes[0] if kind.endswith("BackpropData") else result
    return prod(pixels) * prod(shapes[1][_KERNEL[kind] :])


def _products_of_sum(equation: str, shapes: list[Shape]) -> int:
    """Return the multiplications of an Einsum: one for each combination of its indices."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if any(len(term) != len(shape) for term, shape in zip(terms, shapes, strict=True)):  # with "..."
        return prod(map(prod, shapes))
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        sizes.update(zip(term, shape, strict=True))
    return prod(sizes.values())
