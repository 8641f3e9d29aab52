# SPDX-License-Identifier: Apache-2.0
"""How much was corrected, and how much is enough to train again: values without a database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Corrected:
    """What people corrected.

    Attributes:
        frames: Frames on which a person changed a mask; accepting it untouched does not count.
        clips: Clips on which a person wrote, and where no mask waits for a person any more.
    """

    frames: int = 0
    clips: int = 0


@dataclass(frozen=True)
class EnoughCorrected:
    """How much is enough to propose a training; either number is.

    Twenty corrected frames are more than one batch of the quick training (12), and two finished clips are two
    swallows that the student has never learnt from. Fewer than that, and the replayed phantoms outweigh what is new.

    Attributes:
        frames: Corrected frames.
        clips: Finished clips.
    """

    frames: int = 20
    clips: int = 2

    def __call__(self, corrected: Corrected) -> bool:
        """Return whether so much is enough."""
        return corrected.frames >= self.frames or corrected.clips >= self.clips
