# SPDX-License-Identifier: Apache-2.0
"""Scores of levels, pieces and false bolus, and the cutting of films: on made-up pictures, on real films if present."""

import importlib
import json
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vfss.errors import VfssError
from vfss.schema import Schema

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("C2p", "C2m", "C2a", "C3up", "C3ua", "C3lp", "C3m", "C3la", "C4up", "C4ua", "C4lp", "C4m", "C4la")


@pytest.fixture(scope="module", autouse=True)
def _found_beside_each_other():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield


@pytest.fixture
def films() -> ModuleType:
    return importlib.import_module("cephalograms")


@pytest.fixture
def scores() -> ModuleType:
    return importlib.import_module("level_scores")


@pytest.fixture
def levels() -> ModuleType:
    return importlib.import_module("levels")


def points(x: float, y: float) -> dict[str, list[float]]:
    """An upright neck facing right: bodies 40 px wide and 30 px high with 10 px between them, C3 from row y."""
    rows = {"C2": y - 10, "C3u": y, "C3l": y + 30, "C4u": y + 40, "C4l": y + 70, "C3": y + 30, "C4": y + 70}
    columns = {"p": x - 40, "m": x - 20, "a": x}
    return {name: [columns[name[-1]], rows[name[:-1]]] for name in NAMES}


def film(films: ModuleType, x: float = 300, y: float = 400):
    grey = np.random.default_rng(1).integers(0, 256, (800, 640)).astype(np.uint8)
    return films.Film("made up", grey, films.Neck.of(points(x, y)))


