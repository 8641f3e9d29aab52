# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.phantom import STYLES, Phantom
from vfss.phantom.beam import Beam, BeamSettings
from vfss.phantom.capture import CaptureSettings, mixed, recorded, shown_frame
from vfss.phantom.detector import Detector, DetectorSettings, sample_detector
from vfss.phantom.display import Display, DisplaySettings, lookup_table, sample_display
from vfss.phantom.framing import Framing, Lens, beam_light, exposed, sample_framing
from vfss.phantom.geometry import View, ellipse
from vfss.phantom.matter import Matter, Scene
from vfss.phantom.overlays import Overlays, painted
from vfss.phantom.style import Style, sample_apparatus
from vfss.phantom.xray import Screen

SIZE = 96
VIEW = View(SIZE, SIZE, 1.0, 0.0, (0.0, 0.0), (SIZE / 2, SIZE / 2), False)
BODY = np.array(((-200.0, -200), (200, -200), (200, 200), (-200, 200)))
QUIET = DetectorSettings((0, 0), 0.1, 0, 1e-9, 0, 0, 0, 0, False, 0, 0, 0, (0.1, 0), 0, 12, 1.0)
PLAIN = DisplaySettings(1.0, 99.0, 1.0, 1.0, 0.0, (0.0,) * 6, False, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0, False)
FILE = CaptureSettings(1, 0.0, 0.0, False, 0.0, (8, 0.0), 0.0, False, False, 0.0, 0.0, False)


def scene(*matter: Matter, **parts: object) -> Scene:
    options = {"truth": {}, "matter": list(matter), "air": [], "barium": [], "skin": BODY, "trunk": [], "soft": 1.0}
    return Scene(**(options | parts))  # type: ignore[arg-type]


def beam(rounding: float = 0.0, scatter: float = 0.0, **framed: float) -> Beam:
    framing = Framing(**framed)  # type: ignore[arg-type]
    lens = Lens(VIEW, framing)
    made = BeamSettings(2.0, 0.5, scatter, 0.0, rounding, 0.0, 0.0)
    bare = np.zeros((SIZE, SIZE), np.float32)
    return Beam(lens, made, beam_light(VIEW, framing), bare, np.random.default_rng(0))


def test_beer_and_lambert() -> None:
    plate = ellipse((0, 0), (30, 30))
    thin, thick = (beam().light(scene(Matter(plate, nepers)))[0][48, 48] for nepers in (0.5, 1.0))
    nothing = beam().light(scene())[0][48, 48]
    assert nothing == pytest.approx(np.exp(-1), rel=0.02)
    assert thin / nothing == pytest.approx(np.exp(-0.5), rel=0.02)
    assert thick / nothing == pytest.approx(np.exp(-1.0), rel=0.02)


def test_barium_darkens_and_air_brightens() -> None:
    spot = ellipse((0, 0), (20, 20))
    nothing, air, barium = (
        float(beam().light(scene(**parts))[0][48, 48])
        for parts in ({}, {"air": [(spot, 1.0)]}, {"barium": [(spot, 1.0)]})
    )
    assert barium < 0.3 * nothing
    assert air > 1.3 * nothing


def test_contrast_is_thicker_in_its_middle() -> None:
    bolus = {"barium": [(ellipse((0, 0), (20, 20), n=60), 1.0)]}
    flat, round_ = (-np.log(beam(rounding).light(scene(**bolus))[0][48]) for rounding in (0.0, 1.0))
    assert round_[48] == pytest.approx(flat[48], rel=0.05)
    assert round_[48 + 17] - round_[4] < 0.85 * (flat[48 + 17] - flat[4])


def test_scatter_lowers_contrast() -> None:
    bone = scene(Matter(ellipse((0, 0), (12, 12)), 1.0))

    def ratio(scatter: float) -> float:
        light = beam(scatter=scatter).light(bone)[0]
        return float(light[48, 48] / light[48, 10])

    assert ratio(0.5) > ratio(0.0) + 0.15


def test_lag_leaves_the_frame_before() -> None:
    detector = Detector(Lens(VIEW, Framing()), replace(QUIET, lag=0.3), np.random.default_rng(0))
    assert detector.memory == 1
    bright, dark = np.ones((4, 4), np.float32), np.zeros((4, 4), np.float32)
    left = [float(detector.lagging(frames)[0, 0]) for frames in ([bright] * 2, [dark, bright], [dark] * 2)]
    assert left[0] == pytest.approx(1)
    assert 0.15 < left[1] < 0.3
    assert left[2] == 0


def test_glare_fills_what_shutters_keep_dark() -> None:
    light = np.ones((SIZE, SIZE), np.float32)
    light[:, 60:] = 0
    fills = [
        Detector(Lens(VIEW, Framing()), replace(QUIET, glare=glare), np.random.default_rng(0)).settled(light)[48, 72]
        for glare in (0.0, 0.3)
    ]
    assert fills[0] < 0.01
    assert fills[1] > 0.02


