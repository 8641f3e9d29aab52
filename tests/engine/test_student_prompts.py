# SPDX-License-Identifier: Apache-2.0
"""Prompts are values that survive being stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfss.errors import MaskError
from vfss.student.prompts import Box, Click, Prompts

_PLACE = st.floats(0, 4000, allow_nan=False)
_CLICKS = st.lists(st.builds(Click, _PLACE, _PLACE, st.booleans()), max_size=6)
_BOXES = st.one_of(st.none(), st.builds(Box.between, st.tuples(_PLACE, _PLACE), st.tuples(_PLACE, _PLACE)))


@given(_CLICKS, _BOXES)
def test_prompts_survive_json(clicks: list[Click], box: Box | None) -> None:
    prompts = Prompts(tuple(clicks), box)
    assert Prompts.from_dict(json.loads(json.dumps(prompts.to_dict()))) == prompts
    assert len(prompts) == len(clicks) + (box is not None)


def test_another_click_does_not_change_the_earlier_prompts() -> None:
    first = Prompts().with_click(Click(1, 2, True))
    second = first.with_click(Click(3, 4, False)).with_box(Box(0, 0, 5, 5))
    assert len(first) == 1 and len(second) == 3


@pytest.mark.parametrize("wrong", [{}, {"clicks": [[1]], "box": None}, {"clicks": [], "box": [1, 2]}])
def test_malformed_prompts_are_an_error(wrong: dict[str, object]) -> None:
    with pytest.raises(MaskError, match="malformed prompts"):
        Prompts.from_dict(wrong)


def test_a_box_is_the_right_way_round() -> None:
    with pytest.raises(MaskError):
        Box(5, 0, 1, 1)
