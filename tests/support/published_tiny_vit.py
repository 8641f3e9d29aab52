# SPDX-License-Identifier: Apache-2.0
"""Second implementation of TinyViT-5M with SAM's neck, written from the published names and shapes alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]
WIDTHS, DEPTHS, HEADS, WINDOWS = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)


def _convolution(name: str, out: int, inside: int, side: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.c.weight", (out, inside, side, side)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.bn.{part}", (out,)
    yield f"{name}.bn.num_batches_tracked", ()


def _vector_and_matrix(name: str, out: int, inside: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (out, inside)
    yield f"{name}.bias", (out,)


def _shapes(stem: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _convolution("patch_embed.seq.0", 32, 3, stem)
    yield from _convolution("patch_embed.seq.2", 64, 32, stem)
    for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        for block in (f"layers.{i}.blocks.{j}" for j in range(depth)):
            if i == 0:
                yield from _convolution(f"{block}.conv1", 4 * width, width, 1)
                yield from _convolution(f"{block}.conv2", 4 * width, 1, 3)
                yield from _convolution(f"{block}.conv3", width, 4 * width, 1)
                continue
            yield f"{block}.attn.attention_biases", (HEADS[i], WINDOWS[i] ** 2)
            for norm in ("attn.norm", "mlp.norm"):
                yield f"{block}.{norm}.weight", (width,)
                yield f"{block}.{norm}.bias", (width,)
            yield from _vector_and_matrix(f"{block}.attn.qkv", 3 * width, width)
            yield from _vector_and_matrix(f"{block}.attn.proj", width, width)
            yield from _vector_and_matrix(f"{block}.mlp.fc1", 4 * width, width)
            yield from _vector_and_matrix(f"{block}.mlp.fc2", width, 4 * width)
            yield from _convolution(f"{block}.local_conv", width, 1, 3)
        if i < 3:
            out = WIDTHS[i + 1]
            yield from _convolution(f"layers.{i}.downsample.conv1", out, width, 1)
            yield from _convolution(f"layers.{i}.downsample.conv2", out, 1, 3)
            yield from _convolution(f"layers.{i}.downsample.conv3", out, out, 1)
    if stem == 3:
        yield from (("norm_head.weight", (320,)), ("norm_head.bias", (320,)))
        yield from _vector_and_matrix("head", 1000, 320)
    yield from (("neck.0.weight", (256, 320, 1, 1)), ("neck.2.weight", (256, 256, 3, 3)))
    for norm in ("neck.1", "neck.3"):
        yield from ((f"{norm}.weight", (256,)), (f"{norm}.bias", (256,)))


def published_weights(stem: int, seed: int) -> Weights:
    """Return random weights under the published names, without the prefix image_encoder."""
    random = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for name, shape in _shapes(stem):
        values = torch.randn(shape, generator=random) * 0.2
        fan = max(1, values[0].numel()) if len(shape) > 1 else 1
        weights[name] = values / fan**0.5 * 3 if len(shape) > 1 else values
        if name.endswith(("running_var", "norm.weight", "bn.weight")):
            weights[name] = values.abs() + 0.5
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(0)
    return weights


def tiny_vit(weights: Weights, frames: Tensor, stem: int) -> Tensor:
    """Return features, float32 (N, 256, h, w), of frames, float32 (N, 3, H, W)."""
    stride = 2 if stem == 3 else 1
    x = functional.gelu(_convolved(weights, "patch_embed.seq.0", frames, stride))
    x = _convolved(weights, "patch_embed.seq.2", x, stride)
    for i, depth in enumerate(DEPTHS):
        for j in range(depth):
            x = (_mobile_block if i == 0 else _attention_block)(weights, f"layers.{i}.blocks.{j}", x, i)
        if i < 3:
            name = f"layers.{i}.downsample"
            x = functional.gelu(_convolved(weights, f"{name}.conv1", x))
            x = functional.gelu(_convolved(weights, f"{name}.conv2", x, 1 if i == 2 else 2))
            x = _convolved(weights, f"{name}.conv3", x)
    x = _normed(weights, "neck.1", functional.conv2d(x, weights["neck.0.weight"]), 1e-6)
    return _normed(weights, "neck.3", functional.conv2d(x, weights["neck.2.weight"], padding=1), 1e-6)


def _convolved(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.c.weight"]
    groups = x.shape[1] // kernel.shape[1]
    x = functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
    parts = [weights[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return functional.batch_norm(x, *parts)


def _normed(weights: Weights, name: str, x: Tensor, epsilon: float) -> Tensor:
    """Apply layer norm over the channels of (N, C, H, W)."""
    parts = (weights[f"{name}.weight"], weights[f"{name}.bias"])
    return functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], *parts, epsilon).permute(0, 3, 1, 2)


def _mobile_block(weights: Weights, name: str, x: Tensor, stage: int) -> Tensor:
    inner = functional.gelu(_convolved(weights, f"{name}.conv1", x))
    inner = functional.gelu(_convolved(weights, f"{name}.conv2", inner))
    return functional.gelu(x + _convolved(weights, f"{name}.conv3", inner))


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _attention_block(weights: Weights, name: str, x: Tensor, stage: int) -> Tensor:
    """Apply one block: attention in windows (the last ones padded with zeros), a local convolution, an MLP."""
    side, (height, width) = WINDOWS[stage], x.shape[2:]
    filled = functional.pad(x, (0, -width % side, 0, -height % side))
    out = torch.zeros_like(filled)
    for top, left in itertools.product(range(0, filled.shape[2], side), range(0, filled.shape[3], side)):
        window = filled[:, :, top : top + side, left : left + side]
        tokens = _attention(weights, f"{name}.attn", window.flatten(2).transpose(1, 2), stage)
        out[:, :, top : top + side, left : left + side] = tokens.transpose(1, 2).reshape(window.shape)
    x = _convolved(weights, f"{name}.local_conv", x + out[:, :, :height, :width])
    inner = _normed(weights, f"{name}.mlp.norm", x, 1e-5).permute(0, 2, 3, 1)
    inner = _linear(weights, f"{name}.mlp.fc2", functional.gelu(_linear(weights, f"{name}.mlp.fc1", inner)))
    return x + inner.permute(0, 3, 1, 2)


def _attention(weights: Weights, name: str, tokens: Tensor, stage: int) -> Tensor:
    """Apply attention to the tokens of a window, float32 (N, side^2, C); per head queries, keys and values in a row."""
    heads, side = HEADS[stage], WINDOWS[stage]
    norm = (weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"])
    mixed = _linear(weights, f"{name}.qkv", functional.layer_norm(tokens, tokens.shape[-1:], *norm))
    query, key, value = mixed.unflatten(-1, (heads, 3, -1)).permute(3, 0, 2, 1, 4)
    y, x = (axis.flatten() for axis in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    # Biases are numbered by the first occurrence of each pair of distances, row by row.
    distance = (y[:, None] - y).abs() * side + (x[:, None] - x).abs()
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + weights[f"{name}.attention_biases"][:, distance]
    attended = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
    return _linear(weights, f"{name}.proj", attended)
