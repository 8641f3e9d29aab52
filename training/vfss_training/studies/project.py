# SPDX-License-Identifier: Apache-2.0
"""Training on projects: accepted annotations, replayed phantom frames, and unlabelled frames with teachers' targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vfss.errors import TrainingError
from vfss.project import Project, Split
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.data.samples import (
    ListedSamples,
    Samples,
    UnlabelledSamples,
    first,
    project_samples,
    unlabelled_project_samples,
)
from vfss_training.loop.feature_targets import FeatureTargets
from vfss_training.loop.run import Run
from vfss_training.loop.soft_targets import MaskTargets, PseudoLabelled
from vfss_training.loop.task import Task
from vfss_training.studies import sources
from vfss_training.studies.pseudo_labels import PseudoLabeller

_VALIDATE_S = 45.0


@dataclass(frozen=True)
class ProjectStudy:
    """Frames of projects to train on.

    Attributes:
        projects: Projects of one schema; the first one gets the student.
        recipe: Training recipe.
        config: Config of the student.
        run: Run settings (cache, events, cancellation).
        backbone: ImageNet weights, for extra students.
        parent: The student to start from, which makes pseudo-labels as well.
        left_out: Messages on recordings, frames and masks that could not be read, filled by `task`.
    """

    projects: tuple[Project, ...]
    recipe: Recipe
    config: StudentConfig
    run: Run
    backbone: Path | None = None
    parent: Checkpoint | None = None
    left_out: list[str] = field(default_factory=list)

    @property
    def schema(self) -> Schema:
        """Structures of the projects."""
        return self.projects[0].schema

    def task(self, network: StudentNetwork) -> Task:
        """Return the task of a network with that config; missing targets of teachers are computed first.

        Raises:
            TrainingError: There is no accepted annotation, or a patient is trained on in one project and held out in
                another.
        """
        recipe, run = self.recipe, self.run
        refuse_leaks(self.projects)
        for project in self.projects:
            project.keep_out_of_evaluation()
        self.left_out.clear()
        labelled, held_out = self._training_frames(), self._labelled(sources.HELD_OUT)
        replayed = sources.phantom_samples(recipe, self.schema, self.config, run.cache, run.events)
        used: tuple[Samples, ...] = (labelled, replayed) if recipe.replay > 0 else (labelled,)
        unlabelled = self._unlabelled() if recipe.distill.teachers or recipe.pseudo_labels else ListedSamples(())
        source, features, masks = len(used), tuple[FeatureTargets, ...](), None
        if len(unlabelled) > 0:
            features, masks = self._targets(labelled, unlabelled, source)
            used = (
                *used,
                UnlabelledSamples(unlabelled) if masks is None else PseudoLabelled(unlabelled, masks.targets),
            )
        elif recipe.distill.teachers:
            features = self._features_without_unlabelled(labelled, replayed)
        return Task(
            network,
            self.config,
            self.schema,
            recipe,
            used,
            sources.sample_held_out(held_out),
            features,
            masks,
            unlabelled=source if len(unlabelled) > 0 else None,
            source=self._source(labelled, replayed, unlabelled),
            validate_s=_VALIDATE_S,
        )

    def _features_without_unlabelled(
        self, labelled: ListedSamples, replayed: PhantomSamples
    ) -> tuple[FeatureTargets, ...]:
        """Return teachers' features where every frame is annotated: of phantom frames, or else of annotated ones."""
        recipe, run = self.recipe, self.run
        source = 1 if recipe.replay > 0 else 0
        cached = sources.cached_teacher_features(recipe, replayed if source else labelled, run)
        return sources.feature_targets(recipe, cached, source, run)

    def _targets(
        self, labelled: ListedSamples, unlabelled: ListedSamples, source: int
    ) -> tuple[tuple[FeatureTargets, ...], MaskTargets | None]:
        """Return teachers' features of the unlabelled frames, and pseudo-labels of them if the recipe asks for any."""
        recipe = self.recipe
        cached = sources.cached_teacher_features(recipe, unlabelled, self.run)
        features = sources.feature_targets(recipe, cached, source, self.run)
        if not recipe.pseudo_labels:
            return features, None
        trained = first(labelled, recipe.distill.frames)
        of_trained = sources.cached_teacher_features(recipe, trained, self.run) if recipe.adapt.steps else {}
        labeller = PseudoLabeller(recipe, self.config, self.schema, self.run, trained, self.backbone, self.parent)
        return features, MaskTargets(labeller.pseudo_label(unlabelled, cached, of_trained), source)

    def _training_frames(self) -> ListedSamples:
        """Return the annotated frames of training patients; there is one at least."""
        labelled = self._labelled(sources.TRAINED)
        if len(labelled) == 0:
            if self.left_out:
                raise TrainingError(
                    f"nothing of what is accepted of training patients can be read; the first: {self.left_out[0]}",
                    path=self.projects[0].folder,
                    remedy="Run `vfss check --frames` on the project, and put back what is missing.",
                )
            raise TrainingError(
                "no accepted annotation of a training patient",
                path=self.projects[0].folder,
                remedy="Accept some frames of a clip whose patient is in the split 'train'.",
            )
        return labelled

    def _labelled(self, splits: Sequence[Split]) -> ListedSamples:
        """Return the annotated frames of patients in some splits, of all projects."""
        tick = sources.prepare_progress(self.run, "reading frames")
        size = self.config.input_size
        return ListedSamples.joined(
            [project_samples(one, splits, size, tick=tick, left_out=self._leave_out) for one in self.projects]
        )

    def _unlabelled(self) -> ListedSamples:
        """Return as many unlabelled frames as have targets, the same number of each project."""
        n = self.recipe.distill.frames // len(self.projects)
        tick = sources.prepare_progress(self.run, "reading frames")
        samples = [
            unlabelled_project_samples(
                one, sources.TRAINED, self.config.input_size, n, tick=tick, left_out=self._leave_out
            )
            for one in self.projects
        ]
        return ListedSamples.joined(samples)

    def _leave_out(self, message: str) -> None:
        self.left_out.append(message)
        self.run.events.emit("left_out", message=f"Left out, as it cannot be read: {message}")

    def _source(
        self, labelled: ListedSamples, replayed: PhantomSamples, unlabelled: ListedSamples
    ) -> dict[str, object]:
        """Return what the run's history records of its data."""
        own = self.projects[0]
        source: dict[str, object] = {"project": own.id, "frames": len(labelled), "last_revision": own.last_revision()}
        source["patients"] = len({labelled.patient(i) for i in range(len(labelled))})
        source |= {"phantom": replayed.source, "phantom_frames": len(replayed)}
        if len(unlabelled) > 0:
            source |= {"film": unlabelled.key, "film_frames": len(unlabelled)}
        if len(self.projects) > 1:
            source["others"] = [{"project": one.id, "last_revision": one.last_revision()} for one in self.projects[1:]]
        return source


def refuse_leaks(projects: Sequence[Project]) -> None:
    """Refuse projects that train on a patient or recording which another one holds out.

    Raises:
        TrainingError: They do, or they have different schemas.
    """
    trained: dict[str, Project] = {}
    held_out: dict[str, Project] = {}
    for project in projects:
        if project.schema.keys != projects[0].schema.keys:
            raise TrainingError(
                f"its structures differ from those of {projects[0].folder}",
                path=project.folder,
                remedy="Train on projects of one schema.",
            )
        sides = project.clip_splits()
        for record in project.clips():
            if sides[record.id] is None:  # in neither
                continue
            side = trained if sides[record.id] in sources.TRAINED else held_out
            side |= {f"patient {record.patient!r}": project, f"recording {record.id}": project}
    for name in sorted(set(trained) & set(held_out)):
        raise TrainingError(
            f"{name} is trained on in {trained[name].folder} and held out in {held_out[name].folder}",
            remedy="Give the patient the same split in both, or, if these are two people, other pseudonyms.",
        )
