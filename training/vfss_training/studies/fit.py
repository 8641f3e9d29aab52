# SPDX-License-Identifier: Apache-2.0
"""Fit: train a student on phantom frames or on projects, and save it with its provenance and scores."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vfss.errors import TrainingError
from vfss.evaluation import evaluate as evaluation
from vfss.landmarks import LANDMARKS
from vfss.project import Project
from vfss.schema import Schema
from vfss.student import Student, load_checkpoint, student_file
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.config.recipe import Recipe
from vfss_training.evaluation.score import score_on_phantoms
from vfss_training.loop.distributed import leads
from vfss_training.loop.reporting import versions
from vfss_training.loop.run import Run, train
from vfss_training.loop.task import Task
from vfss_training.model.export import pack
from vfss_training.model.initialise import from_scratch, from_student, sha256
from vfss_training.studies import sources
from vfss_training.studies.click_training import PromptTask, train_corrector
from vfss_training.studies.landmark_training import LandmarkTask, train_landmark_head
from vfss_training.studies.learnt import annotated_masks, learnt_by, not_learnt_notice
from vfss_training.studies.phantom import PhantomStudy
from vfss_training.studies.project import ProjectStudy

NOTHING_HELD_OUT = (
    "Nothing is held out: every accepted frame is of a patient that is trained on, so no score can be given. Accept "
    "frames of patients that were never trained on, and hold them out before: vfss splits {} --assign PATIENT=test"
)


def fit_phantom(
    recipe: Recipe, out: Path, run: Run, *, backbone: Path | None, student: str | None
) -> Checkpoint | None:
    """Train on phantom frames alone and write the student to `out`.

    Args:
        recipe: Training recipe.
        out: File to write, replaced only at the end.
        run: Run settings (cache, events, cancellation).
        backbone: ImageNet weights for the backbone.
        student: Student to start from; overrides the recipe's `start`.

    Returns:
        The student; None in all processes of a run but the first.
    """
    schema = Schema.load()
    parent = starting_student(recipe, student)
    config = recipe.student if parent is None else without_landmark_head(recipe.start.grown(parent.config))
    network = _network(parent, config, schema, recipe, backbone)
    task = PhantomStudy(recipe, config, run, backbone).task(network)
    trained, record = train(task, run, parent)
    if not leads():
        return None
    record |= _train_prompts(trained, task, recipe, run)
    provenance = _provenance(recipe, run, parent) | record
    provenance["backbone_weights"] = None if backbone is None else {"file": backbone.name, "sha256": sha256(backbone)}
    compared = next((part.samples for part in task.held_out.values()), task.sources[0])
    checkpoint = pack(
        trained, config, schema, provenance=provenance, frames=sources.comparison_inputs(compared, config)
    )
    scores = score_on_phantoms(Student(checkpoint, OpenVinoRuntime(checkpoint)), recipe)
    saved = replace(checkpoint, scores=scores).save(out)
    run.events.emit(
        "done", student=saved.id, path=str(saved.path), scores=scores, previous_scores=None, chosen=record["chosen"]
    )
    return saved


def fit_project(
    folders: Sequence[Path],
    recipe: Recipe,
    run: Run,
    *,
    student: str | None,
    scratch: bool = False,
    backbone: Path | None = None,
    choose: bool | None = None,
) -> str | None:
    """Train on the accepted annotations of projects, score on held-out patients, register the new student.

    Args:
        folders: The projects; the first one gets the student, which is scored on its held-out patients.
        recipe: Training recipe.
        run: Run settings (cache, events, cancellation).
        student: Student to start from; None: the project's current one, else the default.
        scratch: Start from random weights instead.
        backbone: ImageNet weights for the backbone, if it starts from scratch.
        choose: Whether the new student proposes from now on; None: if the project had none of its own, and the new one
            is not measured to be worse than the one that ships.

    Returns:
        Id of the new student; None in all processes of a run but the first.
    """
    with ExitStack() as stack:
        projects = tuple(stack.enter_context(Project.open(folder)) for folder in folders)
        project = projects[0]
        previous = load_checkpoint(project.student_path(student))
        parent = None if scratch else previous
        config = without_landmark_head(previous.config) if parent is not None else recipe.student
        network = _network(parent, config, project.schema, recipe, backbone)
        study = ProjectStudy(projects, recipe, config, run, backbone, parent)
        task = study.task(network)
        learnt = learnt_by(annotated_masks(task.sources[0], project.schema), project.schema, recipe, parent)
        _tell_beforehand(project, learnt, held_out=bool(task.held_out), run=run)
        trained, record = train(task, run, parent)
        if not leads():
            return None
        record |= _train_prompts(trained, task, recipe, run)
        provenance = _provenance(recipe, run, parent) | record | {"left_out": len(study.left_out)}
        compared = next((part.samples for part in task.held_out.values()), task.sources[0])
        frames = sources.comparison_inputs(compared, config)
        checkpoint = pack(trained, config, project.schema, provenance=provenance, frames=frames, learnt=learnt)
        return _register(project, checkpoint, previous, parent, run, choose=choose)


def without_landmark_head(config: StudentConfig) -> StudentConfig:
    """Return a config without a landmark head: one that was trained on other features finds other places."""
    return replace(config, landmark_head=0)


def _tell_beforehand(project: Project, learnt: Mapping[str, int], *, held_out: bool, run: Run) -> None:
    """Tell before the training, which may take hours, what it will not teach and that it cannot be scored."""
    if not_learnt := not_learnt_notice(project.schema, learnt):
        missing = [key for key in project.schema.keys if key not in learnt]
        run.events.emit("notice", message=not_learnt, not_learnt=missing)
    if not held_out:
        run.events.emit("notice", message=NOTHING_HELD_OUT.format(project.folder))


def fit_prompts(recipe: Recipe, out: Path, run: Run, *, student: str) -> Checkpoint:
    """Train a student to take prompts, on phantom frames, and write it to `out`; its proposals stay as they are.

    Args:
        recipe: Training recipe; its part `clicks` says how.
        out: File to write, replaced only at the end.
        run: Run settings (cache, events, cancellation).
        student: "default" or a file.
    """
    parent = load_checkpoint(student_file(student))
    config = replace(parent.config, prompted=True)
    network = from_student(parent, parent.schema, recipe.seed, config)
    task = PhantomStudy(recipe, config, run).task(network)
    record = _train_prompts(network, task, recipe, run, minutes=run.minutes)
    provenance = {**parent.provenance, "prompts": _provenance(recipe, run, parent) | record}
    return _saved(_with_same_proposals(parent, network, task, provenance), out, run)


def fit_landmarks(recipe: Recipe, out: Path, run: Run, *, student: str) -> Checkpoint:
    """Train a student to find landmarks, on phantom frames, and write it to `out`; its proposals stay as they are.

    Args:
        recipe: Training recipe.
        out: File to write, replaced only at the end.
        run: Run settings (cache, events, cancellation).
        student: "default" or a file.
    """
    parent = load_checkpoint(student_file(student))
    config = replace(parent.config, landmark_head=len(LANDMARKS))
    network = from_student(parent, parent.schema, recipe.seed, config)
    task = PhantomStudy(recipe, config, run).task(network)
    trained = LandmarkTask(network, config, task.schema, task.sources, task.held_out)
    record = train_landmark_head(trained, recipe, run)
    provenance = {**parent.provenance, "landmarks": _provenance(recipe, run, parent) | record}
    checkpoint = _with_same_proposals(parent, network, task, provenance)
    # Graphs of the parent's other parts are kept byte for byte, as their weights are.
    graphs = {**checkpoint.prompted, **parent.prompted, "landmarks": checkpoint.prompted["landmarks"]}
    return _saved(replace(checkpoint, graph=parent.graph, mirror=parent.mirror, prompted=graphs), out, run)


def _with_same_proposals(
    parent: Checkpoint, network: StudentNetwork, task: Task, provenance: Mapping[str, Any]
) -> Checkpoint:
    """Return a student that has learnt something beside the proposals of its parent."""
    config = task.config
    compared = next((part.samples for part in task.held_out.values()), task.sources[0])
    frames = sources.comparison_inputs(compared, config)
    checkpoint = pack(network, config, parent.schema, provenance=provenance, frames=frames, learnt=parent.learnt)
    # Proposals are the parent's: what was measured of it holds, also on a processor that cannot measure it.
    return replace(
        checkpoint,
        scores=parent.scores,
        calibration=parent.calibration,
        precision={**parent.precision, **checkpoint.precision},
        mirror=parent.mirror or checkpoint.mirror,
        closer=parent.closer,
        int8=parent.int8,
    )


def _saved(checkpoint: Checkpoint, out: Path, run: Run) -> Checkpoint:
    """Write a student, and tell."""
    saved = checkpoint.save(out)
    run.events.emit("done", student=saved.id, path=str(saved.path), scores=dict(saved.scores), previous_scores=None)
    return saved


def _train_prompts(
    network: StudentNetwork, task: Task, recipe: Recipe, run: Run, *, minutes: float | None = None
) -> dict[str, Any]:
    """Train the corrector, if there is one and the recipe has steps for it; return its part of the provenance."""
    if network.corrector is None or not recipe.clicks.steps:
        return {}
    n = len(task.sources) if task.unlabelled is None else task.unlabelled
    prompts = PromptTask(network, task.config, task.schema, task.sources[:n], task.held_out)
    return {"clicks": train_corrector(prompts, recipe, run, minutes=minutes)}


def _network(
    parent: Checkpoint | None, config: StudentConfig, schema: Schema, recipe: Recipe, backbone: Path | None
) -> StudentNetwork:
    """Return the network to train, with the parent's weights or those of a new student."""
    if parent is not None:
        return from_student(parent, schema, recipe.seed, config)
    return from_scratch(config, schema, recipe.seed, backbone)


