# SPDX-License-Identifier: Apache-2.0
"""napari sample data: phantom swallows, made on this computer when first opened."""

from __future__ import annotations

from typing import Any

from vfss.sample_clips import sample_path

LayerData = tuple[Any, dict[str, Any], str]


def normal() -> list[LayerData]:
    """Return a swallow without a finding."""
    return _layers("normal")


def aspiration() -> list[LayerData]:
    """Return a swallow with aspiration: bolus in the airway."""
    return _layers("aspiration")


def _layers(key: str) -> list[LayerData]:
    from napari_vfss.reader import clip_layers

    return clip_layers(sample_path(key))
