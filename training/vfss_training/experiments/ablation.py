# SPDX-License-Identifier: Apache-2.0
"""Ablation: ways of training beside each other, with the same frames, labels, seeds and steps."""

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
from vfss_training.studies.phantom import PhantomStudy

NOTHING = "no distillation"
_FIRST_OF_EXAMINATIONS = 100_000


@dataclass(frozen=True)
class Row:
    """One way of training.

    Attributes:
        name: What tables call it.
        recipe: How.
    """

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Examination:
    """Phantom patients that nobody learns from, one frame each.

    Attributes:
        style: Style of the phantom.
        first_seed: Of the first patient, at least 100,000.
        patients: How many.
    """

    style: str
    first_seed: int
    patients: int

    def __post_init__(self) -> None:
        if self.first_seed < _FIRST_OF_EXAMINATIONS:
            raise TrainingError(
                f"patients from seed {self.first_seed} on may have been learnt",
                remedy=f"Examine on seeds from {_FIRST_OF_EXAMINATIONS:,} on.",
            )


def rows_of(recipes: Sequence[Recipe], *, each_teacher: bool = True, leave_one_out: bool = True) -> list[Row]:
    """The rows of a table: no distillation first, then every recipe.

    Args:
        recipes: Ways of training; all have the first one's frames, steps and student.
        each_teacher: A recipe with one teacher stands once for every teacher that any recipe names.
        leave_one_out: A recipe with several teachers stands once more without each of them.

    Raises:
        TrainingError: There is no recipe, or they differ in what must be the same.
    """
    if not recipes:
        raise TrainingError("no recipe to compare", remedy="Name at least one.")
    for recipe in recipes[1:]:
        _refuse_unlike(recipes[0], recipe)
    teachers = list(dict.fromkeys(name for recipe in recipes for name in recipe.distill.teachers))
    bare = recipes[0].but(
        name=NOTHING, distill=Distillation(), self_teaching=SelfTeaching(), adapt=Adaptation(), mixup=0.0
    )
    rows = [Row(NOTHING, bare)]
    for recipe in recipes:
        single = len(recipe.distill.teachers) == 1
        names = teachers if single and each_teacher else [""]
        rows += [_with(recipe, (name,)) if name else Row(recipe.name, recipe) for name in names]
        if leave_one_out and not single:
            # A gate over one teacher is no way of training of its own.
            for name in recipe.distill.teachers if recipe.pseudo_labels or len(recipe.distill.teachers) > 2 else ():
                others = tuple(other for other in recipe.distill.teachers if other != name)
                rows.append(_with(recipe, others, f"without {name}"))
            if recipe.self_teaching.students:
                without = recipe.but(name=f"{recipe.name} without self", self_teaching=SelfTeaching())
                rows.append(Row(without.name, without))
    return rows


def _with(recipe: Recipe, teachers: tuple[str, ...], words: str = "") -> Row:
    name = f"{recipe.name} {words or teachers[0]}"
    return Row(name, recipe.but(name=name, distill=replace(recipe.distill, teachers=teachers)))


def _refuse_unlike(first: Recipe, other: Recipe) -> None:
    for what in ("student", "styles", "first_seed", "phantom_frames", "steps", "batch"):
        if getattr(first, what) != getattr(other, what):
            raise TrainingError(
                f"recipes {first.name!r} and {other.name!r} differ in {what}", remedy="Compare what is alike."
            )


