# SPDX-License-Identifier: Apache-2.0
"""What is painted on the picture, not exposed: text, rulers, arrows, dots, cursors, frames, a player's controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class OverlayRange:
    """Shares of clips with something painted on.

    Attributes:
        text: Lines of text.
        ruler: A ruler with its unit.
        dots: Landmark dots, squares or crosses; they come and go.
        cursor: An arrow.
        lines: A box or a line across.
        player: A player's bar, its shade and buttons.
        console: The console's text in several corners, and a wedge of greys.
        arrow: Arrows and words that point at something.
    """

    text: float = 0.3
    ruler: float = 0.15
    dots: float = 0.12
    cursor: float = 0.08
    lines: float = 0.08
    player: float = 0.06
    console: float = 0.0
    arrow: float = 0.0


@dataclass(frozen=True)
class Overlays:
    """What is painted on the frames of one clip: names of OverlayRange, and the seed of where and how."""

    kinds: tuple[str, ...]
    seed: int


def sample_overlays(rng: np.random.Generator, ranges: OverlayRange) -> Overlays:
    """Overlays from their ranges."""
    drawn = rng.random(len(_PAINTERS))
    kinds = tuple(kind for kind, share in zip(_PAINTERS, drawn, strict=True) if share < getattr(ranges, kind))
    return Overlays(kinds, int(rng.integers(2**31)))


def painted(overlays: Overlays, picture: Bytes, t: int) -> Bytes:
    """The picture of frame t with all that is painted on, uint8 (height, width)."""
    if not overlays.kinds:
        return picture
    image = Image.fromarray(picture)
    for kind in overlays.kinds:
        rng = np.random.default_rng((overlays.seed, list(_PAINTERS).index(kind)))
        _PAINTERS[kind](image, rng, t)
    return np.array(image, np.uint8)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Letters of a size in pixels."""
    return ImageFont.load_default(size)


