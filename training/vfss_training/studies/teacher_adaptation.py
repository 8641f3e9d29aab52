# SPDX-License-Identifier: Apache-2.0
"""Adapt a teacher: train a head on its features of labelled frames, so that it can pseudo-label unlabelled ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from vfss.student.checkpoint import write_atomically
from vfss.student.config import LOGIT_STRIDE, StudentConfig
from vfss_training.config.recipe import Recipe
from vfss_training.data.augment import Augmentation
from vfss_training.data.samples import FrameStream, Sample
from vfss_training.loop.batches import share, view
from vfss_training.loop.run import Run
from vfss_training.loop.schedule import schedule
from vfss_training.losses.masks import MaskLoss
from vfss_training.teachers.adapted import AdaptedTeacher, MaskHead, correct
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.targets import CachedTargets
from vfss_training.teachers.teacher import FrozenTeacher

_WARM_UP = 0.1
_DECAY = 0.05
_VERSION = 2  # of how heads are built and trained: cached heads of another version are not used
_CORRECTED = ".layer."  # in the names of layers that have a correction beside them
_NO_QUALITY = MaskLoss(quality=0.0)


@dataclass(frozen=True)
class TeacherAdaptation:
    """Adaptation of one teacher to the structures of a schema.

    Attributes:
        entry: The teacher.
        load: Loads it with its weights; called only if its encoder is corrected.
        labelled: Annotated frames.
        items: Indices of those that it is trained on; it can be scored on the others.
        features: The teacher's features of views of all annotated frames.
        recipe: Training recipe.
        config: Config of the student, which gives the size of frames and masks.
        structures: Number of structures.
        run: Run settings (cache, events, cancellation).
    """

    entry: TeacherEntry
    load: Callable[[], FrozenTeacher]
    labelled: FrameStream
    items: tuple[int, ...]
    features: CachedTargets
    recipe: Recipe
    config: StudentConfig
    structures: int
    run: Run

    @property
    def key(self) -> str:
        """Hash of all that the adapted teacher depends on."""
        recipe = self.recipe
        depends = [
            _VERSION, self.entry.name, self.entry.fingerprint, self.features.folder.name, recipe.distill.standard,
            self.labelled.key, self.items, asdict(recipe.adapt), recipe.mixup, asdict(recipe.augmentation), recipe.seed,
            self.config.to_json(), self.structures,
        ]  # fmt: skip
        return hashlib.blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=10).hexdigest()

    def teacher(self) -> AdaptedTeacher:
        """Return the adapted teacher of the labelled frames, trained now or cached; for_frames() is for others."""
        adapt = self.recipe.adapt
        torch.manual_seed(self.recipe.seed)
        grid = self.config.input_size // LOGIT_STRIDE
        head = MaskHead(self.entry.channels, self.structures, adapt.width, grid)
        teacher = self.load() if adapt.rank else None
        trained = nn.ModuleDict({"head": head})
        if teacher is not None:
            trained["corrections"] = nn.ModuleList(correct(teacher, adapt.rank))
        path = self.run.cache / f"adapted-{self.key}.safetensors"
        if path.is_file():
            cached = load(path.read_bytes())
            # Only the layers beside the corrections are not cached: they come with the teacher.
            original = {name: weight for name, weight in trained.state_dict().items() if _CORRECTED in name}
            trained.load_state_dict(original | cached, strict=True)
        else:
            self.train(AdaptedTeacher(self.key, head, self.features, teacher), trained)
            write_atomically(path, save(_trained_weights(trained)))
        if torch.cuda.is_available():
            trained.cuda()
        trained.eval()
        return AdaptedTeacher(self.key, head, self.features, teacher)

    def train(self, adapted: AdaptedTeacher, module: nn.Module) -> None:
        """Train head and corrections, and report progress as events."""
        adapt, of = self.recipe.adapt, f"{self.entry.name} is adapted"
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        module.to(device).train()
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=adapt.learning_rate, weight_decay=_DECAY)
        for step in range(adapt.steps):
            self.run.cancel.check()
            self.run.events.emit("prepare", of=of, done=step, total=adapt.steps)
            for group in optimizer.param_groups:
                group["lr"] = adapt.learning_rate * schedule(step / adapt.steps, _WARM_UP)
            frames, places, target, known = self._batch(step)
            features = adapted.features(frames, places)
            target, known = share(target).to(device), known.to(device)
            if not adapt.rank:
                features, target = augment_features(
                    features, target, self.recipe.augmentation, (self.recipe.seed, 7, step)
                )
            features, target, known = self._mixed(features, target, known, step)
            logits = adapted.head(features)
            loss = _NO_QUALITY(logits.float(), logits.new_zeros(known.shape), target, known)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            optimizer.step()
        self.run.events.emit("prepare", of=of, done=adapt.steps, total=adapt.steps)

    def _batch(self, step: int) -> tuple[Tensor, list[tuple[int, int]], Tensor, Tensor]:
        """Return frames, their places in the stream, targets and known planes of a step; its number is the seed."""
        recipe, size = self.recipe, self.config.input_size
        random = np.random.default_rng((recipe.seed, 5, step))
        items = random.choice(self.items, recipe.adapt.batch, replace=len(self.items) < recipe.adapt.batch)
        places = [(int(item), int(random.integers(recipe.distill.views))) for item in items]
        samples: list[Sample] = []
        for item, number in places:
            sample = self.labelled[item]
            if recipe.adapt.rank:
                samples.append(recipe.augmentation(sample, random))
            else:
                samples.append(recipe.teacher_views(sample, item, number))
        rows = [view(sample, self.config, size, LOGIT_STRIDE) for sample in samples]
        frames = torch.from_numpy(np.stack([np.ascontiguousarray(sample.frame) for sample in samples]))
        return frames, places, torch.stack([row[1] for row in rows]), torch.stack([row[2] for row in rows])

    def _mixed(self, features: Tensor, target: Tensor, known: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mix features and masks with those of other frames of the batch, in the share of steps that the recipe has."""
        random = np.random.default_rng((self.recipe.seed, 6, step))
        if random.random() >= self.recipe.mixup:
            return features, target, known
        share_of_own = float(random.uniform(0.5, 1.0))
        other = torch.from_numpy(random.permutation(len(features))).to(features.device)
        both = torch.minimum(known, known[other])
        return (
            torch.lerp(features[other], features, share_of_own),
            torch.lerp(target[other], target, share_of_own),
            both,
        )