def plane(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[rows, columns] = True
    return mask


def test_a_neck_has_three_bodies_and_its_length(films):
    neck = films.Neck.of(points(300, 400))
    assert neck.length == 80
    assert neck.middle.tolist() == [300, 435]
    assert neck.bodies["c3"].mean(axis=0).tolist() == [280, 415]
    assert neck.bodies["c2"].mean(axis=0).tolist() == [280, 381]
    assert neck.corners["c4"].tolist() == [300, 470]


LOOKS = st.tuples(
    st.sampled_from(("tight", "middle", "wide")),
    st.floats(-1.5, 1.5),
    st.floats(-0.5, 0.5),
    st.sampled_from(("right", "left")),
    st.sampled_from(("white", "dark")),
)


@settings(max_examples=25, deadline=None)
@given(chosen=LOOKS, y=st.integers(100, 700))
def test_marks_stay_on_what_they_mark(chosen, y):
    films = importlib.import_module("cephalograms")
    one = film(films, y=y)
    x, y = one.neck.corners["c4"]
    one.grey[:] = 100
    one.grey[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = 255
    view = films.cut(one, films.Look(*chosen))
    assert max(view.frame.shape) == films.SIDE_PX
    light = view.frame if view.look.bone == "white" else 255 - view.frame
    if "c4" in view.corners and view.frame.shape[0] - 30 > view.corners["c4"][1] > 30:
        rows, columns = np.nonzero(light > 200)
        assert np.abs(view.corners["c4"] - (columns.mean(), rows.mean())).max() < 1.0


def test_bodies_cut_by_the_border_do_not_count(films):
    view = films.cut(film(films), films.Look("tight", down=-2.2))
    assert set(view.bodies) == {"c2", "c3"}
    view = films.cut(film(films), films.Look("middle"))
    assert set(view.bodies) == {"c2", "c3", "c4"}
    assert view.frame.shape == (512, 512)
    assert np.hypot(*(view.corners["c4"] - view.corners["c2"])) == pytest.approx(view.length, rel=0.01)


def test_a_film_without_marks_needs_a_place(films):
    one = film(films)
    bare = films.Film("bare", one.grey, None)
    with pytest.raises(VfssError, match="no marks"):
        films.cut(bare, films.Look("middle"))
    middle, length = films.usual_neck([one, bare])
    view = films.cut(bare, films.Look("middle"), middle, length)
    assert (view.frame == films.cut(one, films.Look("middle")).frame).all()
    assert not view.bodies


def test_films_are_read_with_their_marks(films, tmp_path):
    for name in ("001.jpg", "005.jpg"):
        Image.fromarray(np.zeros((60, 40), np.uint8)).save(tmp_path / name)
    with pytest.raises(VfssError, match=r"no levels\.json"):
        films.read_films(tmp_path)
    (tmp_path / "levels.json").write_text(json.dumps({"points": {"005.jpg": points(20, 30)}}), "utf-8")
    bare, marked = films.read_films(tmp_path)
    assert (bare.neck, marked.neck.length) == (None, 80)


def test_the_vertebra_with_most_pixels_names_a_body(scores):
    body = plane(40, 40, slice(10, 20), slice(10, 20))
    vertebrae = np.zeros((7, 40, 40), np.bool_)
    assert scores.named(vertebrae, body) is None
    vertebrae[2, 10:12, 10:20] = True
    assert scores.named(vertebrae, body) is None  # a fifth of the body
    vertebrae[2, 10:14, 10:20] = True
    vertebrae[3, 14:20, 10:20] = True
    assert scores.named(vertebrae, body) == 3
    vertebrae[2, 20:40] = True  # outside the body
    assert scores.named(vertebrae, body) == 3


@pytest.mark.parametrize(
    ("found", "outcome"), [(2, "right"), (3, "one_high"), (1, "one_low"), (4, "other"), (None, "missed")]
)
def test_outcomes_of_c3(scores, found, outcome):
    assert scores.outcome(found, 2) == outcome


def test_shares_are_by_level_and_group_with_persons_as_units(scores):
    rows = [
        scores.Named(person, level, outcome, {"bone": bone})
        for person, level, outcome, bone in (
            ("a", "c3", "right", "white"),
            ("a", "c3", "right", "dark"),
            ("b", "c3", "one_high", "white"),
            ("b", "c3", "missed", "dark"),
            ("b", "c4", "right", "white"),
        )
    ]
    table = scores.by_group(rows, ("c2", "c3", "c4"))
    assert table["c2"] == {"all": {"views": 0}}
    c3 = table["c3"]["all"]
    assert (c3["views"], c3["persons"], c3["right"], c3["one_high"], c3["missed"]) == (4, 2, 0.5, 0.25, 0.25)
    assert c3["right_ci95"] == [0.0, 1.0]  # of two persons one is always right and the other never
    assert table["c3"]["bone"]["dark"]["missed"] == 0.5
    assert table["c4"]["bone"] == {"white": table["c4"]["all"]}


def test_an_interval_is_over_persons(scores):
    always, never = np.full(10, 4.0), np.zeros(10)
    counts = np.full(20, 4.0)
    low, high = scores.interval(np.concatenate([always, never]), counts)
    assert 0.2 < low < 0.35
    assert 0.65 < high < 0.8
    assert scores.interval(0.5 * counts, counts) == (0.5, 0.5)
    # A person with few views weighs little.
    assert scores.interval([0, 30, 30], [1, 30, 30])[1] == 1.0


def test_pieces_are_counted_with_and_without_specks(scores):
    mask = plane(60, 60, slice(0, 10), slice(0, 10)) | plane(60, 60, slice(10, 20), slice(10, 20))
    assert scores.pieces(mask) == 1  # they touch at a corner
    mask[40, 40] = True
    assert scores.pieces(mask) == 2
    assert scores.pieces(mask, least=2) == 1
    assert scores.pieces(np.zeros((5, 5), np.bool_)) == 0


def test_pixels_of_two_vertebrae_are_counted(scores):
    both = np.stack([plane(20, 20, slice(0, 10), slice(0, 20)), plane(20, 20, slice(8, 20), slice(0, 20))])
    assert scores.doubly_claimed(both) == (40, 400)


def test_measure_scores_any_way_of_proposing(films, levels):
    """Proposals that know the truth are right; the same with all numbers one too high are not."""
    schema = Schema.load()
    one = film(films)

    def painted(frame, *, shift: int):
        view = next(v for v in material.views if v[1].frame is frame)[1]
        planes = np.zeros((12, *frame.shape), np.bool_)
        top, bottom = view.bodies["c3"][:, 1].min(), view.bodies["c3"][:, 1].max()
        for number in range(7):
            at = round(top + (bottom - top) * 4 / 3 * (number - 2))
            if number + shift < 7:
                planes[schema[f"c{number + shift + 1}"].index, max(at, 0) : max(at + round(bottom - top), 0)] = True
        return planes

    looks = tuple(films.looks(("middle",), down=(0.0,)))
    assert len(looks) == 8
    views = tuple((one.name, films.cut(one, look)) for look in looks)
    material = levels.Material(views, views, {"clip": tuple(view.frame for _, view in views)})
    right = levels.measure(lambda frame: painted(frame, shift=0), schema, material)
    assert [right["levels"][level]["all"]["right"] for level in ("c2", "c3", "c4")] == [1, 1, 1]
    assert right["levels"]["c4"]["facing"]["left"]["views"] == 4
    assert right["false_bolus"]["share"] == 0
    assert right["pieces"]["clip"]["in_pieces"] == 0
    wrong = levels.measure(lambda frame: painted(frame, shift=1), schema, material)
    assert wrong["levels"]["c3"]["all"]["one_high"] == 1


def test_bolus_counts_from_the_size_of_a_speck(films, levels):
    schema, one = Schema.load(), film(films)
    views = tuple((f"{i}", films.cut(one, films.Look("middle", forward=i / 10))) for i in range(4))
    material = levels.Material(views, views, {})

    def proposing(side: int, where: int):
        def propose(frame):
            planes = np.zeros((12, *frame.shape), np.bool_)
            if frame is views[where][1].frame:
                planes[schema["bolus"].index, :side, :side] = True
            return planes

        return propose

    assert levels.measure(proposing(6, 2), schema, material)["false_bolus"]["share"] == 0.25
    assert levels.measure(proposing(5, 2), schema, material)["false_bolus"]["share"] == 0


@pytest.mark.skipif("VFSS_SHARED" not in os.environ, reason="VFSS_SHARED names no folder with the films")
def test_the_films_are_there_with_their_marks(films, levels):
    folder = Path(os.environ["VFSS_SHARED"]) / "data" / "cephalograms"
    found = films.read_films(folder)
    assert (len(found), sum(one.neck is not None for one in found)) == (100, 17)
    whole, quick = (levels.gather(found, {}, quick=quick) for quick in (False, True))
    assert len(whole.views) == 17 * 72
    assert len(whole.bolus) == 200
    assert len(quick.views) == 17 * 6
    assert {view.look.facing for _, view in quick.views} == {"left", "right"}
    assert {view.look.bone for _, view in quick.views} == {"white", "dark"}


def test_corners_are_scored_in_marked_lengths(scores):
    groups = {"bone": "white"}
    rows = [
        scores.Corners("a", {"c2": 0.02, "c4": 0.04}, 1.1, True, groups),
        scores.Corners("b", {"c2": 0.06}, None, False, groups),
    ]
    table = scores.corner_table(rows, ("c2", "c4"))
    assert (table["all"]["c2"]["found"], table["all"]["c2"]["mean"], table["all"]["c2"]["median"]) == (2, 0.04, 0.04)
    assert (table["all"]["c4"]["found"], table["all"]["length"]["mean"]) == (1, 1.1)
    assert table["levels_right"]["views"] == 1
    assert table["levels_right"]["c2"]["mean"] == 0.02
    assert scores.corner_table([], ("c2",))["all"] == {
        "views": 0,
        "persons": 0,
        "c2": {"found": 0},
        "length": {"found": 0},
    }
