# SPDX-License-Identifier: Apache-2.0
"""Statistics of two readers' agreement: means with intervals, presence, Cohen's kappa."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.evaluation.bootstrap import RESAMPLES, FloatArray, draw_counts, middle_95
from vfss.masks import MaskState
from vfss.wording import count, figure, listed

_NAMED = 5  # damaged masks in a summary

HEADINGS = (
    *("structure", "Dice", "95 %", "n", "HD95 (px)", "95 %", "n"),
    *("frames", "only 1st", "only 2nd", "both empty", "not visible", "kappa"),
)
"""Headings of the columns that `cells` fills; each n is the number of frames that the mean before it is over."""

WORST = 30
Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """One structure on one frame, as both readers finished it.

    Attributes:
        clip: Content id of the clip.
        recording: Name of its file.
        patient: Pseudonym of the patient.
        frame: Zero-based frame index.
        structure: Key of the structure.
        first: State by the first reader.
        second: State by the second reader.
        present: Whether the first and the second reader drew it: a mask with pixels.
        dice: 0..1; NaN if it is "not visible" for a reader or neither drew a pixel; 0 if one drew it and one did not.
        hd95: Distance of the contours in pixels of the frame; NaN if not both drew one.
    """

    clip: str
    recording: str
    patient: str
    frame: int
    structure: str
    first: MaskState
    second: MaskState
    present: tuple[bool, bool]
    dice: float
    hd95: float

    @property
    def differs(self) -> bool:
        """True if one reader drew it and the other did not."""
        return self.present[0] != self.present[1]


@dataclass(frozen=True)
class StructureAgreement:
    """Figures of one structure; None where there are no frames to compute them from.

    Attributes:
        key: Key of the structure.
        compared: Frames on which both have finished it.
        both_present: Frames on which both drew it.
        both_absent: Frames on which neither drew it.
        only_first: Frames on which only the first reader drew it.
        only_second: Frames on which only the second reader drew it.
        not_visible: Frames on which it is "not visible" for the first and for the second reader.
        dice: Mean Dice.
        dice_interval: 95 % interval of the mean Dice.
        dice_frames: Frames that the mean Dice is over: one of them drew it at least, "not visible" for neither.
        hd95: Mean contour distance in pixels where both drew it.
        hd95_interval: 95 % interval of the mean distance.
        hd95_frames: Frames that the mean distance is over: both drew it.
        kappa: Cohen's kappa for presence; None if both readers gave the same single answer on all frames.
    """

    key: str
    compared: int
    both_present: int
    both_absent: int
    only_first: int
    only_second: int
    not_visible: tuple[int, int]
    dice: float | None
    dice_interval: Interval | None
    dice_frames: int
    hd95: float | None
    hd95_interval: Interval | None
    hd95_frames: int
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """Figures of two readers' agreement.

    Attributes:
        reader: Name of the second reader.
        unit: What was resampled for the intervals: "patients", "clips" or "frames".
        units: Number of units.
        frames: Frames with at least one structure that both finished.
        structures: Figures of each structure, in the order of the schema.
        mean: Means over structures, each with the same weight; counts are sums.
        worst: The comparisons that differ most.
        left_out: Messages on damaged masks, which were not compared.
    """

    reader: str
    unit: str
    units: int
    frames: int
    structures: tuple[StructureAgreement, ...]
    mean: StructureAgreement
    worst: tuple[Comparison, ...]
    left_out: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What was compared, in a sentence or two."""
        alike = " Frames of one clip are alike: the true intervals are wider." if self.unit == "frames" else ""
        damaged = count(len(self.left_out), "damaged mask was", "damaged masks were")
        left_out = f" {damaged} left out: {listed(self.left_out, _NAMED)}." if self.left_out else ""
        return (
            f"First reader and {self.reader}, on {self.frames} frames that both have finished; "
            f"95 % intervals over {self.units} {self.unit}.{alike}{left_out}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; NaN becomes None."""
        data: dict[str, Any] = _to_json(asdict(self))
        return data


def summarise(comparisons: list[Comparison], keys: Sequence[str], *, reader: str = "", seed: int = 0) -> Agreement:
    """Compute the figures of comparisons.

    Args:
        comparisons: Comparisons, at least one.
        keys: Keys of all structures, in order.
        reader: Name of the second reader.
        seed: Seed of the resampling for the intervals: the same comparisons give the same figures.
    """
    unit, names = _units(comparisons)
    index = {name: i for i, name in enumerate(dict.fromkeys(names))}
    owner = np.array([index[name] for name in names])
    # How often each unit is drawn, (RESAMPLES, units): the same for all structures, as one patient has them all.
    n = len(index)
    drawn = draw_counts(n, RESAMPLES, np.random.default_rng(seed))
    rows, dices, distances = [], [], []
    for key in keys:
        at = np.array([comparison.structure == key for comparison in comparisons])
        chosen = [comparison for comparison in comparisons if comparison.structure == key]
        dices.append(_Mean.of([c.dice for c in chosen], owner[at], drawn))
        distances.append(_Mean.of([c.hd95 for c in chosen], owner[at], drawn))
        rows.append(_row(key, chosen, dices[-1], distances[-1]))
    frames = len({(comparison.clip, comparison.frame) for comparison in comparisons})
    mean = _row("mean", comparisons, _Mean.over(dices), _Mean.over(distances))
    return Agreement(reader, unit, n, frames, tuple(rows), mean, _worst(comparisons))


def _units(comparisons: list[Comparison]) -> tuple[str, list[Any]]:
    levels: tuple[tuple[str, Callable[[Comparison], Any]], ...] = (
        ("patients", lambda c: c.patient),
        ("clips", lambda c: c.clip),
        ("frames", lambda c: (c.clip, c.frame)),
    )
    for unit, name_of in levels:
        names = [name_of(comparison) for comparison in comparisons]
        if len(set(names)) > 1 or unit == "frames":
            break
    return unit, names


@dataclass(frozen=True)
class _Mean:
    """A mean over frames, NaN without any, and its value in each resample."""

    value: float
    draws: FloatArray

    @classmethod
    def of(cls, values: list[float], owner: npt.NDArray[np.int64], drawn: FloatArray) -> _Mean:
        """Compute the mean of the values that are not NaN; value i belongs to unit owner[i]; drawn is (R, units)."""
        numbers = np.asarray(values, np.float64)
        known = ~np.isnan(numbers)
        units = drawn.shape[1]
        sums = np.bincount(owner[known], numbers[known], units)
        counts = np.bincount(owner[known], minlength=units).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return cls(float(np.divide(sums.sum(), counts.sum())), (drawn @ sums) / (drawn @ counts))

    @classmethod
    def over(cls, means: list[_Mean]) -> _Mean:
        """Compute the mean of several means, those without a value left out."""
        known = [mean for mean in means if not math.isnan(mean.value)]
        if not known:
            return cls(math.nan, np.full(RESAMPLES, math.nan))
        draws = np.stack([mean.draws for mean in known])
        has_value = ~np.isnan(draws)
        with np.errstate(invalid="ignore", divide="ignore"):
            averages = np.where(has_value, draws, 0).sum(axis=0) / has_value.sum(axis=0)
        return cls(float(np.mean([mean.value for mean in known])), averages)

    @property
    def interval(self) -> Interval | None:
        """Middle 95 % of the draws."""
        known = self.draws[~np.isnan(self.draws)]
        if math.isnan(self.value) or not known.size:
            return None
        return middle_95(known)


def _row(key: str, chosen: list[Comparison], overlap: _Mean, distance: _Mean) -> StructureAgreement:
    counts = {pair: 0 for pair in ((True, True), (True, False), (False, True), (False, False))}
    for comparison in chosen:
        counts[comparison.present] += 1
    hidden = [sum(state is MaskState.NOT_VISIBLE for state in states) for states in _states(chosen)]
    return StructureAgreement(
        key=key,
        compared=len(chosen),
        both_present=counts[True, True],
        both_absent=counts[False, False],
        only_first=counts[True, False],
        only_second=counts[False, True],
        not_visible=(hidden[0], hidden[1]),
        dice=_none_if_nan(overlap.value),
        dice_interval=overlap.interval,
        dice_frames=sum(not math.isnan(comparison.dice) for comparison in chosen),
        hd95=_none_if_nan(distance.value),
        hd95_interval=distance.interval,
        hd95_frames=sum(not math.isnan(comparison.hd95) for comparison in chosen),
        kappa=cohen_kappa(counts[True, True], counts[True, False], counts[False, True], counts[False, False]),
    )


def _states(chosen: list[Comparison]) -> tuple[list[MaskState], list[MaskState]]:
    return [comparison.first for comparison in chosen], [comparison.second for comparison in chosen]


def cells(row: StructureAgreement) -> tuple[str, ...]:
    """Return a row of a table as text, "-" where there is no figure; see HEADINGS."""
    hidden = f"{row.not_visible[0]}, {row.not_visible[1]}"
    presence = (row.compared, row.only_first, row.only_second, row.both_absent)
    overlap = (figure(row.dice, 3), _format_interval(row.dice_interval, 3), str(row.dice_frames))
    distance = (figure(row.hd95, 1), _format_interval(row.hd95_interval, 1), str(row.hd95_frames))
    return (row.key, *overlap, *distance, *map(str, presence), hidden, figure(row.kappa, 2))


def _format_interval(interval: Interval | None, digits: int) -> str:
    return "-" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def cohen_kappa(both: int, only_first: int, only_second: int, neither: int) -> float | None:
    """Return Cohen's kappa of two readers' yes or no; None if they agree by chance alone.

    Args:
        both: Number of times that both answered yes.
        only_first: Number of times that only the first did.
        only_second: Number of times that only the second did.
        neither: Number of times that neither did.
    """
    n = both + only_first + only_second + neither
    if n == 0:
        return None
    yes = (both + only_first) / n, (both + only_second) / n
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return None if chance == 1 else ((both + neither) / n - chance) / (1 - chance)


def _worst(comparisons: list[Comparison]) -> tuple[Comparison, ...]:
    """Return the comparisons that only one reader drew, then those with the lowest Dice; full agreement is left out."""
    differing = [c for c in comparisons if c.differs or c.dice < 1]
    differing.sort(key=lambda c: (0.0 if c.differs else c.dice, -np.nan_to_num(c.hd95), c.recording, c.frame))
    return tuple(differing[:WORST])


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(inner) for inner in value]
    if isinstance(value, MaskState):
        return value.label
    return _none_if_nan(value) if isinstance(value, float) else value