@dataclass(frozen=True)
class Ablation:
    """Trains and examines rows, each result in a file, so that it can be broken off and taken up again.

    Attributes:
        folder: Where results and runs lie.
        examinations: On whom.
        run: Circumstances.
        backbone: ImageNet weights.
    """

    folder: Path
    examinations: tuple[Examination, ...]
    run: Run
    backbone: Path | None = None

    def results(
        self, rows: Sequence[Row], seeds: Sequence[int], labels: Sequence[float]
    ) -> Iterator[tuple[str, float, int, dict[str, FloatArray]]]:
        """Row, share of labels, seed, and Dice, float64 (patients, S), by style; nan where nothing counts.

        All rows of one share and seed come before the next, so that what is there is always comparable.
        """
        for share in labels:
            for seed in seeds:
                for row in rows:
                    recipe = row.recipe.but(seed=seed, labels=share)
                    yield row.name, share, seed, self._result(row.name, recipe)

    def weights(self, row: Row, share: float, seed: int) -> list[tuple[int, dict[str, float]]]:
        """Steps of a trained row and what each teacher weighed there; empty without several teachers."""
        lines = (self._place(row.recipe.but(seed=seed, labels=share)) / "events.jsonl").read_text("utf-8").splitlines()
        told = [event for event in map(json.loads, lines) if len(event.get("weights", ())) > 1]
        return [(int(event["step"]), event["weights"]) for event in told]

    def student(self, row: Row, share: float, seed: int) -> StudentNetwork:
        """The trained network of a row, in evaluation mode, as it was kept: in half precision."""
        recipe = row.recipe.but(seed=seed, labels=share)
        network = StudentNetwork(recipe.student, len(Schema.load()))
        kept = torch.load(self._place(recipe) / "weights.pt", map_location="cpu", weights_only=True)
        network.load_state_dict({name: tensor.float() for name, tensor in kept.items()})
        return network.eval()

    def _place(self, recipe: Recipe) -> Path:
        """Folder of a run, named after all that its result depends on."""
        key = json.dumps([recipe.to_dict(), [vars(one) for one in self.examinations]], sort_keys=True, default=str)
        return self.folder / "runs" / hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    def _result(self, name: str, recipe: Recipe) -> dict[str, FloatArray]:
        folder = self._place(recipe)
        path = folder / "result.json"
        if not path.is_file():
            self.run.events.emit("row", row=name, labels=recipe.labels, seed=recipe.seed)
            dice = self._trained(recipe, folder)
            found = {"row": name, "labels": recipe.labels, "seed": recipe.seed, "recipe": recipe.to_dict()}
            write_atomically(path, (json.dumps({**found, "dice": dice}) + "\n").encode())
        told = json.loads(path.read_text("utf-8"))["dice"]
        return {style: np.array(values, np.float64) for style, values in told.items()}

    def _trained(self, recipe: Recipe, folder: Path) -> dict[str, list[list[float | None]]]:
        config, schema = recipe.student, Schema.load()
        folder.mkdir(parents=True, exist_ok=True)
        with Events.open(str(folder / "events.jsonl")) as told:
            run = replace(self.run, events=told, folder=folder)
            network = from_scratch(config, schema, recipe.seed, self.backbone)
            trained, _ = train(PhantomStudy(recipe, config, run, self.backbone).task(network), run)
        (folder / "state.pt").unlink(missing_ok=True)
        torch.save({name: tensor.half() for name, tensor in trained.state_dict().items()}, folder / "weights.pt")
        return {one.style: examine(trained, config, one) for one in self.examinations}


def examine(network: StudentNetwork, config: StudentConfig, examination: Examination) -> list[list[float | None]]:
    """Dice of every structure of each patient at the student's own size; None where it is hidden, or nowhere.

    Args:
        network: In evaluation mode.
        config: Its config.
        examination: On whom.
    """
    size = config.input_size
    placement = Placement.of(size, size, size)
    found: list[list[float | None]] = []
    for seed in range(examination.first_seed, examination.first_seed + examination.patients):
        frame, truth, visible = draw_phantom(seed, size, examination.style)
        inputs = torch.from_numpy(prepare(frame, placement, config)[None])
        device = next(network.parameters()).device
        with torch.inference_mode():
            logits, _ = network(inputs.to(device))
        planes = restore(logits[0].float().cpu().numpy(), placement)
        found.append([_dice(*pair) for pair in zip(planes, truth, visible, strict=True)])
    return found


def _dice(plane: BoolArray, truth: BoolArray, visible: bool) -> float | None:
    size = int(plane.sum()) + int(truth.sum())
    return None if not visible or size == 0 else round(2.0 * int((plane & truth).sum()) / size, 5)


def gathered(
    results: Mapping[tuple[str, float, int], Mapping[str, FloatArray]], row: str, share: float, seeds: Sequence[int]
) -> FloatArray:
    """Dice of a row over all styles, float64 (seeds, patients, S)."""
    return np.stack([np.concatenate(list(results[row, share, seed].values())) for seed in seeds])
