# SPDX-License-Identifier: Apache-2.0
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from made_up_neck import box, joined, made_up_neck
from vfss.errors import VfssError
from vfss.landmarks import LANDMARKS
from vfss.phantom import MESH_STYLES, STYLES, Phantom
from vfss.phantom.anatomy import Patient
from vfss.phantom.geometry import View, plane
from vfss.phantom.meshes import VARIABLE, load_meshes
from vfss.phantom.motion import sample_course
from vfss.phantom.population import Person, Population, sample_person
from vfss.phantom.scan import Scanned, ScanRange, sample_scan
from vfss.phantom.scanned_spine import corners, spine_shadow
from vfss.phantom.spine import bones, stand
from vfss.phantom.thickness import Grid, Source, cortex, depth, grid_around, outlines

ROOT = Path(__file__).parents[2]
FAR = Source((0.0, 0.0), 1e9)
LEVELS = [f"c{level}" for level in range(1, 8)]


@pytest.fixture
def neck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a made-up neck, which VFSS_MESHES names."""
    path = made_up_neck(tmp_path / "neck.npz")
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def real_file() -> Path:
    """Return the file of the real meshes, or skip the test."""
    path = Path(os.environ.get("VFSS_SHARED", "")) / "data" / "anatomy" / "neck_meshes.npz"
    if not os.environ.get("VFSS_SHARED") or not path.is_file():
        pytest.skip("VFSS_SHARED does not name a folder with data/anatomy/neck_meshes.npz")
    return path


def turned(points: np.ndarray, angles: tuple[float, float, float]) -> np.ndarray:
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        a, b = points[:, i].copy(), points[:, j].copy()
        points[:, i], points[:, j] = a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)
    return points


def test_a_box_is_as_thick_as_it_is_deep() -> None:
    vertices, faces = box((0, 0, -4), (10, 20, 8))
    thick = depth(FAR.cast(vertices), faces, Grid((-5.0, -5.0), 0.5, 60, 40))
    assert thick[12:48, 12:28] == pytest.approx(12.0, abs=1e-4)
    outside = thick.copy()
    outside[9:51, 9:31] = 0
    assert not outside.any()


@settings(max_examples=30, deadline=None)
@given(angles=st.tuples(*[st.floats(0, 6.3)] * 3), flip=st.booleans())
def test_a_body_keeps_its_volume_however_it_is_turned(angles: tuple[float, float, float], flip: bool) -> None:
    vertices, faces = box((-5, -8, -4), (5, 8, 4))
    vertices = turned(vertices, angles)
    grid = grid_around(vertices, 0.25)
    thick = depth(FAR.cast(vertices), faces[:, ::-1] if flip else faces, grid)
    assert thick.sum() * grid.step**2 == pytest.approx(10 * 16 * 8, rel=0.02)
    assert thick.max() <= np.sqrt(10**2 + 16**2 + 8**2) + 1e-3


def test_a_tube_is_hollow() -> None:
    angle = np.linspace(0, 2 * np.pi, 61)[:-1]
    rings = [
        np.stack([np.full(60, x), r * np.cos(angle), r * np.sin(angle)], axis=1)
        for x in (-10.0, 10.0)
        for r in (8.0, 5.0)
    ]
    i, j = np.arange(60), (np.arange(60) + 1) % 60
    quads = [(0, 2, False), (1, 3, True), (0, 1, True), (2, 3, False)]
    faces = []
    for a, b, turn in quads:
        p, q, r, s = a * 60 + i, a * 60 + j, b * 60 + j, b * 60 + i
        found = np.concatenate([np.stack([p, q, r], axis=1), np.stack([p, r, s], axis=1)])
        faces.append(found[:, ::-1] if turn else found)
    thick = depth(FAR.cast(np.concatenate(rings)), np.concatenate(faces), Grid((-12.0, -10.0), 0.5, 40, 48))
    across = thick[:, 24]
    y = -10 + 0.5 * (np.arange(40) + 0.5)
    expected = 2 * (np.sqrt(np.maximum(64 - y**2, 0)) - np.sqrt(np.maximum(25 - y**2, 0)))
    inner = np.abs(np.abs(y) - 5) > 0.6
    assert across[inner] == pytest.approx(expected[inner], abs=0.25)


def test_the_cortex_is_a_shell_along_the_border() -> None:
    vertices, faces = box((0, 0, -10), (20, 30, 10))
    grid = Grid((-5.0, -5.0), 0.5, 80, 60)
    shell = cortex(vertices, FAR.cast(vertices), faces, grid, shell=0.8)
    assert shell.sum() * grid.step**2 == pytest.approx(0.8 * 2 * (20 * 30 + 20 * 20 + 30 * 20), rel=0.01)
    # Seen edge on a wall is much denser than the two walls that the ray meets in the middle.
    assert shell[25:55, 20:40].mean() == pytest.approx(1.6, rel=0.1)
    assert shell[25:55, 10:12].mean() > 5.0
    assert shell[:, :7].max() < 0.1


def test_what_is_near_the_source_is_larger() -> None:
    source = Source((10.0, 0.0), 800.0)
    points = np.array([[30.0, 8.0, 40.0], [30.0, 8.0, -40.0], [10.0, 0.0, 40.0]])
    cast = source.cast(points)
    assert cast[0, :2] == pytest.approx((10 + 20 / 0.95, 8 / 0.95))
    assert cast[1, :2] == pytest.approx((10 + 20 / 1.05, 8 / 1.05))
    assert cast[2, :2] == pytest.approx((10, 0))


def test_outlines_enclose_what_is_thick_enough() -> None:
    vertices, faces = joined([box((0, 0, -4), (12, 20, 4)), box((20, 0, -0.2), (30, 20, 0.2))])
    grid = grid_around(vertices, 0.5)
    (outline,) = outlines(depth(FAR.cast(vertices), faces, grid), grid, 0.8)
    assert outline.min(0) == pytest.approx((0, 0), abs=0.3)
    assert outline.max(0) == pytest.approx((12, 20), abs=0.3)


def test_styles_with_meshes_are_refused_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(VfssError, match=r"needs meshes .* name the file in VFSS_MESHES"):
        Phantom(1, height=64, width=64, style="meshed")
    Phantom(1, height=64, width=64, style="standard")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.npz"))
    with pytest.raises(VfssError, match=r"none\.npz: meshes cannot be read"):
        Phantom(1, height=64, width=64, style="neck")
    assert not set(MESH_STYLES) & set(STYLES)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arrays: arrays.pop("C4_f"), "C4_f"),
        (lambda arrays: [arrays.pop(name) for name in ("C4_v", "C4_f")], "lack C4"),
        (lambda arrays: arrays.update(C4_f=arrays["C4_f"] + 100), "do not name vertices"),
        (lambda arrays: arrays.update(C4_f=arrays["C4_f"].astype(float)), "not integers"),
        (lambda arrays: arrays.update(C4_v=arrays["C4_v"] * np.nan), "not finite"),
        (lambda arrays: arrays.update(C4_v=arrays["C4_v"][:, :2]), "not finite numbers"),
        (lambda arrays: arrays.update(C4_v=np.array([{}])), "pickle"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, spoil: object, message: str) -> None:
    with np.load(made_up_neck(tmp_path / "neck.npz")) as found:
        arrays = dict(found)
    spoil(arrays)  # type: ignore[operator]
    np.savez(tmp_path / "spoilt.npz", **arrays)
    with pytest.raises(VfssError, match=message):
        load_meshes(tmp_path / "spoilt.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(VfssError, match=r"text\.npz: meshes cannot be read"):
        load_meshes(tmp_path / "text.npz")


@pytest.mark.usefixtures("neck")
def test_a_clip_is_the_same_in_any_order_of_frames() -> None:
    first, again = (Phantom(5, n_frames=12, height=96, width=96, style="meshed") for _ in range(2))
    frames = [first.frame(t) for t in (0, 7, 3)]
    assert np.array_equal(again.frame(3), frames[2])
    assert np.array_equal(again.frame(7), frames[1])
    assert np.array_equal(again.frame(0), frames[0])
    assert np.array_equal(first.planes(4), again.planes(4))


def test_another_file_gives_other_clips(neck: Path) -> None:
    def clips() -> tuple[str, list[np.ndarray], list[np.ndarray]]:
        drawn = [Phantom(seed, n_frames=4, height=96, width=96, style="meshed") for seed in (3, 4, 5)]
        return load_meshes().digest, [clip.frame(1) for clip in drawn], [clip.planes(1) for clip in drawn]

    digest, frames, planes = clips()
    made_up_neck(neck, height=9.0)
    other_digest, other_frames, other_planes = clips()
    assert other_digest != digest
    # Of a spine that the picture cuts off little may be left to differ.
    assert all(not np.array_equal(one, other) for one, other in zip(frames, other_frames, strict=True))
    assert any(not np.array_equal(one, other) for one, other in zip(planes, other_planes, strict=True))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / b.sum())


@pytest.mark.usefixtures("neck")
@pytest.mark.parametrize("seed", range(6))
def test_bodies_lie_where_they_would_be_drawn(seed: int) -> None:
    person = sample_person(np.random.default_rng(seed), Population()) if seed else Person()
    spine = stand(person)
    scan = sample_scan(np.random.default_rng(seed), ScanRange(share=1.0))
    assert scan is not None
    shadow = spine_shadow(person, spine, Scanned(scan, load_meshes()))
    view = View(300, 200, 1.0, 0.0, (0.0, 0.0), (70.0, 60.0), False)
    for level in range(3, 8):
        drawn = plane([view.pixels(bones(person, spine, level)[0])], 300, 200)
        shown = plane([view.pixels(outline) for outline in shadow.outlines[f"c{level}"]], 300, 200)
        assert overlap(shown, drawn) > 0.8, level
    nepers = shadow.plate.values
    assert 0.05 < nepers.max() < 3.0
    assert nepers.min() >= 0


def test_corners_of_a_tilted_box() -> None:
    angle = np.deg2rad(30)
    matrix = np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    level = np.array(((-8.0, -6), (8, -6), (8, 6), (-8, 6), (0, -6), (0, 6), (8, 0), (-8, 0)))
    assert corners(level @ matrix, 30.0) == pytest.approx(level[:4] @ matrix)


@pytest.mark.parametrize("seed", range(3))
def test_real_vertebrae_are_whole_and_stand_in_order(seed: int) -> None:
    meshes = load_meshes(real_file())
    person = sample_person(np.random.default_rng(seed), Population()) if seed else Person()
    spine = stand(person)
    scan = sample_scan(np.random.default_rng(seed), MESH_STYLES["neck"].scan)
    assert scan is not None
    shadow = spine_shadow(person, spine, Scanned(scan, meshes))
    view = View(260, 240, 1.0, 0.0, (0.0, 0.0), (60.0, 50.0), False)
    planes = [plane([view.pixels(o) for o in shadow.outlines[key]], 260, 240) for key in LEVELS]
    assert all(ndimage.label(found)[1] == 1 for found in planes)
    drawn = [plane([view.pixels(o) for o in bones(person, spine, level)], 260, 240) for level in range(1, 8)]
    for real, usual in zip(planes, drawn, strict=True):
        assert 0.5 < real.sum() / usual.sum() < 2.0
        assert overlap(real, usual) > 0.4
    heights = [np.argwhere(found)[:, 0].mean() for found in planes]
    assert heights == sorted(heights)


def test_obj_files_are_converted(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("neck_meshes", ROOT / "scripts" / "neck_meshes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "a.obj").write_text(
        "# x\nv 0 0 0\nvn 1 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0.5\nf 1//1 2//1 3//1 4//1\nf -4 -3 -1\n"
    )
    vertices, faces = script.read_obj(tmp_path / "a.obj")
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]]
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 3]]


@pytest.mark.usefixtures("neck")
def test_landmarks_lie_on_the_bodies_of_the_meshes() -> None:
    found = 0
    for seed in range(6):
        phantom = Phantom(seed, n_frames=4, height=200, width=200, style="meshed")
        points = dict(zip([landmark.key for landmark in LANDMARKS], phantom.landmarks(1), strict=True))
        masks = dict(zip(phantom.schema.keys, phantom.planes(1), strict=True))
        for key in ("c4_front", "c4_back"):
            mask = masks["c4"]
            if not mask.any() or np.isnan(points[key]).any():
                continue
            found += 1
            distance = ndimage.distance_transform_edt(~(mask ^ ndimage.binary_erosion(mask)))
            x, y = np.rint(points[key]).astype(int)
            assert distance[y, x] < 3.0
    assert found > 4


def test_a_jaw_of_the_meshes_is_painted_below_the_ramus_and_opens_with_the_mouth() -> None:
    meshes = load_meshes(real_file())
    person = sample_person(np.random.default_rng(4), Population())
    course = sample_course(np.random.default_rng(4), 2.0, None)
    scan = sample_scan(np.random.default_rng(4), MESH_STYLES["meshed"].scan)
    assert scan is not None
    drawn, real = Patient(person, course), Patient(person, course, Scanned(scan, meshes))
    for seconds in (0.0, 0.7, 1.4):
        planes = [
            plane([(outline + 150) * 0.7 for outline in patient.scene(seconds).truth["mandible"]], 260, 200)
            for patient in (drawn, real)
        ]
        assert overlap(planes[1], planes[0]) > 0.7
        assert overlap(planes[0], planes[1]) > 0.6
