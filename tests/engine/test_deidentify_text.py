# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vfss.clips import ArrayClip
from vfss.deidentify import PixelBox, Redaction
from vfss.deidentify.projections import project_clip
from vfss.deidentify.text_detection import TextDetector, find_text, merged
from vfss.phantom.overlays import font


def test_near_boxes_are_merged() -> None:
    line = [PixelBox(10, 10, 20, 40), PixelBox(12, 44, 22, 80), PixelBox(11, 30, 21, 50)]
    apart = PixelBox(60, 10, 70, 40)
    assert merged([line[0], apart, line[1], line[2]]) == [PixelBox(10, 10, 22, 80), apart]
    ruler, under = PixelBox(100, 480, 300, 490), PixelBox(298, 100, 310, 485)
    assert merged([ruler, under]) == [ruler, under]
    assert merged([PixelBox(10, 10, 60, 60), PixelBox(20, 20, 30, 40)]) == [PixelBox(10, 10, 60, 60)]
    assert merged([]) == []


def written(frame: np.ndarray, at: tuple[int, int], text: str, size: int, fill: int) -> np.ndarray:
    image = Image.fromarray(frame)
    ImageDraw.Draw(image).text(at, text, fill=fill, font=font(size))
    return np.array(image)


def test_text_on_a_few_frames_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the detector reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    rows = np.linspace(60, 150, 160)[:, None] + 20 * np.sin(np.arange(200) / 15)
    plain = rows.astype(np.uint8)
    always, later = written(plain, (8, 6), "NOVAK, Jana 1961", 12, 255), []
    later.append(written(always, (70, 130), "12.03.2019", 10, 0))
    frames = np.stack([always] * 20 + later + [always] * 20)
    frames[20] = later[0]
    clip = ArrayClip(frames)
    glance = project_clip(clip)
    assert glance is not None
    monkeypatch.setattr("vfss.deidentify.text_detection.EVENLY", 2)
    monkeypatch.setattr("vfss.deidentify.text_detection.CHANGED", 0)
    texts = find_text(clip, glance, TextDetector())
    assert texts is not None
    hidden = Redaction(tuple(text.box for text in texts)).pixels(np.full_like(plain, 255)) == 0
    ink = (frames != plain).any(axis=0)
    assert hidden[ink].mean() > 0.99 and hidden.mean() < 0.3
    assert {text.examined for text in texts} == {4}
    assert max(text.seen for text in texts) == 4 and min(text.seen for text in texts) == 1
