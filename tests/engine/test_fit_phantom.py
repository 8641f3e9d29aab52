# SPDX-License-Identifier: Apache-2.0
import importlib
import json
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vfss.errors import VfssError
from vfss.phantom.geometry import plane
from vfss.phantom.population import Person

pytest.importorskip("matplotlib")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("fit_phantom")


def test_numbers_are_reached_and_put_by_path(benchmark: ModuleType) -> None:
    fitting = importlib.import_module("phantom_fitting")
    changed = fitting.put(Person(), "vertebrae.2.depth", 19.5)
    assert fitting.reach(changed, "vertebrae.2.depth") == 19.5
    assert fitting.put(changed, "vertebrae.2.depth", Person().vertebrae[2].depth) == Person()
    assert fitting.put(Person(), "tilts.3", 7.0).tilts[3] == 7.0
    assert set(fitting.paths(Person(), "jaw")) == {f"jaw.{n}" for n in vars(Person().jaw)}


def test_a_known_pose_is_found_again(benchmark: ModuleType) -> None:
    fitting = importlib.import_module("phantom_fitting")
    true = fitting.Pose(240.0, 150.0, turn=5.0)
    window = fitting.view(true, 2.6, 512)
    outlines = fitting.outlines(Person(), true, ("c1", "c3", "c6"))
    masks = {k: plane([window.pixels(o) for o in v], 512, 512)[None] for k, v in outlines.items()}
    fitter = fitting.Fitter(masks, Person())
    start = fitting.Fitted(Person(), 2.6, (replace(true, x=248.0, y=143.0, turn=1.0),))
    pose, _ = fitter.pose(start, 0, ("c1", "c3", "c6"), ("x", "y", "turn"))
    assert abs(pose.x - 240) < 1.0
    assert abs(pose.y - 150) < 1.0
    assert abs(pose.turn - 5) < 1.0


def test_without_the_masks_the_message_names_what_to_set(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VFSS_SHARED", raising=False)
    with pytest.raises(VfssError, match="VFSS_SHARED"):
        benchmark.load_masks()


def test_the_report_scores_every_structure_and_the_person_is_one_of_the_population(benchmark: ModuleType) -> None:
    file = BENCHMARKS / "results" / "fit_phantom.json"
    if not file.is_file():
        pytest.skip("benchmarks/fit_phantom.py has not been run here")
    report = json.loads(file.read_text())
    assert set(report["dice"]) == set(benchmark.KEYS)
    assert report["mean"] >= 0.85
    far = [
        abs(v) for shape in benchmark.deviations(benchmark.person_of(report["person"])).values() for v in shape.values()
    ]
    assert np.quantile(far, 0.9) < 2.5


@pytest.mark.skipif("VFSS_SHARED" not in os.environ, reason="no annotated masks: VFSS_SHARED is not set")
def test_the_mean_person_is_aligned_with_the_annotated_spine(benchmark: ModuleType) -> None:
    masks = {k: m[:1] for k, m in benchmark.load_masks().items()}
    start = benchmark.initial_fit(masks)
    scores = benchmark.summary(benchmark.scores(masks, start))
    assert scores["c1"]["mean"] > 0.3
