# SPDX-License-Identifier: Apache-2.0
"""Styles: a population of patients and a way of forming pictures, as data; and one draw of the latter.

"clinic" is film as a department with kept equipment makes it, of people not far from the usual. "standard" is made
alike, but framed anywhere and with what has misled readers, and "wide" goes to the edge of what can be read, and beyond
it in some clips: students learn from these two. The others are kept out of training, so that it can stop, choose and
report by them: each forms pictures, or draws persons, as no clip of these two does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vfss.errors import VfssError
from vfss.phantom.beam import BeamRange, BeamSettings, sample_beam
from vfss.phantom.capture import CaptureRange, CaptureSettings, sample_capture
from vfss.phantom.chance import NEVER
from vfss.phantom.detector import DetectorRange, DetectorSettings, sample_detector
from vfss.phantom.display import DisplayRange, DisplaySettings, sample_display
from vfss.phantom.framing import Framing, FramingRange, sample_framing
from vfss.phantom.overlays import OverlayRange, Overlays, sample_overlays
from vfss.phantom.population import Population
from vfss.phantom.scan import ScanRange
from vfss.phantom.trappings import TrappingsRange


@dataclass(frozen=True)
class Style:
    """Ranges from which a patient and an apparatus are drawn.

    Attributes:
        population: Of the patients.
        framing: Where the picture lies and what is exposed.
        beam: Attenuation and scatter.
        detector: Blur, lag and noise.
        display: From signal to grey.
        capture: From the screen to the file.
        overlays: What is painted on.
        objects: Shares of clips with 0, 1, 2, ... things in the beam that are no anatomy.
        trappings: What goes with the patient.
        dry: Share of clips without contrast.
        other: Share of clips formed in another way, and that way, of the same population.
        scan: Bones of a real neck in place of the drawn ones.
    """

    population: Population = field(default_factory=Population)
    framing: FramingRange = field(default_factory=FramingRange)
    beam: BeamRange = field(default_factory=BeamRange)
    detector: DetectorRange = field(default_factory=DetectorRange)
    display: DisplayRange = field(default_factory=DisplayRange)
    capture: CaptureRange = field(default_factory=CaptureRange)
    overlays: OverlayRange = field(default_factory=OverlayRange)
    objects: tuple[float, ...] = (0.3, 0.25, 0.2, 0.15, 0.1)
    trappings: TrappingsRange = field(default_factory=TrappingsRange)
    dry: float = 0.0
    other: tuple[float, Style] | None = None
    scan: ScanRange = field(default_factory=ScanRange)


# Near, far, high, low and turned: where a vertebra lies in the picture must not tell which one it is, and wider than
# film's own habit teaches that best; still wider costs more than it gives.
_ANYWHERE = FramingRange(field_mm=(100.0, 320.0), degrees=9.0, jitter=0.14, moved=(0.25, 0.5, 2.0))

# What was taken for contrast or for a vertebra on real film.
_MISLEADING = TrappingsRange(dental=0.25, catheter=0.06, discs=0.15, twist=(0.3, 0.6, 2.6))
_ANNOTATED = OverlayRange(console=0.12, arrow=0.08)

# Film of a whole head for orthodontists: no contrast, bone white, sharp, head held by rods in the ears, metal in teeth.
_CEPHALOGRAM = Style(
    framing=FramingRange(
        field_mm=(200.0, 330.0), degrees=5.0, level=0.2, jitter=0.07, small=(0.1, 0.6, 0.95), circle=NEVER
    ),
    beam=BeamRange(scatter=(0.02, 0.2)),
    detector=DetectorRange(
        focus_mm=(0.05, 0.3), blur_mm=(0.15, 0.4), noise=(0.001, 0.006), lag=NEVER, electronic=NEVER
    ),
    display=DisplayRange(
        gamma=(0.45, 1.0),
        white=(94.0, 99.9),
        black=(0.1, 2.0),
        logarithm=0.5,
        sharpen=(0.7, 0.3, 1.8),
        inverted=0.93,
        deep=(0.3, 1.2, 2.0),
    ),
    capture=CaptureRange(double=0.0, drop=NEVER, blend=NEVER, video=NEVER, jpeg=(0.7, 40.0, 90.0)),
    overlays=OverlayRange(text=0.2, ruler=0.3, dots=0.05, cursor=0.0, lines=0.02, player=0.0),
    objects=(0.85, 0.15),
    trappings=TrappingsRange(dental=0.6, twist=(0.4, 0.6, 2.6), cephalostat=0.75),
    dry=1.0,
)

# Film as a department with kept equipment makes it and frames it, of people not far from the usual.
_CLINIC = Style(
    population=Population(size=0.05, vary=0.55, shoulder=(7.6, 0.6), bone=(1.0, 1.4)),
    framing=FramingRange(field_mm=(130.0, 215.0), degrees=5.0, small=(0.06, 0.7, 0.95)),
    beam=BeamRange(air=(0.5, 1.2), scatter=(0.1, 0.4)),
    detector=DetectorRange(
        focus_mm=(0.05, 0.35),
        blur_mm=(0.2, 0.45),
        glare=(0.5, 0.02, 0.12),
        noise=(0.002, 0.009),
        tail=(0.4, 0.1, 0.4),
        electronic=(0.3, 0.001, 0.004),
        lag=(0.35, 0.05, 0.3),
    ),
    display=DisplayRange(
        gamma=(0.5, 1.0),
        white=(94.0, 99.9),
        black=(0.2, 4.0),
        gain=(0.15, 0.85, 1.1),
        curve=(0.3, 1.5, 3.5),
        bend=(0.2, 0.02, 0.06),
        washed=(0.05, 0.1, 0.2),
    ),
    capture=CaptureRange(zoom=(0.1, 0.7, 0.95), jpeg=(0.2, 60.0, 90.0), video=(0.15, 40.0, 70.0), median=0.0),
    objects=(0.4, 0.3, 0.15, 0.1, 0.05),
)

STYLES: dict[str, Style] = {
    "clinic": _CLINIC,
    # The same equipment, framed anywhere, with what goes with a patient and misleads.
    "standard": replace(
        _CLINIC,
        population=replace(_CLINIC.population, children=0.3),
        framing=replace(_ANYWHERE, degrees=8.0, small=(0.06, 0.7, 0.95)),
        display=replace(_CLINIC.display, deep=(0.1, 1.2, 2.2)),
        overlays=_ANNOTATED,
        trappings=_MISLEADING,
        dry=0.12,
        other=(0.12, _CEPHALOGRAM),
    ),
    # Shoulders anywhere: levels are to be counted from the skull downwards, not from the shoulder up.
    "wide": Style(
        population=Population(shoulder=(7.1, 1.4), children=0.3),
        framing=_ANYWHERE,
        display=DisplayRange(deep=(0.12, 1.2, 2.3)),
        overlays=_ANNOTATED,
        trappings=_MISLEADING,
        dry=0.12,
        other=(0.12, _CEPHALOGRAM),
    ),
    # Low contrast by scatter, a coarse noisy detector, dense matter bright, necks bent back and seen from afar.
    "harsh": Style(
        population=Population(
            flexion=(-3.0, 5.0),
            lordosis=(5.0, 1.2),
            head_pitch=(-16.0, 5.0),
            size=0.09,
            bone=(0.8, 1.2),
            soft=(1.5, 2.2),
        ),
        framing=FramingRange(field_mm=(225.0, 300.0), degrees=10.0, small=NEVER),
        beam=BeamRange(barium=(0.6, 1.2), air=(0.3, 0.55), scatter=(0.35, 0.5)),
        detector=DetectorRange(
            focus_mm=(0.1, 0.3),
            blur_mm=(0.7, 1.1),
            glare=NEVER,
            noise=(0.012, 0.03),
            grain=(1.4, 2.2),
            tail=NEVER,
            blocks=(2.5, 2.5),
        ),
        display=DisplayRange(
            gamma=(0.5, 0.85),
            white=(88.0, 95.0),
            black=(4.0, 10.0),
            gain=NEVER,
            curve=NEVER,
            bend=NEVER,
            logarithm=0.0,
            harmony=NEVER,
            sharpen=NEVER,
            washed=NEVER,
            inverted=0.9,
        ),
        capture=CaptureRange(zoom=NEVER, jpeg=NEVER, video=NEVER, median=0.0),
    ),
    # A maker's processing of every picture: local contrast made alike everywhere, thick halos along every edge.
    "sharpened": Style(
        beam=BeamRange(scatter=(0.2, 0.4)),
        detector=DetectorRange(noise=(0.002, 0.006), grain=(0.8, 1.6), electronic=NEVER, pattern=NEVER),
        display=DisplayRange(
            gamma=(0.5, 0.8),
            logarithm=1.0,
            equal=(1.0, 0.5, 0.85),
            sharpen=(1.0, 1.8, 3.0),
            reach=(3.0, 8.0),
            harmony=(1.0, 0.3, 0.6),
        ),
        capture=CaptureRange(zoom=NEVER, jpeg=NEVER, video=NEVER, median=0.0),
    ),
    # A tape behind a cable: interlaced, ringing and echoing along the rows, a small picture recompressed.
    "capture": Style(
        framing=FramingRange(small=(0.8, 0.5, 0.85)),
        detector=DetectorRange(noise=(0.004, 0.02)),
        capture=CaptureRange(
            double=0.0,
            comb=0.8,
            analogue=(1.0, 0.5, 1.4),
            zoom=(0.8, 0.4, 0.7),
            jpeg=(0.7, 12.0, 35.0),
            video=(0.5, 2.0, 25.0),
        ),
        overlays=OverlayRange(text=0.9, ruler=0.2, dots=0.3, cursor=0.3, lines=0.3, player=0.2),
    ),
    # An old image intensifier: distorted to the corners, bright in the middle, glaring, lagging, with a round field.
    "intensifier": Style(
        framing=FramingRange(
            small=(0.2, 0.6, 0.95),
            circle=(1.0, 0.44, 0.5),
            vignette=(1.0, 0.45, 0.8),
            pincushion=(1.0, 0.06, 0.16),
        ),
        detector=DetectorRange(
            glare=(1.0, 0.25, 0.45),
            lag=(1.0, 0.3, 0.6),
            noise=(0.02, 0.06),
            recursion=NEVER,
            blur_mm=(0.6, 1.0),
        ),
        capture=CaptureRange(zoom=NEVER, jpeg=NEVER, video=NEVER, median=0.0),
    ),
    # Pictures as in training of persons that are not: very old, stooped, chin down, larynx low, bone thin.
    "elderly": Style(
        population=Population(
            age=(86.0, 99.0),
            flexion=(38.0, 4.0),
            lordosis=(4.8, 0.8),
            head_pitch=(14.0, 5.0),
            descent=(0.7, 0.2),
            shoulder=(6.2, 0.6),
            bone=(0.5, 0.8),
        ),
    ),
}


# Styles that need a file of meshes (see vfss.phantom.meshes). "meshed" is to learn from, "neck" is kept out of
# training: the bones of both come from one person, but in "neck" they are turned farther, and bent and stretched more.
MESH_STYLES: dict[str, Style] = {
    # Not as "wide": what real bone shows and drawn bone does not is lost at the edge of what can be read.
    "meshed": replace(STYLES["standard"], scan=ScanRange(share=1.0)),
    "neck": replace(
        _CLINIC,
        scan=ScanRange(share=1.0, yaw=(7.0, 1.0), roll=(-6.0, 1.0), twist=0.7, stretch=0.12, warp=1.0),
    ),
}


def style_named(name: str) -> Style:
    """The style of that name.

    Raises:
        VfssError: There is none.
    """
    styles = STYLES | MESH_STYLES
    if name not in styles:
        raise VfssError(f"no phantom style {name!r}", remedy=f"Choose one of: {', '.join(styles)}.")
    return styles[name]


def one_way(rng: np.random.Generator, style: Style) -> Style:
    """The way in which a style forms one clip: mostly its own."""
    share, other = style.other or (0.0, style)
    return replace(other, population=style.population, scan=style.scan) if rng.random() < share else style


@dataclass(frozen=True)
class Apparatus:
    """One apparatus and how it was set: a draw from a style.

    Attributes:
        framing: Where the picture lies and what is exposed.
        beam: Attenuation and scatter.
        detector: Blur, lag and noise.
        display: From signal to grey.
        capture: From the screen to the file.
        overlays: What is painted on.
        objects: Number of things in the beam that are no anatomy.
        seed: Of texture and objects.
    """

    framing: Framing
    beam: BeamSettings
    detector: DetectorSettings
    display: DisplaySettings
    capture: CaptureSettings
    overlays: Overlays
    objects: int
    seed: int


def sample_apparatus(rng: np.random.Generator, style: Style) -> Apparatus:
    """An apparatus from a style."""
    framing, beam, detector, display, capture, overlays = rng.spawn(6)
    receives, shows = sample_detector(detector, style.detector), sample_display(display, style.display)
    # No maker sharpens noise until nothing else is to be seen.
    receives = replace(receives, noise=receives.noise / (1 + shows.sharpen))
    return Apparatus(
        framing=sample_framing(framing, style.framing),
        beam=sample_beam(beam, style.beam),
        detector=receives,
        display=shows,
        capture=sample_capture(capture, style.capture),
        overlays=sample_overlays(overlays, style.overlays),
        objects=int(rng.choice(len(style.objects), p=style.objects)),
        seed=int(rng.integers(2**31)),
    )
