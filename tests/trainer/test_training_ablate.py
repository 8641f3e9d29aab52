# SPDX-License-Identifier: Apache-2.0
"""Ablation: its rows, stored results, and figures that match the scores."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import vfss_training.experiments.ablation
from small_student import CONFIG
from vfss.errors import TrainingError
from vfss_training.cli.app import application
from vfss_training.config.parts import Distillation, SelfTeaching
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import draw_phantom
from vfss_training.events import Cancel, Events
from vfss_training.experiments.ablation import NOTHING, Ablation, Examination, Row, examine, rows_of
from vfss_training.experiments.feature_maps import embeddings, pca_colours, plot_features
from vfss_training.experiments.report import Report, plot_weights
from vfss_training.loop.run import Run

BASE = Recipe(name="base", student=CONFIG, phantom_frames=4, held_out={}, steps=1, batch=2)
PLAIN = BASE.but(name="plain-single", distill=Distillation(("mobile-sam",)))
FULL = BASE.but(
    name="full", distill=Distillation(("mobile-sam", "lite-medsam")), self_teaching=SelfTeaching(2, steps=1)
)


def test_rows_have_each_teacher_alone_and_leave_each_out() -> None:
    names = [row.name for row in rows_of([PLAIN, FULL])]
    assert names == [
        NOTHING,
        "plain-single mobile-sam",
        "plain-single lite-medsam",
        "full",
        "full without mobile-sam",
        "full without lite-medsam",
        "full without self",
    ]
    assert [row.name for row in rows_of([PLAIN, FULL], each_teacher=False, leave_one_out=False)] == [
        NOTHING,
        "plain-single",
        "full",
    ]
    bare = rows_of([FULL])[0].recipe
    assert (bare.distill.teachers, bare.self_teaching.students) == ((), 0)


def test_recipes_that_differ_otherwise_are_refused() -> None:
    with pytest.raises(TrainingError, match="differ in steps"):
        rows_of([PLAIN, FULL.but(steps=9)])
    with pytest.raises(TrainingError, match="no recipe"):
        rows_of([])
    with pytest.raises(TrainingError, match="may have been trained on"):
        Examination("standard", 99_999, 3)


def ablation(folder: Path) -> Ablation:
    run = Run(Events(io.StringIO()), Cancel(), "vfss-train ablate", folder / "cache", workers=0, threads=1)
    return Ablation(folder, (Examination("standard", 100_000, 2), Examination("harsh", 100_000, 2)), run)


def test_results_are_stored_and_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(NOTHING, BASE), Row("own", BASE.but(name="own", self_teaching=SelfTeaching(2, steps=1)))]
    results = list(ablation(tmp_path).results(rows, [1], [0.5]))
    assert [(row, share, seed) for row, share, seed, _ in results] == [(NOTHING, 0.5, 1), ("own", 0.5, 1)]
    assert all(dice.shape == (2, 12) for _, _, _, styles in results for dice in styles.values())
    monkeypatch.setattr(vfss_training.experiments.ablation, "train", lambda *_: pytest.fail("trained again"))
    second = list(ablation(tmp_path).results(rows, [1], [0.5]))
    for (*_, one), (*_, other) in zip(results, second, strict=True):
        for style, dice in one.items():
            np.testing.assert_array_equal(other[style], dice)
    stored = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert {entry["row"] for entry in stored} == {NOTHING, "own"}


def report() -> Report:
    """Return scores with known gains: full is 0.05 above the best plain row, which is 0.02 above no teacher."""
    rows = tuple(rows_of([PLAIN, FULL], leave_one_out=False))
    gains = {NOTHING: 0.0, "plain-single mobile-sam": 0.02, "plain-single lite-medsam": 0.01, "full": 0.07}
    results = {}
    for share in (0.05, 1.0):
        for seed in (1, 2, 3):
            base = 0.5 + 0.2 * share + np.random.default_rng(seed).normal(0, 0.05, (10, 12))
            for name, gain in gains.items():
                results[name, share, seed] = {"standard": base + gain, "harsh": base + gain - 0.1}
    return Report(rows, results, (0.05, 1.0), (1, 2, 3))


def test_figures_match_the_scores(tmp_path: Path) -> None:
    report().write(tmp_path, {"command": "vfss-train ablate"})
    figures = json.loads((tmp_path / "ablation.json").read_text())
    assert figures["best_plain"] == "plain-single mobile-sam"
    assert figures["full_minus_best_plain"]["mean"] == pytest.approx(0.05)
    assert figures["full_minus_best_plain"]["ci95"][0] == pytest.approx(0.05, abs=1e-4)
    full = figures["rows"]["full"]
    assert len(full["dice_by_seed"]) == 3
    assert full["dice_mean"] == pytest.approx(np.mean(full["dice_by_seed"]), abs=1e-4)
    assert full["styles"]["standard"] - full["styles"]["harsh"] == pytest.approx(0.1, abs=1e-4)
    assert set(figures["by_labels"]) == {"0.05", "1"}
    table = (tmp_path / "table.md").read_text().splitlines()
    assert len(table) == 2 + 4
    assert "+5.0 (5.0 to 5.0)" in table[-1]


def test_weights_are_read_from_the_events(tmp_path: Path) -> None:
    study, row = ablation(tmp_path), Row("full", FULL)
    folder = study.run_folder(FULL.but(seed=2, labels=0.5))
    folder.mkdir(parents=True)
    events = [
        {"event": "start", "total_steps": 2},
        {"event": "step", "step": 1, "loss": 0.5, "weights": {"mobile-sam": 0.75, "lite-medsam": 0.25}},
        {"event": "step", "step": 2, "loss": 0.4, "weights": {"mobile-sam": 0.5, "lite-medsam": 0.5}},
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    weights_by_step = study.weights(row, 0.5, 2)
    assert [step for step, _ in weights_by_step] == [1, 2]
    assert weights_by_step[0][1]["mobile-sam"] == 0.75
    assert plot_weights({"full": weights_by_step, NOTHING: []}, tmp_path / "weights.png")
    assert (tmp_path / "weights.png").stat().st_size > 5_000
    assert not plot_weights({NOTHING: []}, tmp_path / "none.png")


def test_plots_are_written(tmp_path: Path) -> None:
    report().plot(tmp_path)
    for name in ("labels.png", "structures.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def test_the_command_line_names_invalid_options(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "plain-single", "phantom_frames": 4}))
    for options, expected in (
        (["--labels", "5,many"], "which is not a number"),
        (["--labels", "0"], "above 0"),
        (["--examine", "standard:7:x"], "STYLE:FIRST_SEED:NUMBER"),
        (["--examine", "standard:7:3"], "may have been trained on"),
    ):
        done = CliRunner().invoke(application, ["ablate", str(path), "--out", str(tmp_path / "out"), *options])
        assert done.exit_code == 1
        assert expected in " ".join(done.output.split())


def test_principal_components_of_all_frames_are_the_colours(tmp_path: Path) -> None:
    directions = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1)))[0][:3]
    components = (
        torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
        * torch.tensor([9.0, 4.0, 1.0])[:, None, None]
    )
    features = torch.einsum("kc,nkhw->nchw", directions, components)
    colours = pca_colours(features)
    assert colours.shape == (2, 8, 8, 3)
    assert (colours.min(), colours.max()) == (0.0, 1.0)
    for component in range(3):
        correlation = np.corrcoef(colours[..., component].ravel(), components[:, component].numpy().ravel())[0, 1]
        assert abs(correlation) > 0.95, "each colour is one direction of the features, the strongest first"
    frames = [np.random.default_rng(i).integers(0, 255, (64, 64), dtype=np.uint8) for i in range(2)]
    plot_features(frames, {"a teacher": features, "the student": features[:, :2]}, tmp_path / "features.png")
    assert (tmp_path / "features.png").stat().st_size > 5_000


def test_stored_students_are_those_that_were_scored(tmp_path: Path) -> None:
    rows = [Row(NOTHING, BASE)]
    study = ablation(tmp_path)
    ((_, _, _, dice),) = study.results(rows, [1], [1.0])
    network = study.student(rows[0], 1.0, 1)
    second = examine(network, BASE.student, study.examinations[0])
    np.testing.assert_allclose(np.array(second, np.float64), dice["standard"], atol=0.02)
    frames = [draw_phantom(100_000 + i, 64, "standard")[0] for i in range(2)]
    assert embeddings(network, BASE.student, frames).shape == (2, BASE.student.width, 4, 4)