def _register(
    project: Project,
    checkpoint: Checkpoint,
    previous: Checkpoint,
    parent: Checkpoint | None,
    run: Run,
    *,
    choose: bool | None,
) -> str:
    """Score the previous and the new student on the same frames, then register the new one as the last step."""
    shares_structures = not set(previous.learnt_keys).isdisjoint(project.schema.keys)
    before = _scores_of_held_out(project, previous, run) if shares_structures else None
    shares_structures = not set(checkpoint.learnt_keys).isdisjoint(project.schema.keys)
    after = _scores_of_held_out(project, checkpoint, run) if shares_structures else {"mean_dice": None}
    work = Path(tempfile.mkdtemp(prefix="vfss-train-"))
    try:
        saved = replace(checkpoint, scores=after).save(work / "student.safetensors")
        run.cancel.check()
        record = project.add_student(
            work / "student.safetensors", scores=after, parent=None if parent is None else parent.id
        )
    finally:
        shutil.rmtree(work)
    in_use = _choose(project, saved, before, run, choose)
    outcome = {"scores": after, "previous": previous.id, "previous_scores": before, "in_use": in_use}
    run.events.emit("done", student=saved.id, path=str(record.path), **outcome)
    return saved.id


def _choose(
    project: Project, student: Checkpoint, before: Mapping[str, Any] | None, run: Run, choose: bool | None
) -> bool:
    """Choose the new student if it is to propose from now on, and tell; return whether it was chosen."""
    current = project.current_student()
    old, new = (before or {}).get("mean_dice"), student.scores.get("mean_dice")
    worse = old is not None and new is not None and new < old
    if choose or (choose is None and current is None and not worse):
        project.choose_student(student.id)
        run.events.emit(
            "notice", message=f"Student {student.id} was added to {project.folder} and proposes from now on."
        )
        return True
    proposing = "the student that ships" if current is None else f"student {current.id}"
    because = f" It scored lower: mean Dice {new:.3f} against {old:.3f}." if worse else ""
    run.events.emit(
        "notice",
        message=f"Student {student.id} was added to {project.folder}; {proposing} goes on proposing.{because} "
        f"To propose with the new one: vfss students {project.folder} --choose {student.id}",
    )
    return False


