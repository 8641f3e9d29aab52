# SPDX-License-Identifier: Apache-2.0
"""A training on projects: what people accepted, phantom frames beside it, and film that teachers have a say on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    """What some projects have to teach.

    Attributes:
        projects: All of one schema; the first is the one that gets the student.
        recipe: How.
        config: Of the student.
        run: Circumstances.
        backbone: ImageNet weights, for students that teach.
        parent: The student to go on from, which paints as well.
    """

    projects: tuple[Project, ...]
    recipe: Recipe
    config: StudentConfig
    run: Run
    backbone: Path | None = None
    parent: Checkpoint | None = None

    @property
    def schema(self) -> Schema:
        """Structures of the projects."""
        return self.projects[0].schema

    def task(self, network: StudentNetwork) -> Task:
        """What a network with that config is to learn; whatever teachers have to say first is computed here.

        Raises:
            TrainingError: Nobody has accepted anything, or a patient is learnt here and held out there.
        """
        recipe, run = self.recipe, self.run
        refuse_leaks(self.projects)
        learnt, held_out = self._labelled(sources.TRAINED), self._labelled(sources.HELD_OUT)
        if len(learnt) == 0:
            raise TrainingError(
                "no accepted annotation of a training patient",
                path=self.projects[0].folder,
                remedy="Accept some frames of a clip whose patient is in the split 'train'.",
            )
        replayed = sources.phantoms(recipe, self.schema, self.config, run.cache, run.events)
        used: tuple[Samples, ...] = (learnt, replayed) if recipe.replay > 0 else (learnt,)
        film = self._film() if recipe.distill.teachers or recipe.pseudo_labels else ListedSamples(())
        where, told, painted = len(used), tuple[FeatureTargets, ...](), None
        if len(film) > 0:
            told, painted = self._taught(learnt, film, where)
            used = (*used, UnlabelledSamples(film) if painted is None else PseudoLabelled(film, painted.targets))
        elif recipe.distill.teachers:
            # Every frame is painted: teachers speak of phantoms.
            where = 1 if recipe.replay > 0 else 0
            told = sources.feature_targets(
                recipe, sources.cached_teacher_features(recipe, replayed if where else learnt, run), where, run
            )
        return Task(
            network,
            self.config,
            self.schema,
            recipe,
            used,
            sources.sample_held_out(held_out),
            told,
            painted,
            unlabelled=where if len(film) > 0 else None,
            source=self._source(learnt, replayed, film),
            validate_s=_VALIDATE_S,
        )

    def _taught(
        self, learnt: ListedSamples, film: ListedSamples, where: int
    ) -> tuple[tuple[FeatureTargets, ...], MaskTargets | None]:
        """Features of film, and masks painted on it by those who learnt the labels."""
        recipe = self.recipe
        shown = sources.cached_teacher_features(recipe, film, self.run)
        told = sources.feature_targets(recipe, shown, where, self.run)
        if not recipe.pseudo_labels:
            return told, None
        some = first(learnt, recipe.distill.frames)
        seen = sources.cached_teacher_features(recipe, some, self.run) if recipe.adapt.steps else {}
        whole = (recipe, self.config, self.schema, self.run, some, self.backbone, self.parent)
        targets = PseudoLabeller(*whole).paint(film, shown, seen)
        return told, MaskTargets(targets, where)

    def _labelled(self, splits: Sequence[Split]) -> ListedSamples:
        tick = sources.ticking(self.run, "reading frames")
        found = [project_samples(one, splits, self.config.input_size, tick=tick) for one in self.projects]
        return ListedSamples.joined(found)

    def _film(self) -> ListedSamples:
        """As many frames as have targets, of each project its share."""
        n = self.recipe.distill.frames // len(self.projects)
        tick = sources.ticking(self.run, "reading frames")
        found = [
            unlabelled_project_samples(one, sources.TRAINED, self.config.input_size, n, tick=tick)
            for one in self.projects
        ]
        return ListedSamples.joined(found)

    def _source(self, learnt: ListedSamples, replayed: PhantomSamples, film: ListedSamples) -> dict[str, object]:
        first = self.projects[0]
        told: dict[str, object] = {"project": first.id, "frames": len(learnt), "last_revision": first.last_revision()}
        told |= {"phantom": replayed.source, "phantom_frames": len(replayed)}
        if len(film) > 0:
            told |= {"film": film.key, "film_frames": len(film)}
        if len(self.projects) > 1:
            told["others"] = [{"project": one.id, "last_revision": one.last_revision()} for one in self.projects[1:]]
        return told


def refuse_leaks(projects: Sequence[Project]) -> None:
    """Make sure that nobody is learnt in one project and held out in another.

    Raises:
        TrainingError: A patient, or a recording, is; or the projects have different schemas.
    """
    learnt: dict[str, Project] = {}
    held_out: dict[str, Project] = {}
    for project in projects:
        if project.schema.keys != projects[0].schema.keys:
            raise TrainingError(
                f"its structures are others than those of {projects[0].folder}",
                path=project.folder,
                remedy="Train on projects of one schema.",
            )
        for record in project.clips():
            side = learnt if project.split(record.patient) in sources.TRAINED else held_out
            side |= {f"patient {record.patient!r}": project, f"recording {record.id}": project}
    for who in sorted(set(learnt) & set(held_out)):
        raise TrainingError(
            f"{who} is learnt in {learnt[who].folder} and held out in {held_out[who].folder}",
            remedy="Give the patient the same split in both, or, if these are two people, other pseudonyms.",
        )
