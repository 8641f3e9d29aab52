# SPDX-License-Identifier: Apache-2.0
"""The mean picture of C3 and C4 on film and on phantoms: shows what the phantom draws elsewhere than people have it.

Each picture is turned, scaled and moved so that the middles of C3 and C4 lie one unit apart, contrast is made alike
everywhere, and all are averaged. Left film (17 persons, see cephalograms.py), right phantoms formed like such film.
The picture is of patients, if blurred beyond recognition: it is written outside the repository.

Run: python benchmarks/aligned_vertebrae.py --sheet FOLDER [--films FOLDER] [--phantoms N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from cephalograms import read_films
from levels import folder_of
from real_frames import create_picture_folder

from vfss.errors import VfssError
from vfss.phantom import Phantom
from vfss.phantom.style import STYLES

UNIT = 40  # pixels from one vertebra to the next
LEFT, RIGHT, ABOVE, BELOW = -1.0, 2.6, -2.0, 2.0  # the part shown, units around the middle of the body, x to the back
BODY = (0.5, 0.37)  # half a body, units
_ZOOM = 3

Picture = npt.NDArray[np.float32]
Point = npt.NDArray[np.float64]


def aligned(grey: npt.NDArray[np.uint8], c3: Point, c4: Point, middle: Point) -> Picture:
    """Return a picture of a patient who faces right in the frame of a vertebra, its contrast made alike everywhere."""
    down = (c4 - c3) / UNIT
    back = np.array((-down[1], down[0]))
    back = -back if back[0] > 0 else back
    corner = middle + (back * LEFT + down * ABOVE) * UNIT
    matrix = np.column_stack([back, down, corner])
    size = (round((RIGHT - LEFT) * UNIT), round((BELOW - ABOVE) * UNIT))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(grey.astype(np.float32), matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    detail = part - cv2.GaussianBlur(part, (0, 0), 0.45 * UNIT)
    return np.asarray(detail / (np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), 0.6 * UNIT)) + 2), np.float32)


def of_films(folder: Path) -> Iterator[tuple[Picture, Picture]]:
    """Yield C3 and C4 of each marked film."""
    for film in read_films(folder):
        if film.neck is not None:
            c3, c4 = (film.neck.bodies[level].mean(axis=0) for level in ("c3", "c4"))
            yield aligned(film.grey, c3, c4, c3), aligned(film.grey, c3, c4, c4)


def of_phantoms(n: int) -> Iterator[tuple[Picture, Picture]]:
    """Yield C3 and C4 of phantoms that are formed like films of heads, adults, seen near."""
    other = STYLES["standard"].other
    if other is None:
        raise VfssError("the style 'standard' has no films of heads")
    near = replace(other[1].framing, field_mm=(140.0, 170.0), jitter=0.03, level=3.5)
    population = replace(STYLES["standard"].population, children=0.0)
    STYLES["film"] = replace(other[1], population=population, framing=near)
    for seed in range(n):
        phantom = Phantom(seed, height=512, width=512, style="film", facing="right")
        c3, c4 = phantom.screen.pixels(phantom.patient.spine.centres[2:4])
        grey = phantom.frame(5)
        white = grey if phantom.inverted else 255 - grey
        if ((np.stack([c3, c4]) > 0) & (np.stack([c3, c4]) < 512)).all():
            yield aligned(white, c3, c4, c3), aligned(white, c3, c4, c4)


def tile(pictures: list[Picture]) -> npt.NDArray[np.uint8]:
    """Return the mean of pictures, enlarged, with boxes where the bodies of it and its neighbours would lie."""
    mean = np.clip(np.mean(pictures, axis=0) * 90 + 128, 0, 255).astype(np.uint8)
    large = cv2.resize(mean, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC)
    for level in (-1, 0, 1):
        ends = ((side * BODY[0] - LEFT, level + side * BODY[1] - ABOVE) for side in (-1, 1))
        first, last = ((round(x * UNIT * _ZOOM), round(y * UNIT * _ZOOM)) for x, y in ends)
        cv2.rectangle(large, first, last, 255, 1)
    return np.asarray(large)


def main(argv: list[str] | None = None) -> None:
    """Write the sheet: film and phantoms side by side, C3 above C4."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sheet", type=Path, required=True, help="folder outside the repository for the picture")
    parser.add_argument("--films", type=Path, help="folder of films and levels.json [$VFSS_SHARED/data/cephalograms]")
    parser.add_argument("--phantoms", type=int, default=30)
    options = parser.parse_args(argv)
    folder = create_picture_folder(options.sheet)
    columns = []
    for pairs in (list(of_films(folder_of(options.films, "films"))), list(of_phantoms(options.phantoms))):
        columns.append(np.concatenate([tile([pair[i] for pair in pairs]) for i in (0, 1)]))
    cv2.imwrite(str(folder / "aligned_vertebrae.png"), np.concatenate(columns, axis=1))


if __name__ == "__main__":
    try:
        main()
    except VfssError as error:
        sys.exit(str(error))