def test_noise_is_quantum_noise_and_recursion_keeps_part_of_the_last() -> None:
    signal = np.full((SIZE, SIZE), 0.25, np.float32)
    signal[:, 48:] = 1.0
    settled = Detector(Lens(VIEW, Framing()), QUIET, np.random.default_rng(0)).read(signal, 0.0, (1, 7, 0))

    def read(t: int, **options: float) -> np.ndarray:  # type: ignore[type-arg]
        detector = Detector(Lens(VIEW, Framing()), replace(QUIET, noise=0.05, **options), np.random.default_rng(0))
        return detector.read(signal, 0.0, (1, 7, t)) - settled

    noise = read(5)
    assert noise[:, 48:].std() / noise[:, :48].std() == pytest.approx(2, rel=0.15)
    alone = np.corrcoef(read(5).ravel(), read(6).ravel())[0, 1]
    recursive = np.corrcoef(read(5, recursion=0.7).ravel(), read(6, recursion=0.7).ravel())[0, 1]
    assert abs(alone) < 0.1
    assert recursive > 0.3


def test_exposure_drifts_over_seconds() -> None:
    detector = Detector(Lens(VIEW, Framing()), replace(QUIET, drift=0.1), np.random.default_rng(0))
    signal = np.full((8, 8), 0.5, np.float32)
    means = [float(detector.read(signal, seconds, (1, 7, 0)).mean()) for seconds in np.linspace(0, 8, 17)]
    assert 0.03 < np.std(means) / np.mean(means) < 0.2


def test_few_bits_leave_few_greys() -> None:
    ramp = np.tile(np.linspace(0, 1, SIZE, dtype=np.float32), (SIZE, 1))
    greys = []
    for bits in (4, 12):
        detector = Detector(Lens(VIEW, Framing()), replace(QUIET, bits=bits), np.random.default_rng(0))
        greys.append(len(np.unique(detector.read(ramp, 0, (1, 7, 0)))))
    assert greys[0] <= 16
    assert greys[1] > 60


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), style=st.sampled_from(sorted(STYLES)))
def test_lookup_tables_rise_from_black_to_white(seed: int, style: str) -> None:
    table = lookup_table(sample_display(np.random.default_rng(seed), STYLES[style].display))
    assert (np.diff(table) >= -1e-6).all()
    assert table[0] == pytest.approx(0, abs=1e-5)
    assert table[-1] == pytest.approx(1, abs=1e-5)


def test_sharpening_leaves_halos() -> None:
    step = np.full((SIZE, SIZE), 0.3, np.float32)
    step[:, 48:] = 0.6
    tissue = np.ones((SIZE, SIZE), np.bool_)
    step[0, 0], step[0, 4] = 0.0, 1.0
    wide = replace(PLAIN, white=100.0, black=0.0)
    plain, sharp = (Display(replace(wide, sharpen=s, reach=20.0)).shown(step, tissue)[48] for s in (0.0, 1.5))
    assert plain[50] == pytest.approx(plain[80], abs=0.01)
    assert sharp[48] > sharp[80] + 0.05
    assert sharp[47] < sharp[10] - 0.05


def test_inversion_makes_dense_bright() -> None:
    ramp = np.tile(np.linspace(0.1, 1, SIZE, dtype=np.float32), (SIZE, 1))
    tissue = np.ones((SIZE, SIZE), np.bool_)
    shown, inverted = (Display(replace(PLAIN, inverted=i)).shown(ramp, tissue) for i in (False, True))
    assert np.allclose(shown + inverted, 1, atol=1e-5)
    assert shown[0, -1] > shown[0, 0]


def test_distorted_points_come_back() -> None:
    lens = Lens(VIEW, Framing(pincushion=0.15))
    points = np.random.default_rng(0).uniform(-45, 45, (50, 2))
    assert np.abs(lens.picture(points) - (points + 48)).max() > 2
    assert np.allclose(lens.straight(lens.picture(points)), points + 48, atol=0.05)


def test_small_pictures_lie_in_a_dark_frame_and_truth_with_them() -> None:
    framing = Framing(window=(0.25, 0.3, 0.75, 0.9), around=0.0)
    phantom = Phantom(5, n_frames=4, height=SIZE, width=SIZE)
    quiet = replace(phantom.screen.apparatus, framing=framing, capture=FILE, overlays=Overlays((), 0))
    phantom.screen = Screen(phantom.screen.view, quiet)
    frame, planes, _ = phantom.sample(0)
    outside = np.ones((SIZE, SIZE), np.bool_)
    outside[round(0.3 * SIZE) : round(0.9 * SIZE), round(0.25 * SIZE) : round(0.75 * SIZE)] = False
    assert not frame[outside].any()
    assert not planes[:, outside].any()
    assert planes.any()
    assert frame[~outside].std() > 5


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), style=st.sampled_from(sorted(STYLES)))
def test_framings_leave_something_exposed(seed: int, style: str) -> None:
    framing = sample_framing(np.random.default_rng(seed), STYLES[style].framing)
    left, top, right, bottom = framing.box(SIZE, SIZE)
    assert 0 <= left < right <= SIZE
    assert 0 <= top < bottom <= SIZE
    assert exposed(Lens(VIEW, framing).inner, framing).mean() > 0.3


