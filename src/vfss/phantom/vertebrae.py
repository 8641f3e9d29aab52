# SPDX-License-Identifier: Apache-2.0
"""Outlines of the vertebrae from their proportions, upright, around the middle of the body; millimetres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vfss.phantom.geometry import Points, ellipse, normals, ribbon, smooth, smooth_open
from vfss.phantom.proportions import Atlas, Vertebra

_C3 = Vertebra()
_C2 = Vertebra(
    depth=15.0,
    front=17.0,
    back=13.5,
    slant=-0.5,
    dome=3.5,
    lip=3.0,
    beak=1.6,
    waist=2.0,
    root=0.5,
    length=31.0,
    droop=6.0,
    bend=1.0,
    thick_root=10.0,
    thick_middle=14.0,
    thick_tip=15.0,
    facet=0.32,
    drop=2.0,
)
USUAL_ATLAS = Atlas()
# Usual proportions from C2 down; the lowest stands for all thoracic vertebrae.
USUAL = (
    _C2,
    _C3,
    replace(_C3, depth=16.2, droop=18.0),
    replace(_C3, depth=16.5, length=26.5, droop=18.5),
    replace(_C3, depth=17.0, length=29.5, droop=20.0, thick_tip=7.0),
    replace(_C3, depth=17.5, front=12.0, length=32.0, droop=22.0, thick_tip=7.5),
    replace(_C3, depth=18.5, front=15.5, back=16.5, slant=1.5, lip=1.5, length=38.0, droop=42.0),
)


def usual(level: int) -> Vertebra:
    """Usual proportions of a vertebra, 2 is C2 and 8 the first thoracic one."""
    return USUAL[min(level - 2, len(USUAL) - 1)]


def body(shape: Vertebra) -> Points:
    """Control points of the vertebral body, float64 (11, 2)."""
    d = shape.depth / 2
    top, low = -0.4 * shape.front, 0.6 * shape.front
    rear = top - shape.slant
    return np.array(
        (
            (-d + 0.9, top),
            (-0.25 * d, top - 0.2 * shape.slant - shape.dome),
            (0.4 * d, top - 0.65 * shape.slant - 0.8 * shape.dome),
            (0.92 * d, rear),
            (d + 0.2, rear + 0.5 * shape.back),
            (d - 0.2, rear + shape.back),
            (0.25 * d, 0.6 * (rear + shape.back) + 0.4 * low),
            (-0.43 * d, low + 0.1 * shape.lip),
            (-d + 0.35, low + shape.lip),
            (-d - shape.beak, low + 0.25 * shape.lip - 0.6),
            (-d + shape.waist, 0.5 * (top + low)),
        )
    )


def arch_line(shape: Vertebra, share: tuple[float, ...]) -> Points:
    """Points on the middle of arch and spinous process, 0 at the back of the body, 1 at the tip, float64 (N, 2)."""
    s = np.asarray(share, np.float64)
    angle = np.deg2rad(shape.droop)
    along = np.stack([s * np.cos(angle), s * np.sin(angle)], axis=1) * shape.length
    across = 4 * s * (1 - s) * shape.bend
    start = (0.5 * shape.depth + 2.0, shape.root)
    return np.asarray(along + across[:, None] * np.array((-np.sin(angle), np.cos(angle))) + start)


def arch(shape: Vertebra) -> Points:
    """Control points of pillar, lamina and spinous process, float64 (16, 2)."""
    at = shape.facet
    share = (0.0, max(0.05, at - 0.17), at, at + 0.11, 0.5 + 0.4 * at, 0.8, 1.0)
    line = arch_line(shape, share)
    half = 0.5 * np.interp(share, (0, 0.2, 0.5, 0.9, 1), _thickness(shape))
    off = normals(line) * half[:, None]
    upper, lower = line + off, line - off
    inward = -off / np.maximum(half, 1e-6)[:, None]
    d = 0.5 * shape.depth
    start = np.array(((0.6 * d, -0.4 * shape.front - 0.85 * shape.slant),))
    end = line[-1] - line[-2]
    tip = line[-1:] + (0.35 - shape.fork) * shape.thick_tip * end / np.hypot(*end)
    under = np.array(
        (
            lower[3] + 0.15 * shape.drop * inward[3],
            lower[2] + shape.drop * (inward[2] + 0.12 * end / np.hypot(*end)),
            lower[1] + 0.35 * shape.drop * inward[1],
            (d + 1.2, lower[1, 1] - shape.notch),
            (0.6 * d, 2.0),
        )
    )
    return np.concatenate([start, upper[[1, 2, 4, 5, 6]], tip, lower[[6, 5, 4]], under])


def _thickness(shape: Vertebra) -> tuple[float, ...]:
    root, middle, tip = shape.thick_root, shape.thick_middle, shape.thick_tip
    return (root, root, middle, tip, 0.75 * tip)


def atlas(shape: Atlas) -> list[Points]:
    """Outlines of the atlas: mass, bridge and tubercle."""
    front, rear = shape.front, shape.rear
    mass = np.array(
        (
            (-front, -0.15 * shape.above),
            (-0.72 * front, -0.82 * shape.above),
            (-0.25 * front, -shape.above),
            (0.35 * rear, -shape.crest),
            (0.85 * rear, -0.55 * shape.crest),
            (rear, 0.15 * shape.keel + 0.5 * shape.sag),
            (0.65 * rear, 0.75 * shape.keel),
            (0.2 * rear, shape.keel),
            (-0.4 * front, shape.below),
            (-0.85 * front, 0.8 * shape.below + shape.nose),
        )
    )
    line = smooth_open(
        np.array(((0.4 * rear, 0.5 * shape.sag), (0.5 * (rear + shape.length), shape.sag), (shape.length, shape.sag)))
    )
    knob = ellipse((shape.length, shape.sag - shape.rise), (shape.knob_width, shape.knob), 20)
    return [smooth(mass), ribbon(line, 0.5 * shape.bridge), knob]