def _scores_of_held_out(project: Project, checkpoint: Checkpoint, run: Run) -> dict[str, Any]:
    """Return scores on the held-out patients at the frames' own size, without the id, which depends on the scores."""

    def progress(done: int, total: int) -> bool:
        run.cancel.check()
        return True

    student = Student(checkpoint, OpenVinoRuntime(checkpoint))
    scores = evaluation.evaluate(project, student, splits=sources.HELD_OUT, progress=progress)
    # A student must not carry names: the messages name files, and patients are as somebody typed them.
    counts = {name: len(scores[name]) for name in ("left_out", "patients")}
    kept = {name: value for name, value in scores.items() if name != "student"}
    return kept | counts | {"splits": list(sources.HELD_OUT)}


def starting_student(recipe: Recipe, student: str | None) -> Checkpoint | None:
    """Return the student to start from, named by the command line or else by the recipe; None: from scratch.

    Raises:
        TrainingError: The file has another hash than the recipe says.
    """
    name = student or recipe.start.student
    if not name:
        return None
    path = student_file(name)
    expected = recipe.start.sha256
    if student is None and expected and path.is_file() and sha256(path) != expected:
        raise TrainingError(
            f"recipe {recipe.name!r} starts from another student than this one, whose sha256 is {sha256(path)}",
            path=path,
            remedy=f"Name the one with sha256 {expected} by --student, or change the recipe.",
        )
    return load_checkpoint(path)


def _provenance(recipe: Recipe, run: Run, parent: Checkpoint | None) -> dict[str, Any]:
    """Return what the student's file records of its making."""
    return {
        "command": run.command,
        "recipe": recipe.to_dict(),
        "seed": recipe.seed,
        "parent": None if parent is None else parent.id,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version for name, version in versions().items() if name != "python"},
        "python": platform.python_version(),
    }