def test_repeated_frames_show_one_picture_and_its_truth() -> None:
    for seed in range(30):
        phantom = Phantom(seed, n_frames=8, height=64, width=64)
        if phantom.shown(3) != 3 and not phantom.screen.apparatus.overlays.kinds:
            break
    assert phantom.shown(3) < 3
    assert np.array_equal(phantom.planes(3), phantom.planes(phantom.shown(3)))
    capture = replace(phantom.screen.apparatus.capture, analogue=0.0)
    phantom.screen = Screen(phantom.screen.view, replace(phantom.screen.apparatus, capture=capture))
    assert np.array_equal(phantom.frame(3), phantom.frame(phantom.shown(3)))


def test_dropped_frames_repeat_the_one_before() -> None:
    shown = [shown_frame(replace(FILE, drop=0.3), t, 1) for t in range(200)]
    assert all(t - 1 <= s <= t for t, s in enumerate(shown))
    assert 0.15 < np.mean([s < t for t, s in enumerate(shown)]) < 0.45
    assert [shown_frame(replace(FILE, pulses=2), t, 1) for t in range(4)] == [0, 0, 2, 2]


def test_interlacing_keeps_half_the_rows_of_the_picture_before() -> None:
    now, before = np.full((8, 8), 200, np.uint8), np.full((8, 8), 100, np.uint8)
    assert mixed(replace(FILE, comb=True), now, before)[:, 0].tolist() == [200, 100] * 4
    assert (mixed(replace(FILE, blend=0.25), now, before) == 175).all()


@pytest.mark.parametrize(
    "options", [{"jpeg": 15.0}, {"video": 5.0}, {"zoom": 0.4}, {"median": True}, {"analogue": 1.0}, {"studio": True}]
)
def test_recorders_change_the_picture_but_not_what_it_shows(options: dict[str, float]) -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    rng = np.random.default_rng(0)
    picture = np.clip(128 + 80 * np.sin(rows / 9) * np.cos(columns / 11) + rng.normal(0, 6, rows.shape), 0, 255)
    picture = picture.astype(np.uint8)
    out = recorded(replace(FILE, **options), picture, (1, 8, 0))  # type: ignore[arg-type]
    assert out.shape == picture.shape
    assert out.dtype == np.uint8
    assert not np.array_equal(out, picture)
    assert np.corrcoef(out.ravel(), picture.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("kind", ["text", "ruler", "dots", "cursor", "lines", "player", "console", "arrow"])
def test_overlays_are_painted_alike_on_every_frame(kind: str) -> None:
    grey = np.full((SIZE, SIZE), 128, np.uint8)
    # Dots come and go: a frame on which they are there.
    t = next(t for t in range(40) if (painted(Overlays((kind,), 3), grey, t) != 128).any())
    first, again = (painted(Overlays((kind,), 3), grey, t) for _ in range(2))
    assert np.array_equal(first, again)
    assert (first != 128).any()
    assert (first == 128).any()


def test_lagging_and_mixing_clips_are_the_same_in_any_order() -> None:
    tried = 0
    for seed in range(60):
        forward, backward = (Phantom(seed, n_frames=6, height=48, width=48, style="capture") for _ in range(2))
        if forward.screen.apparatus.detector.lag == 0:
            continue
        frames = [forward.frame(t) for t in range(6)]
        for t in (5, 0, 3, 4, 1, 2):
            assert np.array_equal(backward.frame(t), frames[t])
        tried += 1
        if tried == 3:
            break
    assert tried == 3


def test_held_out_styles_differ_in_kind() -> None:
    """Each has a feature in most of its clips that no clip of the training styles has."""
    drawn = {
        name: [sample_apparatus(np.random.default_rng(seed), style) for seed in range(60)]
        for name, style in STYLES.items()
    }
    marks = {
        "harsh": [lambda a: a.detector.blocks > 2],
        "sharpened": [lambda a: a.display.equal > 0],
        "capture": [lambda a: a.capture.analogue > 0, lambda a: a.capture.comb],
        "intensifier": [lambda a: a.framing.pincushion > 0],
    }
    assert set(marks) == set(STYLES) - {"clinic", "standard", "wide", "elderly"}
    assert STYLES["elderly"].population.age[0] > max(STYLES[name].population.age[1] for name in ("standard", "wide"))
    for name, kinds in marks.items():
        for kind in kinds:
            assert np.mean([kind(a) for a in drawn[name]]) > 0.6
            assert not any(kind(a) for name in ("standard", "wide") for a in drawn[name])


def test_a_style_is_data() -> None:
    style = Style(detector=replace(Style().detector, lag=(1.0, 0.5, 0.5)))
    assert sample_detector(np.random.default_rng(0), style.detector).lag == 0.5