def _text(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    """Lines in a corner, as a capture device writes them; the last may count frames."""
    draw = ImageDraw.Draw(image)
    size = max(7, int(min(image.size) * rng.uniform(0.02, 0.045)))
    at = [int(rng.choice((0.02, 0.4, 0.7)) * image.width), int(rng.choice((0.02, 0.85)) * image.height)]
    fill = int(rng.choice((255, 220, 0)))
    for _ in range(int(rng.integers(1, 5))):
        digits = rng.integers(0, 10, 6)
        form = str(rng.choice(("PHANTOM", "kV {}{}", "{}{}:{}{}:{}{}", "FR {}{}{}", "LAT {}", "{}.{} mA", "[{}] {}{}")))
        draw.text((at[0], at[1]), form.format(*digits), fill=fill, font=font(size))
        at[1] += size + 2
    if rng.random() < 0.4:
        draw.text((at[0], at[1]), f"{t + int(rng.integers(0, 900)):04d}", fill=fill, font=font(size))


def _ruler(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    draw, fill = ImageDraw.Draw(image), int(rng.choice((0, 40, 255)))
    upright = rng.random() < 0.7
    along, across = (image.height, image.width) if upright else (image.width, image.height)
    start, side = rng.uniform(0.1, 0.4) * along, rng.choice((0.03, 0.08, 0.92, 0.97)) * across
    step, n = rng.uniform(0.03, 0.1) * along, int(rng.integers(4, 11))
    tick = rng.choice((-1, 1)) * rng.uniform(0.008, 0.025) * across

    def line(a: float, b: float, c: float, d: float) -> None:
        draw.line((b, a, d, c) if upright else (a, b, c, d), fill=fill)

    line(start, side, start + n * step, side)
    for i in range(n + 1):
        line(start + i * step, side, start + i * step, side + (tick if i % 5 else 1.8 * tick))
    size = max(7, int(0.025 * min(image.size)))
    at = (side - size, start + n * step + 2) if upright else (start + n * step + 3, side)
    draw.text(at, f"{n}\ncm" if upright else f"{n} cm", fill=fill, font=font(size))


def _dots(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    if (t // 8 + int(rng.integers(0, 4))) % 4 == 0:
        return
    draw, n = ImageDraw.Draw(image), int(rng.integers(1, 9))
    size, kind = max(1.0, rng.uniform(0.003, 0.01) * min(image.size)), int(rng.integers(3))
    fill = 255 if rng.random() < 0.5 else int(rng.integers(0, 256))
    for x, y in rng.uniform(0.2, 0.8, (n, 2)) * image.size + rng.normal(0, 1, (n, 2)):
        box = (x - size, y - size, x + size, y + size)
        if kind == 0:
            draw.ellipse(box, fill=fill)
        elif kind == 1:
            draw.rectangle(box, fill=fill)
        else:
            draw.line((x - 2 * size, y, x + 2 * size, y), fill=fill)
            draw.line((x, y - 2 * size, x, y + 2 * size), fill=fill)


def _cursor(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    x, y = rng.uniform(0.1, 0.9, 2) * image.size
    size = 0.03 * min(image.size)
    arrow = np.array(((0, 0), (0, 1), (0.25, 0.78), (0.45, 1.15), (0.6, 1.08), (0.42, 0.72), (0.75, 0.7))) * size
    ImageDraw.Draw(image).polygon((arrow + np.array((x, y))).ravel().tolist(), fill=255, outline=0)


def _lines(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    draw = ImageDraw.Draw(image)
    a, b = rng.uniform(0.1, 0.9, (2, 2)) * image.size
    if rng.random() < 0.5:
        draw.line((*a, *b), fill=int(rng.choice((0, 255))))
    else:
        draw.rectangle((*np.minimum(a, b), *np.maximum(a, b)), outline=int(rng.choice((0, 128, 255))))


def _player(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    """The lower part shaded, a bar with a knob; sometimes buttons above."""
    width, height = image.size
    depth = rng.uniform(0.05, 0.2) * height
    from_bottom = (height - np.arange(height)) / depth
    shade = 1 - rng.uniform(0.3, 1) * np.clip(1 - from_bottom, 0, 1)
    image.paste(Image.fromarray((np.asarray(image) * shade[:, None]).astype(np.uint8)))
    draw, y, reached = ImageDraw.Draw(image), height - 0.3 * depth, float(rng.uniform(0.02, 0.95))
    thick = max(1, round(0.006 * height))
    draw.line((0, y, width, y), fill=110, width=thick)
    draw.line((0, y, reached * width, y), fill=200, width=thick)
    draw.ellipse((reached * width - 2 * thick, y - 2 * thick, reached * width + 2 * thick, y + 2 * thick), fill=160)
    if rng.random() < 0.5:
        x, top, side = rng.uniform(0.1, 0.7) * width, rng.uniform(0.02, 0.1) * height, 0.06 * width
        draw.rounded_rectangle((x, top, x + 2.4 * side, top + side), side * 0.2, fill=70)
        draw.rectangle((x + 0.3 * side, top + 0.3 * side, x + 0.8 * side, top + 0.7 * side), outline=230)


def _console(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    """Blocks of text in two to four corners, as the console burns them in; at times a wedge of greys along one side."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    size, fill = max(6, int(min(image.size) * rng.uniform(0.018, 0.032))), int(rng.choice((255, 200, 230)))
    words = (
        "PHANTOM^{}{}{}",
        "{}{}.0{}.20{}{}",
        "{}{}:{}{}:{}{}",
        "{}{} kV",
        "{}.{} mA",
        "{} ms",
        "LAT",
        "W {}{}{} L {}{}",
        "Im: {}/{}{}",
        "{}{}.{} uGym2",
    )
    for corner in rng.permutation(4)[: int(rng.integers(2, 5))]:
        lines = [str(rng.choice(words)).format(*rng.integers(0, 10, 6)) for _ in range(int(rng.integers(2, 6)))]
        x = 0.02 * width if corner % 2 == 0 else width * (1 - rng.uniform(0.18, 0.28))
        y = 0.02 * height if corner < 2 else height * 0.98 - len(lines) * (size + 2)
        draw.text((x, y), "\n".join(lines), fill=fill, font=font(size), spacing=2)
    if rng.random() < 0.3:
        x, top, low = rng.choice((0.01, 0.96)) * width, 0.25 * height, 0.75 * height
        for i, y in enumerate(np.linspace(low, top, 12)):
            draw.rectangle((x, y - (low - top) / 11, x + 0.03 * width, y), fill=round(255 * i / 11))


def _arrow(image: Image.Image, rng: np.random.Generator, t: int) -> None:
    """One to three arrows into the picture, with a word beside some, as in teaching films."""
    draw, side = ImageDraw.Draw(image), min(image.size)
    fill, thick = int(rng.choice((255, 255, 0, 200))), max(1, round(side * rng.uniform(0.003, 0.012)))
    for _ in range(int(rng.integers(1, 4))):
        tip, angle = rng.uniform(0.15, 0.85, 2) * image.size, rng.uniform(0, 2 * np.pi)
        way = np.array((np.cos(angle), np.sin(angle)))
        across, long = np.array((-way[1], way[0])), rng.uniform(0.04, 0.15) * side
        barb = 2.5 * thick + 0.01 * side
        draw.line((*(tip + way * long), *(tip + way * barb)), fill=fill, width=thick)
        head = np.stack([tip, tip + way * barb + 0.6 * barb * across, tip + way * barb - 0.6 * barb * across])
        draw.polygon(head.ravel().tolist(), fill=fill)
        if rng.random() < 0.4:
            at = tip + way * long * 1.1
            word = str(rng.choice(("epi", "C4", "UES", "val", "PPW", "A", "B", "1")))
            draw.text((at[0], at[1]), word, fill=fill, font=font(max(7, int(0.035 * side))))


_PAINTERS = {
    "text": _text,
    "ruler": _ruler,
    "dots": _dots,
    "cursor": _cursor,
    "lines": _lines,
    "player": _player,
    "console": _console,
    "arrow": _arrow,
}
