# SPDX-License-Identifier: Apache-2.0
"""Ablation: train recipes with the same frames, labels, seeds and steps, and score them on the same test patients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vfss.errors import TrainingError
from vfss.evaluation.bootstrap import FloatArray
from vfss.masks import BoolArray
from vfss.schema import Schema
from vfss.student.checkpoint import write_atomically
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss.student.preprocess import Placement, prepare, restore
from vfss_training.config.parts import Adaptation, Distillation, SelfTeaching
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import draw_phantom
from vfss_training.events import Events
from vfss_training.loop.run import Run, train
from vfss_training.model.initialise import from_scratch
from vfss_training.saved_tensors import load_tensors
from vfss_training.studies.phantom import PhantomStudy

NOTHING = "no distillation"
_FIRST_TEST_SEED = 100_000


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    Attributes:
        name: Name in tables and plots.
        recipe: Training recipe.
    """

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Examination:
    """Phantom patients to score on, which no training uses, one frame each.

    Attributes:
        style: Style of the phantom.
        first_seed: Seed of the first patient, at least 100,000.
        patients: Number of patients.
    """

    style: str
    first_seed: int
    patients: int

    def __post_init__(self) -> None:
        if self.first_seed < _FIRST_TEST_SEED:
            raise TrainingError(
                f"patients from seed {self.first_seed} on may have been trained on",
                remedy=f"Score on seeds from {_FIRST_TEST_SEED:,} on.",
            )


def rows_of(recipes: Sequence[Recipe], *, each_teacher: bool = True, leave_one_out: bool = True) -> list[Row]:
    """Return the rows of a table: no distillation first, then every recipe.

    Args:
        recipes: Recipes to compare, which must agree in frames, steps and student.
        each_teacher: Add a recipe with one teacher once for every teacher that any recipe names.
        leave_one_out: Add a recipe with several teachers once more without each of them.

    Raises:
        TrainingError: There is no recipe, or they differ in what must be the same.
    """
    if not recipes:
        raise TrainingError("no recipe to compare", remedy="Name at least one.")
    for recipe in recipes[1:]:
        _refuse_different_setups(recipes[0], recipe)
    teachers = list(dict.fromkeys(name for recipe in recipes for name in recipe.distill.teachers))
    bare = recipes[0].but(
        name=NOTHING, distill=Distillation(), self_teaching=SelfTeaching(), adapt=Adaptation(), mixup=0.0
    )
    rows = [Row(NOTHING, bare)]
    for recipe in recipes:
        single = len(recipe.distill.teachers) == 1
        names = teachers if single and each_teacher else [""]
        rows += [_with_teachers(recipe, (name,)) if name else Row(recipe.name, recipe) for name in names]
        if leave_one_out and not single:
            # Without pseudo-labels, balancing a single teacher is the same as plain distillation.
            for name in recipe.distill.teachers if recipe.pseudo_labels or len(recipe.distill.teachers) > 2 else ():
                others = tuple(other for other in recipe.distill.teachers if other != name)
                rows.append(_with_teachers(recipe, others, f"without {name}"))
            if recipe.self_teaching.students:
                without = recipe.but(name=f"{recipe.name} without self", self_teaching=SelfTeaching())
                rows.append(Row(without.name, without))
    return rows


def _with_teachers(recipe: Recipe, teachers: tuple[str, ...], suffix: str = "") -> Row:
    """Return the row of a recipe with other teachers; the suffix of its name is by default the first of them."""
    name = f"{recipe.name} {suffix or teachers[0]}"
    return Row(name, recipe.but(name=name, distill=replace(recipe.distill, teachers=teachers)))


def _refuse_different_setups(first: Recipe, other: Recipe) -> None:
    """Raise if two recipes differ in what a comparison must hold fixed."""
    for what in ("student", "styles", "first_seed", "phantom_frames", "steps", "batch"):
        if getattr(first, what) != getattr(other, what):
            raise TrainingError(
                f"recipes {first.name!r} and {other.name!r} differ in {what}",
                remedy=f"Give all recipes the same {what}, or use --over.",
            )


