# SPDX-License-Identifier: Apache-2.0
"""Recipes: reading, validation, and those that ship."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import hostile_files
from small_training import RECIPE
from vfss.errors import TrainingError
from vfss.student.config import StudentConfig
from vfss_training.config.parts import Clicks, Distillation, HeldOut, Stage
from vfss_training.config.recipe import Recipe, load_recipe, shipped_recipes

FOLDER = Path(__file__).parents[2] / "training" / "recipes"
RECIPES = sorted(FOLDER.rglob("*.yaml"))


def test_a_recipe_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: a\nsteps: 7\nstudent: {input_size: 96}\nstages: [{until: 0.5, size: 64}, {until: 1, size: 96}]\n"
    )
    recipe = load_recipe(path)
    assert recipe.steps == 7
    assert recipe.stages == (Stage(0.5, 64), Stage(1.0, 96))
    assert [recipe.size_at(step) for step in (0, 2, 5, 6)] == [64, 64, 96, 96]
    for text in (
        "[]",
        "stepz: 3",
        "steps: many",
        "steps: 0",
        "stages: [{until: 0.5, size: 64}]",
        "student: {sizes: 3}",
        "a: [",
        "stages: [{until: 1, size: 65}]",
    ):
        path.write_text(text)
        with pytest.raises(TrainingError):
            load_recipe(path)
    with pytest.raises(TrainingError):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("backbone", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:/etc", "resnet9999", "../x"])
@pytest.mark.parametrize("part", ["student", "self_teaching"])
def test_a_backbone_is_one_that_timm_lists(tmp_path: Path, part: str, backbone: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({part: {"backbone": backbone}}))
    with pytest.raises(TrainingError, match="is not the name of a model that timm lists"):
        load_recipe(path)


@pytest.mark.parametrize("number", range(25))
def test_hostile_recipes_raise_errors_of_ours_only(tmp_path: Path, number: int) -> None:
    done, data = hostile_files.case("recipe", number)
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data)
    try:
        hostile_files.read("recipe", path)
    except TrainingError as error:
        assert error.remedy, done


def test_a_recipe_replaces_no_variables(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: ${oc.env:HOME}")
    assert load_recipe(path).name == "${oc.env:HOME}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_leave_out_the_seeds_of_evaluation(path: Path) -> None:
    recipe = load_recipe(path)
    ends = [recipe.first_seed + recipe.phantom_frames]
    ends += [part.first_seed + part.frames for part in recipe.held_out.values()]
    assert max(ends) <= 100_000, "seeds from 100000 on are reserved for evaluation"
    # The first two train on a project, whose held-out patients do not choose the step; film chooses between whole runs
    # of the others.
    if path.stem not in ("quick", "distil", "levels", "levels_on", "levels_uneven"):
        assert any(part.weight > 0 for part in recipe.held_out.values())


def test_shipped_recipes_are_loaded_by_name(tmp_path: Path) -> None:
    assert load_recipe("quick") == load_recipe(FOLDER / "quick.yaml")
    assert load_recipe("paper-mlp") == load_recipe(FOLDER / "ablation" / "paper-mlp.yaml")
    with pytest.raises(TrainingError, match=r"one of: .*paper-mlp"):
        load_recipe("quickest")
    with pytest.raises(TrainingError, match="cannot read"):
        load_recipe(tmp_path / "quick")


def test_fields_of_a_second_file_override_those_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "over.yaml").write_text("steps: 7\nheld_out: {}\ndistill: {frames: 9}\nstudent: {input_size: 64}\n")
    shipped, over = load_recipe("paper-mlp"), load_recipe("paper-mlp", tmp_path / "over.yaml")
    assert over == shipped.but(
        steps=7,
        held_out={},
        distill=replace(shipped.distill, frames=9),
        student=replace(shipped.student, input_size=64),
    )


def test_training_seeds_that_overlap_held_out_seeds_are_refused() -> None:
    with pytest.raises(TrainingError, match="training on that style uses 0 to 90000"):
        replace(RECIPE, phantom_frames=90_001)
    replace(RECIPE, phantom_frames=90_001, held_out={"harsh": HeldOut(1.0, 90_000, 2)})
    with pytest.raises(TrainingError, match="'gentle' is none of: clinic, standard"):
        replace(RECIPE, styles={"gentle": 1.0})


def test_every_error_of_a_recipe_names_file_field_value_and_bound(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "steps: 0\nbatch: 'true'\nstepz: 4\nstudent: {input_size: 65}\nstages: [{until: 0, size: 65}]\n"
        "styles: {gentle: 1}\nheld_out: {harsh: {frames: 0, x: 1}}\ndistill: {teachers: [huge], loss: l3, pool: 3}\n"
        "balance: {name: luck, aim: both}\naugmentation: {flip: true}\nclicks: 3\n"
    )
    with pytest.raises(TrainingError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: 16 errors:\n")
    for line in (
        "steps is 0, must be greater than or equal to 1",
        "batch is 'true', must be a valid integer",
        "unknown field stepz",
        "student: input size 65 is not a multiple of 32",
        "stages.0.until is 0, must be greater than 0",
        "stages.0.size is 65, must be a multiple of 32",
        "styles.gentle: 'gentle' is none of: clinic, standard",
        "held_out.harsh.frames is 0, must be greater than or equal to 1",
        "unknown field held_out.harsh.x",
        "distill.teachers.0: 'huge' is none of: mobile-sam",
        "distill.loss: 'l3' is none of: ",
        "distill.pool is 3, must be 1, 2 or 4",
        "balance.name: 'luck' is none of: equal",
        "balance.aim is 'both', must be 'easiest' or 'hardest'",
        "augmentation.flip is True, must be a valid number",
        "clicks is 3, must be a mapping",
    ):
        assert f"\n  {line}" in message, line


@pytest.mark.parametrize(
    "text",
    [
        "learning_rate: .nan",
        "weight_decay: .inf",
        "steps: 3.0",
        "steps: '3'",
        "warm_up: true",
        "frozen_norm: 1",
        "name: 3",
        "name: 2024-01-01",
        "student: null",
        "styles: {}",
        "styles: {standard: 0}",
        "stages: {until: 1}",
        "2024-01-01: 3",
        "distill: {weight: -1}",
        "adapt: {rank: -1}",
        "self_teaching: {students: -1}",
        "labels: 0",
    ],
)
def test_values_of_the_wrong_type_or_range_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=r"wrong\.yaml"):
        load_recipe(path)


def test_rules_between_fields_name_the_conflict(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    for text, expected in {
        "distill: {features_only: 0.5, labels_only: 0.5}": "distill: features_only 0.5 and labels_only 0.5 must add up",
        "distill: {teachers: [medsam, medsam]}": "distill.teachers: a teacher is named twice",
        "stages: [{until: 0.5, size: 64}]": "stages end at \\[0.5\\]",
        "stages: [{until: 1, size: 1024}]": "larger than the student's input size 320",
        "student: {low_percentile: 60, high_percentile: 40}": "student: percentiles",
    }.items():
        path.write_text(text)
        with pytest.raises(TrainingError, match=expected):
            load_recipe(path)


def test_changed_recipes_and_parts_are_validated() -> None:
    with pytest.raises(TrainingError, match="Recipe: steps is 0"):
        RECIPE.but(steps=0)
    with pytest.raises(TrainingError, match="Recipe: unknown field step"):
        Recipe(step=1)  # type: ignore[call-arg]
    with pytest.raises(TrainingError, match=r"Distillation: 2 errors:\n  share is 2"):
        Distillation(share=2.0, pool=3)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"Clicks: average is 1\.0, must be less than 1"):
        replace(Clicks(), average=1.0)


def test_a_recipe_saved_with_a_run_is_read_back_unchanged(tmp_path: Path) -> None:
    """Integers stay integers, since cache keys and the comparison of runs use the text."""
    path = tmp_path / "recipe.yaml"
    path.write_text("kept_gb: 1\nstages: [{until: 1, size: 64}]\naugmentation: {warp: 1, noise: 4}\n")
    recipe = load_recipe(path)
    plain = json.loads(json.dumps(recipe.to_dict()))
    assert json.dumps([plain["kept_gb"], plain["stages"][0]["until"], plain["augmentation"]["noise"]]) == "[1, 1, 4]"
    path.write_text(yaml.safe_dump(plain))
    assert load_recipe(path) == recipe
    assert json.loads(json.dumps(load_recipe(path).to_dict())) == plain
    assert pickle.loads(pickle.dumps(recipe)) == recipe == copy.deepcopy(recipe)
    assert hash(Distillation(("medsam",))) == hash(Distillation(("medsam",)))
    assert isinstance(recipe.student, StudentConfig)


def test_recipes_for_ablations_are_in_a_subfolder_and_ship() -> None:
    assert {"plain-single", "single-abd", "paper-mlp", "paper-attention", "full", "default"} <= set(shipped_recipes())
    assert len(set(shipped_recipes())) == len(RECIPES)
