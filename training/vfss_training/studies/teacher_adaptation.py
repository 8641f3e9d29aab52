# SPDX-License-Identifier: Apache-2.0
"""Adapting: a teacher learns the structures from the labelled frames, so that it can paint those without labels."""

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
_VERSION = 2  # of how heads are built and taught: others are not taken up
_CORRECTED = ".layer."  # in the names of layers that have a correction beside them
_NO_QUALITY = MaskLoss(quality=0.0)


@dataclass(frozen=True)
class Adapting:
    """Teaches one teacher the structures.

    Attributes:
        entry: Which teacher.
        load: Gives it with its weights; asked only where its encoder is to be corrected.
        labelled: Frames that people painted.
        items: Those of them that it learns; it can be judged by the others.
        seen: The teacher's features of views of all of them.
        recipe: How.
        config: Of the student, which says how large frames and masks are.
        structures: How many.
        run: Where results are kept, and how it is stopped.
    """

    entry: TeacherEntry
    load: Callable[[], FrozenTeacher]
    labelled: FrameStream
    items: tuple[int, ...]
    seen: CachedTargets
    recipe: Recipe
    config: StudentConfig
    structures: int
    run: Run

    @property
    def key(self) -> str:
        """Hash of all that the adapted teacher depends on."""
        recipe = self.recipe
        moved = asdict(recipe.augmentation)
        depends = [
            _VERSION, self.entry.name, self.entry.fingerprint, self.seen.folder.name, recipe.distill.standard,
            self.labelled.key, self.items, asdict(recipe.adapt), recipe.mixup, moved, recipe.seed,
            self.config.to_json(), self.structures,
        ]  # fmt: skip
        return hashlib.blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=10).hexdigest()

    def teacher(self) -> AdaptedTeacher:
        """The teacher, taught now or before; it paints the labelled frames, or others with shown()."""
        how = self.recipe.adapt
        torch.manual_seed(self.recipe.seed)
        grid = self.config.input_size // LOGIT_STRIDE
        head = MaskHead(self.entry.channels, self.structures, how.width, grid)
        teacher = self.load() if how.rank else None
        learnt = nn.ModuleDict({"head": head})
        if teacher is not None:
            learnt["corrections"] = nn.ModuleList(correct(teacher, how.rank))
        path = self.run.cache / f"adapted-{self.key}.safetensors"
        if path.is_file():
            kept = load(path.read_bytes())
            # What is not kept is only what was corrected, and came with the teacher.
            own = {name: weight for name, weight in learnt.state_dict().items() if _CORRECTED in name}
            learnt.load_state_dict(own | kept, strict=True)
        else:
            self._learn(AdaptedTeacher(self.key, head, self.seen, teacher), learnt)
            write_atomically(path, save(_learnt(learnt)))
        if torch.cuda.is_available():
            learnt.cuda()
        learnt.eval()
        return AdaptedTeacher(self.key, head, self.seen, teacher)

    def _learn(self, taught: AdaptedTeacher, learnt: nn.Module) -> None:
        """Teach head and corrections; with a bar's worth of events."""
        how = self.recipe.adapt
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        learnt.to(device).train()
        trained = [weight for weight in learnt.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=how.learning_rate, weight_decay=_DECAY)
        for step in range(how.steps):
            self.run.cancel.check()
            self.run.events.emit("prepare", of=f"{self.entry.name} learns", done=step, total=how.steps)
            for group in optimizer.param_groups:
                group["lr"] = how.learning_rate * schedule(step / how.steps, _WARM_UP)
            frames, places, target, known = self._batch(step)
            features = taught.features(frames, places)
            target, known = share(target).to(device), known.to(device)
            if not how.rank:
                features, target = moved(features, target, self.recipe.augmentation, (self.recipe.seed, 7, step))
            features, target, known = self._mixed(features, target, known, step)
            logits = taught.head(features)
            loss = _NO_QUALITY(logits.float(), logits.new_zeros(known.shape), target, known)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            optimizer.step()
        self.run.events.emit("prepare", of=f"{self.entry.name} learns", done=how.steps, total=how.steps)

    def _batch(self, step: int) -> tuple[Tensor, list[tuple[int, int]], Tensor, Tensor]:
        """Frames, their places, targets and known planes of one step, drawn by its number."""
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
        """Features and masks mixed with those of other frames of the batch, in as many steps as the recipe mixes."""
        random = np.random.default_rng((self.recipe.seed, 6, step))
        if random.random() >= self.recipe.mixup:
            return features, target, known
        much = float(random.uniform(0.5, 1.0))
        other = torch.from_numpy(random.permutation(len(features))).to(features.device)
        both = torch.minimum(known, known[other])
        return torch.lerp(features[other], features, much), torch.lerp(target[other], target, much), both


def moved(features: Tensor, target: Tensor, augmentation: Augmentation, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Kept features and masks moved alike, where the frame itself cannot be moved any more.

    A teacher's features of a moved frame are not quite its moved features, but near enough for a head to learn from,
    and they cost nothing.

    Args:
        features: float (N, C, h, w).
        target: float (N, S, H, W).
        augmentation: How far.
        seed: Of the moves.
    """
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(len(features)):
        mirror = -1.0 if random.random() < augmentation.flip else 1.0
        far = float(random.random() < augmentation.warp)
        angle = far * np.deg2rad(random.uniform(-augmentation.angle, augmentation.angle))
        zoom = np.exp(far * random.uniform(-1, 1) * np.log(augmentation.scale))
        y, x = far * 2.0 * random.uniform(-augmentation.shift, augmentation.shift, 2)
        cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
        rows.append([[mirror * cosine, -mirror * sine, x], [sine, cosine, y]])
    places = torch.tensor(rows, dtype=torch.float32, device=features.device)
    found = []
    for maps in (features, target):
        grid = functional.affine_grid(places, list(maps.shape), align_corners=False)
        found.append(functional.grid_sample(maps, grid, align_corners=False))
    return found[0], found[1]


def _learnt(module: nn.Module) -> dict[str, Tensor]:
    """Weights that were learnt, without the layers that were only corrected."""
    own: Mapping[str, Tensor] = module.state_dict()
    return {name: tensor.cpu().contiguous() for name, tensor in own.items() if _CORRECTED not in name}