@dataclass(frozen=True)
class Ablation:
    """Trains and scores rows; each result is written to a file, so that an interrupted comparison can be resumed.

    Attributes:
        folder: Folder of results and runs.
        examinations: Patients to score on.
        run: Run settings (cache, events, cancellation).
        backbone: ImageNet weights.
    """

    folder: Path
    examinations: tuple[Examination, ...]
    run: Run
    backbone: Path | None = None

    def results(
        self, rows: Sequence[Row], seeds: Sequence[int], labels: Sequence[float]
    ) -> Iterator[tuple[str, float, int, dict[str, FloatArray]]]:
        """Yield row, share of labels, seed and Dice by style, float64 (patients, S), NaN if a structure does not count.

        All rows of one share and seed come before the next, so that an unfinished comparison is still fair.
        """
        for share in labels:
            for seed in seeds:
                for row in rows:
                    recipe = row.recipe.but(seed=seed, labels=share)
                    yield row.name, share, seed, self._result(row.name, recipe)

    def weights(self, row: Row, share: float, seed: int) -> list[tuple[int, dict[str, float]]]:
        """Return steps of a trained row and each teacher's weight there; empty without several teachers."""
        lines = (
            (self.run_folder(row.recipe.but(seed=seed, labels=share)) / "events.jsonl").read_text("utf-8").splitlines()
        )
        steps = [event for event in map(json.loads, lines) if len(event.get("weights", ())) > 1]
        return [(int(event["step"]), event["weights"]) for event in steps]

    def student(self, row: Row, share: float, seed: int) -> StudentNetwork:
        """Return the trained network of a row, in evaluation mode, as it was saved: in half precision."""
        recipe = row.recipe.but(seed=seed, labels=share)
        network = StudentNetwork(recipe.student, len(Schema.load()))
        saved = load_tensors(self.run_folder(recipe) / "weights.pt", remedy="Delete that folder to train it again.")
        network.load_state_dict({name: tensor.float() for name, tensor in saved.items()})
        return network.eval()

    def run_folder(self, recipe: Recipe) -> Path:
        """Return the folder of a run, named after everything that its result depends on."""
        key = json.dumps([recipe.to_dict(), [vars(one) for one in self.examinations]], sort_keys=True, default=str)
        return self.folder / "runs" / hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    def _result(self, name: str, recipe: Recipe) -> dict[str, FloatArray]:
        """Return the Dice of a run by style, from its file or from a new training."""
        folder = self.run_folder(recipe)
        path = folder / "result.json"
        if not path.is_file():
            self.run.events.emit("row", row=name, labels=recipe.labels, seed=recipe.seed)
            dice = self._train(recipe, folder)
            result = {"row": name, "labels": recipe.labels, "seed": recipe.seed, "recipe": recipe.to_dict()}
            write_atomically(path, (json.dumps({**result, "dice": dice}) + "\n").encode())
        by_style = json.loads(path.read_text("utf-8"))["dice"]
        return {style: np.array(values, np.float64) for style, values in by_style.items()}

    def _train(self, recipe: Recipe, folder: Path) -> dict[str, list[list[float | None]]]:
        """Train a recipe in a folder and return its Dice by style."""
        config, schema = recipe.student, Schema.load()
        folder.mkdir(parents=True, exist_ok=True)
        with Events.open(str(folder / "events.jsonl")) as events:
            run = replace(self.run, events=events, folder=folder)
            network = from_scratch(config, schema, recipe.seed, self.backbone)
            trained, _ = train(PhantomStudy(recipe, config, run, self.backbone).task(network), run)
        (folder / "state.pt").unlink(missing_ok=True)
        torch.save({name: tensor.half() for name, tensor in trained.state_dict().items()}, folder / "weights.pt")
        return {one.style: examine(trained, config, one) for one in self.examinations}


def examine(network: StudentNetwork, config: StudentConfig, examination: Examination) -> list[list[float | None]]:
    """Return the Dice of every structure of each patient at the student's input size; None if hidden or absent.

    Args:
        network: Network in evaluation mode.
        config: Config of the network.
        examination: Patients to score on.
    """
    size = config.input_size
    placement = Placement.of(size, size, size)
    rows: list[list[float | None]] = []
    for seed in range(examination.first_seed, examination.first_seed + examination.patients):
        frame, truth, visible = draw_phantom(seed, size, examination.style)
        inputs = torch.from_numpy(prepare(frame, placement, config)[None])
        device = next(network.parameters()).device
        with torch.inference_mode():
            logits, _ = network(inputs.to(device))
        planes = restore(logits[0].float().cpu().numpy(), placement)
        rows.append([_dice(*pair) for pair in zip(planes, truth, visible, strict=True)])
    return rows


def _dice(plane: BoolArray, truth: BoolArray, visible: bool) -> float | None:
    """Return the Dice of one structure; None if it is hidden, or empty in truth and mask."""
    size = int(plane.sum()) + int(truth.sum())
    return None if not visible or size == 0 else round(2.0 * int((plane & truth).sum()) / size, 5)


def stack_dice(
    results: Mapping[tuple[str, float, int], Mapping[str, FloatArray]], row: str, share: float, seeds: Sequence[int]
) -> FloatArray:
    """Return the Dice of a row over all styles, float64 (seeds, patients, S)."""
    return np.stack([np.concatenate(list(results[row, share, seed].values())) for seed in seeds])
