# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.errors import VfssError
from vfss.phantom import STYLES, Phantom, random_frame
from vfss.phantom.geometry import ellipse, plane
from vfss.phantom.motion import VARIANTS, moment
from vfss.phantom.passage import Site
from vfss.phantom.xray import Screen
from vfss.schema import Schema

SCHEMA = Schema.load("vfss12")
INDEX = {key: i for i, key in enumerate(SCHEMA.keys)}
SIZE = 128


def made(seed: int, **options: object) -> Phantom:
    settings_ = {"n_frames": 60, "height": SIZE, "width": SIZE} | options
    return Phantom(seed, **settings_)  # type: ignore[arg-type]


def centre(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return row and column of the centre."""
    return np.argwhere(mask).mean(axis=0)


def truth_in_millimetres(phantom: Phantom, t: int, key: str) -> npt.NDArray[np.bool_]:
    """Return a structure on a grid of 2 mm around the patient, not limited by picture, field or shoulder."""
    scene = phantom.patient.scene(float(phantom.times_s[t]))
    return plane([(outline + 150) / 2 for outline in scene.truth[key]], 250, 200)


SHAPES = st.tuples(st.integers(48, 150), st.integers(48, 150), st.integers(1, 90), st.sampled_from((7.5, 15.0, 30.0)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), shape=SHAPES, style=st.sampled_from(sorted(STYLES)), data=st.data())
def test_any_phantom_gives_frames_and_planes_of_its_size(
    seed: int, shape: tuple[int, int, int, float], style: str, data: st.DataObject
) -> None:
    height, width, n_frames, fps = shape
    phantom = Phantom(seed, n_frames=n_frames, height=height, width=width, fps=fps, style=style)
    t = data.draw(st.integers(0, n_frames - 1))
    frame, planes, visible = phantom.sample(t)
    assert frame.shape == (height, width)
    assert frame.dtype == np.uint8
    assert planes.shape == (len(SCHEMA), height, width)
    assert planes.dtype == np.bool_
    assert visible.shape == (len(SCHEMA),)
    assert not planes[~visible].any()
    assert not planes[:, ~phantom.screen.field].any()
    assert (planes.any(axis=(1, 2)) == visible)[np.arange(len(SCHEMA)) != INDEX["bolus"]].all()
    assert len(np.unique(frame)) > 8
    assert phantom.times_s.shape == (n_frames,)
    assert phantom.times_s[0] == 0
    assert phantom.variant in VARIANTS
    first, last = phantom.swallow
    assert 0 <= first <= last < n_frames


def test_same_arguments_same_clip_in_any_order() -> None:
    forward, backward = made(4), made(4)
    frames = [forward.frame(t) for t in (0, 20, 59)]
    planes = [forward.planes(t) for t in (0, 20, 59)]
    for t, frame, masks in reversed(list(zip((0, 20, 59), frames, planes, strict=True))):
        assert np.array_equal(backward.planes(t), masks)
        assert np.array_equal(backward.frame(t), frame)
    assert not np.array_equal(frames[0], made(5).frame(0))
    frame, planes_, visible = forward.sample(20)
    assert np.array_equal(frame, frames[1])
    assert np.array_equal(planes_, planes[1])
    assert np.array_equal(visible, forward.visible(20))


def test_global_random_state_is_left_alone() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    random_frame(3, 64)
    assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[index]


def test_every_structure_appears_and_persons_differ() -> None:
    seen = np.zeros(len(SCHEMA), np.int64)
    heights, facings, polarities = [], set(), set()
    n = 30
    for seed in range(n):
        phantom = made(seed)
        facings.add(phantom.facing)
        polarities.add(phantom.inverted)
        planes = phantom.planes(30)
        seen += planes.any(axis=(1, 2))
        heights.append(phantom.patient.spine.pitch)
    assert (seen > n // 2).all(), dict(zip(SCHEMA.keys, seen.tolist(), strict=True))
    assert facings == {"left", "right"}
    assert polarities == {True, False}
    assert np.std(heights) > 0.3


_TRACE = 4  # cells of 2 mm: what even a normal swallow may leave


def test_bolus_goes_from_the_mouth_down_and_is_gone() -> None:
    for seed in range(6):
        phantom = made(seed, variant="normal")
        rows, areas = [], []
        for t in range(0, 60, 4):
            bolus = truth_in_millimetres(phantom, t, "bolus")
            areas.append(int(bolus.sum()))
            if t >= phantom.swallow[0] and areas[-1] > _TRACE:
                rows.append(centre(bolus)[0])
        assert areas[0] > 0 or not phantom.patient.course.hold
        assert len(rows) > 3
        assert (np.diff(rows) > -1.5).all(), (seed, rows)
        assert rows[-1] - rows[0] > 40


def test_bolus_held_before_the_swallow_lies_before_the_pharynx() -> None:
    phantom = made(2, variant="normal", facing="left")
    bolus = truth_in_millimetres(phantom, 0, "bolus")
    pharynx = truth_in_millimetres(phantom, 0, "pharynx")
    assert centre(bolus)[1] < centre(pharynx)[1]
    assert centre(bolus)[0] < centre(pharynx)[0]


def test_pharynx_includes_the_bolus_that_is_in_it() -> None:
    met = 0
    for seed in range(8):
        phantom = made(seed, variant="normal")
        for t in range(12, 48, 3):
            bolus = truth_in_millimetres(phantom, t, "bolus")
            pharynx = truth_in_millimetres(phantom, t, "pharynx")
            if not bolus.any():
                continue
            site = phantom.patient.spine
            rows = np.arange(len(bolus))[:, None] * 2 - 150
            now = moment(phantom.patient.course, float(phantom.times_s[t]))
            # The larynx of a child stands high, and rises; below the sphincter is the oesophagus.
            lowest = min(4.2, Site(phantom.patient.person, site, now).sphincter - 0.2)
            top, bottom = site.front(2.9, 0)[1], site.front(lowest, 0)[1]
            inside = bolus & (rows > top) & (rows < bottom)
            if inside.sum() < 8:
                continue
            met += 1
            assert (inside & pharynx).sum() > 0.9 * inside.sum(), (seed, t)
    assert met > 10


def test_aspiration_is_bolus_in_the_airway_and_a_normal_swallow_is_not() -> None:
    for seed in range(5):
        overlaps = {}
        for variant in ("normal", "aspiration"):
            phantom = made(seed, variant=variant)
            t = min(59, phantom.swallow[1])
            both = truth_in_millimetres(phantom, t, "bolus") & truth_in_millimetres(phantom, t, "airway")
            overlaps[variant] = int(both.sum())
        assert overlaps["aspiration"] > 5
        assert overlaps["normal"] == 0


def test_penetration_stays_above_aspiration() -> None:
    lowest = {}
    for variant in ("penetration", "aspiration"):
        phantom = made(9, variant=variant)
        t = min(59, phantom.swallow[1])
        both = truth_in_millimetres(phantom, t, "bolus") & truth_in_millimetres(phantom, t, "airway")
        lowest[variant] = int(np.flatnonzero(both.any(axis=1)).max())
    assert lowest["penetration"] < lowest["aspiration"]


def test_residue_remains_at_the_end() -> None:
    for seed in range(5):
        left = truth_in_millimetres(made(seed, variant="residue"), 59, "bolus")
        assert left.sum() > 3
        pharynx = truth_in_millimetres(made(seed, variant="residue"), 59, "pharynx")
        assert (left & pharynx).sum() > 0.5 * left.sum()


def test_epiglottis_turns_over_while_the_bolus_passes_and_comes_back() -> None:
    for seed in range(5):
        phantom = made(seed, variant="normal")
        course = phantom.patient.course

        def tip_above_root(seconds: float, phantom: Phantom = phantom) -> float:
            outline = phantom.patient.scene(seconds).truth["epiglottis"][0]
            n = len(outline) // 2
            root, tip = (outline[0] + outline[-1]) / 2, (outline[n - 1] + outline[n]) / 2
            return float(root[1] - tip[1])

        upright = tip_above_root(course.onset - 0.3 * course.pace)
        over = tip_above_root(course.onset + 0.5 * course.pace)
        back = tip_above_root(course.onset + 1.4 * course.pace)
        assert upright > 12
        assert over < 0.55 * upright
        assert back == pytest.approx(upright, abs=4)


def test_larynx_rises_before_the_spine() -> None:
    phantom = made(6, variant="normal")
    course = phantom.patient.course
    rest, high = (phantom.patient.scene(course.onset + u * course.pace) for u in (-0.4, 0.45))
    below = [scene.truth["epiglottis"][0][0, 1] - scene.truth["c4"][0][0, 1] for scene in (rest, high)]
    assert below[0] - below[1] > 6


def test_a_patient_leans_as_a_whole() -> None:
    moved = []
    for seed in range(4):
        phantom = made(seed, variant="normal")
        early, late = phantom.patient.scene(0.2), phantom.patient.scene(1.8)
        for key in ("c2", "c7"):
            a, b = early.truth[key][0], late.truth[key][0]
            np.testing.assert_allclose(
                np.diff(a, axis=0) @ np.diff(a, axis=0).T, np.diff(b, axis=0) @ np.diff(b, axis=0).T, atol=1e-6
            )
        tips = [scene.truth["c2"][0][0] - scene.truth["c7"][0][0] for scene in (early, late)]
        assert np.hypot(*tips[0]) == pytest.approx(np.hypot(*tips[1]))
        moved.append(float(np.hypot(*(early.truth["c2"][0][0] - late.truth["c2"][0][0]))))
    assert max(moved) > 2


def test_facing_is_where_the_patient_looks() -> None:
    for seed in range(6):
        sides = {}
        for facing in ("left", "right"):
            phantom = made(seed, facing=facing)
            assert phantom.facing == facing
            outlines = phantom.patient.scene(0.0).truth
            jaw, spine = (
                phantom.screen.pixels(np.concatenate(outlines[key]))[:, 0].mean() for key in ("mandible", "c3")
            )
            sides[facing] = jaw < spine
        assert sides == {"left": True, "right": False}


def test_mirrored_patient_has_mirrored_masks() -> None:
    # A seed without shutters, which are not mirrored with the patient, and with masks that are more than borders.
    seed = next(seed for seed in range(60) if made(seed).screen.field.all() and made(seed).planes(20).sum() > 3000)
    left, right = made(seed, facing="left"), made(seed, facing="right")
    a, b = left.planes(20), right.planes(20)[:, :, ::-1]
    assert a.any()
    assert (a ^ b).sum() <= 0.01 * a.sum()


@settings(max_examples=40, deadline=None)
@given(x=st.floats(20, 40), y=st.floats(20, 40), a=st.floats(3, 15), b=st.floats(3, 15), degrees=st.floats(0, 180))
def test_planes_lie_where_outlines_lie(x: float, y: float, a: float, b: float, degrees: float) -> None:
    outline = ellipse((x, y), (a, b), degrees, 90)
    mask = plane([outline], 60, 60)
    # Pixel centres a little inside the outline belong to the plane, those a little outside do not, on every side alike.
    rows, columns = np.mgrid[:60, :60] + 0.5
    turn = np.exp(1j * np.radians(degrees))
    along = ((columns - x) + 1j * (rows - y)) * turn
    inside, outside = (np.hypot(along.real / (a + d), along.imag / (b + d)) <= 1 for d in (-0.6, 0.6))
    assert not (inside & ~mask).any()
    assert not (mask & ~outside).any()


def test_vertebrae_stand_in_order_behind_the_pharynx() -> None:
    phantom = made(1, facing="left")
    rows, columns = [], []
    for level in range(1, 8):
        row, column = centre(truth_in_millimetres(phantom, 0, f"c{level}"))
        rows.append(row)
        columns.append(column)
    assert (np.diff(rows) > 3).all()
    # The atlas of a bent neck may stand above the pharynx.
    assert min(columns[1:]) > centre(truth_in_millimetres(phantom, 0, "pharynx"))[1]


def test_a_vertebra_lies_anywhere_in_pictures_to_learn_from() -> None:
    def rows(style: str) -> npt.NDArray[np.float64]:
        """Return where C3 and C5 lie, a share of the height, in 50 clips, (50, 2)."""
        found = []
        for seed in range(50):
            phantom = Phantom(seed, n_frames=2, height=SIZE, width=SIZE, style=style)
            spine = phantom.patient.spine.centres[[2, 4]]
            found.append(phantom.screen.pixels(spine)[:, 1] / SIZE)
        return np.array(found)

    for style in ("standard", "wide"):
        c3, c5 = rows(style).T
        assert np.std(c3) > 0.14
        # Many a C3 lies below the median C5, and the reverse: the place tells no name.
        assert np.mean(c3 > np.median(c5)) > 0.06
        assert np.mean(c5 < np.median(c3)) > 0.06
    assert np.std(rows("harsh")[:, 0]) < 0.13


def test_outside_the_picture_is_not_visible() -> None:
    phantom = made(2, variant="normal")
    view = phantom.screen.view
    phantom.screen = Screen(replace(view, centre=(view.centre[0], view.centre[1] + 2 * SIZE)), phantom.screen.apparatus)
    planes, visible = phantom.truth(0)
    assert not visible.any()
    assert not planes.any()


def test_shoulders_hide_the_last_vertebra_of_some() -> None:
    hidden = [not made(seed, style="wide").visible(0)[INDEX["c7"]] for seed in range(40)]
    assert 3 < sum(hidden) < 35
    # C3 lies above every shoulder; a neck beyond the edge of the picture is the framing's doing.
    assert sum(made(seed).visible(0)[INDEX["c3"]] for seed in range(10)) >= 8


def test_bolus_that_is_gone_is_no_hidden_bolus() -> None:
    gone = 0
    for seed in range(12):
        phantom = made(seed, variant="normal")
        if not phantom.patient.scene(float(phantom.times_s[phantom.shown(59)])).truth["bolus"]:
            gone += 1
            planes, visible = phantom.truth(59)
            assert visible[INDEX["bolus"]]
            assert not planes[INDEX["bolus"]].any()
    assert gone > 2


def test_bolus_is_dark_against_its_surround_unless_inverted() -> None:
    right = 0
    for seed in range(12):
        phantom = made(seed, variant="normal")
        frame, planes, _ = phantom.sample(24)
        bolus = planes[INDEX["bolus"]]
        if bolus.sum() < 30:
            right += 1
            continue
        rows, columns = np.nonzero(bolus)
        box = (slice(max(0, rows.min() - 3), rows.max() + 4), slice(max(0, columns.min() - 3), columns.max() + 4))
        around = frame[box][(~bolus & phantom.screen.field)[box]]
        darker = frame[bolus].mean() < around.mean()
        right += int(darker != phantom.inverted)
    assert right >= 11


def test_short_clips_show_a_whole_swallow() -> None:
    phantom = made(3, n_frames=12, variant="normal")
    areas = [truth_in_millimetres(phantom, t, "bolus") for t in range(12)]
    rows = [centre(area)[0] for area in areas if area.any()]
    assert rows[-1] - rows[0] > 30


def test_random_frame_is_a_frame_of_a_random_phantom() -> None:
    frame, planes = random_frame(8, 96)
    again, planes_again = random_frame(8, 96)
    assert frame.shape == (96, 96)
    assert planes.shape == (len(SCHEMA), 96, 96)
    assert np.array_equal(frame, again)
    assert np.array_equal(planes, planes_again)
    other, _ = random_frame(9, 96)
    assert not np.array_equal(frame, other)


def test_harsh_style_differs_from_the_others() -> None:
    """Its patients hold the neck otherwise, and bone is mostly bright."""
    tilts = {style: np.mean([made(s, style=style).patient.person.tilts[3] for s in range(20)]) for style in STYLES}
    inverted = {style: np.mean([made(s, style=style).inverted for s in range(20)]) for style in STYLES}
    assert tilts["standard"] - tilts["harsh"] > 12
    assert inverted["harsh"] - inverted["standard"] > 0.3
    a, b = random_frame(1, 64, style="standard"), random_frame(1, 64, style="harsh")
    assert not np.array_equal(a[0], b[0])


@pytest.mark.parametrize(
    "options", [{"variant": "perfect"}, {"style": "gentle"}, {"n_frames": 0}, {"height": 3}, {"fps": 0.0}]
)
def test_what_cannot_be_made_is_an_error(options: dict[str, object]) -> None:
    with pytest.raises(VfssError, match=r"\."):
        made(0, **options)


def test_frames_outside_the_clip_are_refused() -> None:
    with pytest.raises(IndexError):
        made(0).frame(60)
    with pytest.raises(IndexError):
        made(0).planes(-1)
