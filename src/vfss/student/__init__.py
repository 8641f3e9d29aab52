# SPDX-License-Identifier: Apache-2.0
"""Load a student, the small network that proposes masks. Importing this package imports neither torch nor OpenVINO."""

from __future__ import annotations

import ctypes.util
import sys
from importlib import resources
from pathlib import Path

from platformdirs import user_cache_path

from vfss.errors import StudentError
from vfss.student.checkpoint import Checkpoint, load_checkpoint
from vfss.student.landmark_points import FoundLandmarks
from vfss.student.runtime import Runtime
from vfss.student.student import Proposal, Student, shared_keys

__all__ = [
    "DEVICES",
    "Checkpoint",
    "FoundLandmarks",
    "Proposal",
    "Student",
    "bring_in_gpu",
    "load_checkpoint",
    "load_student",
    "shared_keys",
    "student_file",
]

DEVICES = ("auto", "cpu", "cuda", "cpu-torch")
_QT = ("PyQt5.QtWidgets", "PyQt6.QtWidgets", "PySide2.QtWidgets", "PySide6.QtWidgets")


def load_student(
    name_or_path: str | Path = "default",
    device: str = "auto",
    *,
    threads: int | None = None,
    mirror: str | None = None,
    closer: str | None = None,
) -> Student:
    """Load a student and the runtime for a device.

    Args:
        name_or_path: "default", the student that ships with the program, or a .safetensors file.
        device: "cpu": OpenVINO, never imports torch. "cuda": torch in bf16. "auto": cuda where there is a GPU and torch
            can be imported safely, else cpu. "cpu-torch": torch in f32, for comparison.
        threads: Threads for "cpu"; None: one per core.
        mirror: Where the mirror image of a frame is computed too, "never", "unsure" or "always"; None: as the student's
            file says.
        closer: Where a frame is looked at again with the spine in its usual size, in the same words.

    Raises:
        StudentError: No such file or device, or the file is damaged, foreign or of another version.
    """
    if device not in DEVICES:
        raise StudentError(f"no device {device!r}", remedy=f"Use one of {', '.join(DEVICES)}.")
    checkpoint = load_checkpoint(student_file(name_or_path))
    return Student(checkpoint, _runtime(checkpoint, device, threads), mirror=mirror, closer=closer)


def bring_in_gpu() -> bool:
    """Import torch where there is a GPU, before a program opens its window; return whether CUDA can be used.

    A window must not be open yet: torch cannot be imported safely afterwards. Without an NVIDIA driver nothing is
    imported.
    """
    return _cuda_is_usable()


def student_file(name_or_path: str | Path) -> Path:
    """Return the file of a student; "default" is the one that ships with the program."""
    if str(name_or_path) == "default":
        return Path(str(resources.files("vfss.student") / "default.safetensors"))
    return Path(name_or_path)


def _runtime(checkpoint: Checkpoint, device: str, threads: int | None) -> Runtime:
    if device == "auto":
        device = "cuda" if _cuda_is_usable() else "cpu"
    if device == "cpu":
        from vfss.student.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(checkpoint, cache=user_cache_path("napari-vfss") / "openvino", threads=threads)
    from vfss.student.torch_runtime import TorchRuntime

    return TorchRuntime(checkpoint, device)


def _cuda_is_usable() -> bool:
    """Return whether torch can be imported safely here and finds a GPU.

    Importing torch after a software OpenGL context exists kills the process, so where Qt is loaded torch is used only
    if it was imported first; elsewhere it is imported only if there is a driver, as that import takes seconds.
    """
    if "torch" not in sys.modules:
        has_window = any(name in sys.modules for name in _QT)
        if has_window or not has_nvidia_driver():
            return False
    from vfss.student import torch_runtime

    return torch_runtime.cuda_is_available()


def has_nvidia_driver() -> bool:
    """Return whether the driver of an NVIDIA GPU is installed; torch is not imported to find out."""
    if sys.platform == "win32":
        return ctypes.util.find_library("nvcuda") is not None
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()
