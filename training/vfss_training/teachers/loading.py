# SPDX-License-Identifier: Apache-2.0
"""Teachers with their published weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vfss_training.teachers.networks.hiera import HieraTeacher
from vfss_training.teachers.networks.mobile_sam import PromptedTeacher
from vfss_training.teachers.networks.rad_dino import DinoTeacher
from vfss_training.teachers.networks.sam_vit import SamVitTeacher
from vfss_training.teachers.networks.swin import SwinTeacher
from vfss_training.teachers.table import TeacherEntry, teacher_named
from vfss_training.teachers.teacher import FrozenTeacher
from vfss_training.teachers.weights import read_weights, verified_file

BUILDERS: dict[str, Callable[[TeacherEntry], FrozenTeacher]] = {
    "mobile-sam": PromptedTeacher,
    "lite-medsam": PromptedTeacher,
    "medsam": SamVitTeacher,
    "sam-vit-b": SamVitTeacher,
    "medsam2": HieraTeacher,
    "rad-dino": DinoTeacher,
    "medclip": SwinTeacher,
}


def build_teacher(entry: TeacherEntry) -> FrozenTeacher:
    """Create a teacher with random weights."""
    return BUILDERS[entry.name](entry)


def load_teacher(name: str, place: Path | None = None) -> FrozenTeacher:
    """Load a teacher with its published weights; nothing in the file is executed.

    Args:
        name: Its name in TEACHERS.
        place: File of the weights, or its folder; None: the user's cache folder.

    Raises:
        TrainingError: There is no such teacher, or the file is missing, a different one, or does not fit.
    """
    entry = teacher_named(name)
    path = verified_file(entry, place)
    weights = read_weights(entry, path)
    teacher = build_teacher(entry)
    teacher.load_published(weights)
    return teacher
