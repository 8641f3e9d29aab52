# SPDX-License-Identifier: Apache-2.0
"""Standardisation: statistics of training frames alone, and scales that can be inverted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vfss.errors import TrainingError
from vfss_training.teachers.feature_statistics import Chunk, FeatureStatistics, Origin
from vfss_training.teachers.standardise import STANDARDS, FeatureScaler, hadamard, levelling, load_standard


def chunk(
    patient: str, *, channels: int = 6, n: int = 3, grid: int = 5, mean: float = 3.0, seed: int = 0, frame: str = "t"
) -> Chunk:
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(n, channels, grid, grid, generator=random)
    features = features * torch.arange(1.0, channels + 1).reshape(1, -1, 1, 1) + mean
    # Correlated channels, so that there is something to rotate.
    features[:, 1] += 2.0 * features[:, 0]
    field = torch.rand(n, grid, grid, generator=random) > 0.3
    return Chunk(features, field, tuple(Origin(patient, f"{frame}{i}") for i in range(n)))


def statistics_of(*chunks: Chunk, held_out: tuple[str, ...] = ()) -> FeatureStatistics:
    statistics = FeatureStatistics("medsam", chunks[0].features.shape[1], held_out)
    for one in chunks:
        statistics.add(one)
    return statistics


def inside(features: Tensor, field: Tensor) -> Tensor:
    """Return the cells of the exposed field, (cells, C)."""
    return features.movedim(1, -1)[field]


def test_a_planted_test_split_changes_no_statistic_and_a_leak_is_refused() -> None:
    training = [chunk("ann", seed=1), chunk("bob", seed=2)]
    planted = chunk("zoe", mean=500.0, seed=3)
    clean = statistics_of(*training, held_out=("zoe",))
    mixed = Chunk(
        torch.cat([training[1].features, planted.features]),
        torch.cat([training[1].field, planted.field]),
        training[1].origins + planted.origins,
    )
    accumulated = FeatureStatistics("medsam", 6, ("zoe",))
    accumulated.add(training[0])
    before = (accumulated.cells, accumulated.mean.clone(), accumulated.scatter.clone(), set(accumulated.frames))
    with pytest.raises(TrainingError, match="held-out patients, 'zoe'"):
        accumulated.add(mixed)
    assert (accumulated.cells, set(accumulated.frames)) == (before[0], before[3])
    assert torch.equal(accumulated.mean, before[1])
    assert torch.equal(accumulated.scatter, before[2])
    accumulated.add(training[1])
    assert torch.equal(accumulated.mean, clean.mean)
    assert torch.equal(accumulated.covariance(), clean.covariance())
    # The effect of a leak: with the planted split, the mean is far off.
    leaky = statistics_of(training[0], mixed)
    assert (leaky.mean - clean.mean).abs().min() > 50


def test_a_scale_computed_with_other_splits_is_detected(tmp_path: Path) -> None:
    for name, standard in STANDARDS.items():
        standard(statistics_of(chunk("ann"), chunk("zoe", seed=4))).save(tmp_path / name)
        loaded = load_standard(tmp_path / name)
        loaded.check(("bob",))
        with pytest.raises(TrainingError, match="1 held-out patients"):
            loaded.check(("bob", "zoe"))
        assert b"zoe" not in (tmp_path / name).read_bytes()


def test_statistics_with_each_others_held_out_patients_are_not_merged() -> None:
    part, other = statistics_of(chunk("ann"), held_out=("zoe",)), statistics_of(chunk("zoe"), held_out=("bob",))
    with pytest.raises(TrainingError, match="that the other holds out"):
        part.merge(other)
    part.merge(statistics_of(chunk("cem", seed=5), held_out=("bob",)))
    with pytest.raises(TrainingError, match="held-out"):
        part.add(chunk("bob"))


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    split=st.integers(0, 5),
    mean=st.sampled_from([0.0, 1e3, -1e6]),
    seed=st.integers(0, 99),
)
def test_chunks_in_any_grouping_give_the_same_as_all_cells_at_once(
    sizes: list[int], split: int, mean: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    chunks = []
    for i, n in enumerate(sizes):
        features = torch.randn(n, 4, 3, 3, generator=random, dtype=torch.float64) * 0.1 + mean
        field = torch.rand(n, 3, 3, generator=random) > 0.4
        chunks.append(Chunk(features, field, tuple(Origin("ann", f"{i}/{j}") for j in range(n))))
    cells = torch.cat([inside(one.features, one.field) for one in chunks])
    merged = FeatureStatistics("t", 4, ())
    rest = FeatureStatistics("t", 4, ())
    for i, one in enumerate(chunks):
        (merged if i < split else rest).add(one)
    merged.merge(rest)
    assert merged.cells == len(cells)
    if len(cells) == 0:
        with pytest.raises(TrainingError, match="no cell"):
            merged.covariance()
        return
    np.testing.assert_allclose(merged.mean.numpy(), cells.mean(0).numpy(), rtol=1e-12, atol=1e-12)
    # A running sum of squares would be off by 1e12 x 2e-16, a hundredth of the variance, at a mean of a million.
    expected = np.cov(cells.numpy().T, bias=True)
    np.testing.assert_allclose(merged.covariance().numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("channels", [6, 8, 12, 20])
def test_standardised_features_have_mean_0_and_variance_1_in_every_channel(channels: int) -> None:
    one = chunk("ann", channels=channels, n=4, grid=9)
    # Values outside the exposed field would spoil it.
    one.features.movedim(1, -1)[~one.field] = 1e4
    for name, standard in STANDARDS.items():
        values = inside(standard(statistics_of(one))(one.features), one.field)
        torch.testing.assert_close(values.mean(0), torch.zeros(channels), atol=1e-4, rtol=0, msg=name)
        torch.testing.assert_close(values.var(0, correction=0), torch.ones(channels), atol=1e-3, rtol=0, msg=name)


def test_phi_s_keeps_the_shape_that_scaling_per_channel_destroys() -> None:
    one = chunk("ann", channels=8, n=4, grid=9)
    statistics = statistics_of(one)
    cells = inside(one.features, one.field)
    distances = torch.pdist(cells)
    rotated = torch.pdist(inside(STANDARDS["phi-s"](statistics)(one.features), one.field))
    scaled = torch.pdist(inside(STANDARDS["channel"](statistics)(one.features), one.field))
    torch.testing.assert_close(rotated / distances, (rotated / distances).mean().expand_as(rotated), rtol=1e-3, atol=0)
    assert (scaled / distances).std() / (scaled / distances).mean() > 0.05


@pytest.mark.parametrize("name", STANDARDS)
def test_a_scale_can_be_inverted_and_loaded_from_its_file(name: str, tmp_path: Path) -> None:
    one = chunk("ann", channels=12)
    standard = STANDARDS[name](statistics_of(one))
    scaled = standard(one.features).movedim(1, -1) * standard.scale
    if standard.rotation.numel():
        scaled = scaled @ standard.rotation
    inverted = (scaled + standard.mean).movedim(-1, 1)
    torch.testing.assert_close(inverted, one.features, rtol=1e-4, atol=1e-4)
    standard.save(tmp_path / "scale.safetensors")
    loaded = load_standard(tmp_path / "scale.safetensors")
    assert (loaded.teacher, loaded.method, loaded.cells) == ("medsam", name, int(one.field.sum()))
    assert (loaded.patients, loaded.frames) == (standard.patients, standard.frames)
    assert torch.equal(loaded(one.features.half()), standard(one.features.half()))
    pooled = one.features.mean((2, 3))
    torch.testing.assert_close(loaded(pooled), standard(pooled[..., None, None])[..., 0, 0])
    assert standard.frames != STANDARDS[name](statistics_of(chunk("ann", channels=12, frame="u"))).frames


def test_a_constant_channel_is_not_amplified() -> None:
    one = chunk("ann")
    one.features[:, 2] = 7.0
    standard = STANDARDS["channel"](statistics_of(one))
    assert standard.scale.min() == pytest.approx(1e-3)
    assert standard(one.features)[:, 2].abs().max() < 1e-2
    for make in STANDARDS.values():
        constant = Chunk(torch.ones_like(one.features), one.field, one.origins)
        assert make(statistics_of(constant))(constant.features).isfinite().all()


def test_rotations_multiply_in_full_precision_under_autocast() -> None:
    one = chunk("ann", channels=8)
    standard = STANDARDS["phi-s"](statistics_of(one))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(standard(one.features), standard(one.features.clone()))
        values = standard(one.features)
    torch.testing.assert_close(values, standard(one.features), rtol=0, atol=0)


@pytest.mark.parametrize("size", [1, 2, 8, 12, 20, 24, 96, 256, 384, 768])
def test_hadamard_matrices_are_orthogonal_with_entries_of_one_size(size: int) -> None:
    matrix = hadamard(size)
    assert matrix is not None
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(np.abs(matrix), size**-0.5, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=1, max_size=40))
def test_variances_become_equal_for_any_number_of_channels(variances: list[float]) -> None:
    values = np.array(variances)
    rotation = levelling(values)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(len(values)), atol=1e-10)
    np.testing.assert_allclose(np.diag((rotation * values) @ rotation.T), values.mean(), rtol=1e-8, atol=1e-12)


def test_invalid_frames_are_refused(tmp_path: Path) -> None:
    one = chunk("ann")
    statistics = statistics_of(one)
    with pytest.raises(TrainingError, match="added twice"):
        statistics.add(one)
    with pytest.raises(TrainingError, match="added twice"):
        statistics.merge(statistics_of(chunk("ann")))
    with pytest.raises(TrainingError, match="are not of"):
        statistics.merge(FeatureStatistics("rad-dino", 6, ()))
    with pytest.raises(TrainingError, match="4 channels"):
        statistics.add(chunk("bob", channels=4))
    broken = chunk("cem")
    broken.features.movedim(1, -1)[broken.field] = torch.inf
    with pytest.raises(TrainingError, match="not finite"):
        statistics.add(broken)
    with pytest.raises(TrainingError, match="exposed field, bool"):
        Chunk(one.features, one.field.float(), one.origins)
    assert statistics.cells == int(one.field.sum())
    (tmp_path / "foreign").write_bytes(b"not safetensors")
    for name in ("foreign", "absent"):
        with pytest.raises(TrainingError, match=name):
            load_standard(tmp_path / name)
    standard: FeatureScaler = STANDARDS["channel"](statistics)
    with pytest.raises(TrainingError, match="4 channels"):
        standard(torch.zeros(1, 4, 2, 2))