def augment_features(
    features: Tensor, target: Tensor, augmentation: Augmentation, seed: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Apply one geometric augmentation to cached features and masks, where the frame itself is no longer at hand.

    A teacher's features of a transformed frame are not quite its transformed features, but near enough to train a
    head on, and they cost nothing.

    Args:
        features: float (N, C, h, w).
        target: float (N, S, H, W).
        augmentation: Limits of the transformation.
        seed: Seed of the transformation.
    """
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(len(features)):
        mirror = -1.0 if random.random() < augmentation.flip else 1.0
        warped = float(random.random() < augmentation.warp)
        angle = warped * np.deg2rad(random.uniform(-augmentation.angle, augmentation.angle))
        zoom = np.exp(warped * random.uniform(-1, 1) * np.log(augmentation.scale))
        y, x = warped * 2.0 * random.uniform(-augmentation.shift, augmentation.shift, 2)
        cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
        rows.append([[mirror * cosine, -mirror * sine, x], [sine, cosine, y]])
    matrices = torch.tensor(rows, dtype=torch.float32, device=features.device)
    transformed = []
    for maps in (features, target):
        grid = functional.affine_grid(matrices, list(maps.shape), align_corners=False)
        transformed.append(functional.grid_sample(maps, grid, align_corners=False))
    return transformed[0], transformed[1]


def _trained_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights that were trained, without the layers that have a correction beside them."""
    weights: Mapping[str, Tensor] = module.state_dict()
    return {name: tensor.cpu().contiguous() for name, tensor in weights.items() if _CORRECTED not in name}
