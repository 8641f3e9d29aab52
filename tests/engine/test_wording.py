# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from vfss.wording import count, figure, listed


def test_a_noun_agrees_with_its_number() -> None:
    assert [count(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert [count(n, "box", "boxes") for n in (1, 3)] == ["1 box", "3 boxes"]


def test_long_lists_are_shortened() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"


def test_a_missing_figure_is_a_dash() -> None:
    assert figure(0.91849, 3) == "0.918"
    assert figure(None, 3) == "-"
