# SPDX-License-Identifier: Apache-2.0
"""A student as one .safetensors file, read without executing anything in it.

Tensors: the weights under the network's own names, and "graph.propose", the ONNX graph of the CPU path as bytes; if
the student takes prompts, "graph.encode" and "graph.correct" too, if it finds landmarks "graph.encode" and
"graph.landmarks". Graphs hold no weights: their initialisers are the
tensors of the same names, so that nothing is stored twice.
Header: JSON strings under format, config, schema, provenance, scores, precision and digest, under calibration if the
student was calibrated, under mirror if its graph is one pass of a network that is to see the mirror image too,
under closer if it is to look at some frames again, and under learnt if it has not learnt all structures of its schema
in the same way.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vfss.errors import SchemaError, StudentError
from vfss.output.atomic_file import atomic_file
from vfss.output.disk import why_not_written
from vfss.plain_data import parse_json
from vfss.schema import Schema
from vfss.student.calibration import Calibration
from vfss.student.closer_look import CloserLook
from vfss.student.config import StudentConfig
from vfss.student.learnt import FIELD as LEARNT
from vfss.student.learnt import learnt_from_json, learnt_keys, learnt_to_json
from vfss.student.mirror_policy import MirrorPolicy

FORMAT = "vfss-student/1"
_GRAPHS = "graph."
GRAPH = f"{_GRAPHS}propose"
_INT8 = f"{_GRAPHS}int8"
_FIELDS = ("format", "config", "schema", "provenance", "scores", "precision", "digest")
_REMEDY = "Copy or download the file again, or choose another student."
_FOREIGN = (
    "Choose a file that vfss-train or napari-vfss wrote. Weights of other programs cannot propose: "
    "`vfss-train fit` makes a student from your annotations."
)
_FOREIGN_KINDS = {
    b"\x80": "a pickle, as older versions of PyTorch write it",
    b"\x89png": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89hdf": "an HDF5 file, such as Keras writes",
    b"gguf": "a language model (GGUF)",
    b"version https://git-lfs": "a pointer of Git LFS: the file itself was not downloaded",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
}
"""How files of other kinds begin, in lower case."""
_LARGEST = 1 << 31  # bytes of a file
_DTYPES = {"F16", "F32", "I64", "U8"}
_TOKENS = "decoder.mask_tokens.weight"

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Checkpoint:
    """Content of a student file.

    Attributes:
        config: Architecture and preprocessing.
        schema: Structures, in the order of output planes.
        tensors: Weights by the network's names: float16 matrices and kernels, float32 vectors, int64 counters.
        graph: ONNX graph of the CPU path, initialisers without data; empty where none was exported.
        provenance: Command, recipe, seed, data, parent, versions: what is needed to reproduce the file.
        scores: Scores it was saved with, as from vfss.evaluation.evaluate.
        precision: How well a reduced precision does, 0..1: {"bf16": share of pixels that it assigns as f32 does,
            "int8": 1 less the mean Dice on phantoms that it loses}.
        prompted: Graphs "encode" and "correct" of a student that takes prompts, "encode" and "landmarks" of one that
            finds landmarks; empty if it does neither.
        id: Hash of all of the above.
        path: File it was read from or written to.
        calibration: Calibration of its confidence; None if it was not measured.
        learnt: Structures that it has learnt, by key, and on how many annotated frames of its training each had a mask:
            0 where it learnt it from phantoms or as an earlier student. None: not recorded, it has learnt all.
        mirror: Where the mirror image is computed too. None: the graph does what config.mirrored says by itself, as in
            files of earlier versions.
        closer: Where a frame is looked at again with the spine in its usual size. None: nowhere.
        int8: ONNX graph of the CPU path in 8-bit integers; initialisers that are not the weights have data of their
            own. Empty where none was exported.
    """

    config: StudentConfig
    schema: Schema
    tensors: Mapping[str, Array]
    graph: bytes
    provenance: Mapping[str, Any]
    scores: Mapping[str, Any] = field(default_factory=dict)
    precision: Mapping[str, float] = field(default_factory=dict)
    prompted: Mapping[str, bytes] = field(default_factory=dict)
    id: str = ""
    path: Path | None = None
    calibration: Calibration | None = None
    learnt: Mapping[str, int] | None = None
    mirror: MirrorPolicy | None = None
    closer: CloserLook | None = None
    int8: bytes = b""

    @property
    def learnt_keys(self) -> tuple[str, ...]:
        """Keys of the structures that it has learnt, in the order of the schema."""
        return learnt_keys(self.schema, self.learnt)

    @property
    def not_learnt(self) -> tuple[str, ...]:
        """Keys of the structures that it has not learnt, in the order of the schema."""
        return tuple(key for key in self.schema.keys if key not in self.learnt_keys)

    def save(self, path: str | Path) -> Checkpoint:
        """Write the file atomically, and return the checkpoint as read back.

        Raises:
            StudentError: The folder cannot be written to.
        """
        header = {
            "format": FORMAT,
            "config": self.config.to_json(),
            "schema": json.dumps(self.schema.to_dict(), sort_keys=True),
            "provenance": json.dumps(dict(self.provenance), sort_keys=True),
            "scores": json.dumps(dict(self.scores), sort_keys=True),
            "precision": json.dumps(dict(self.precision), sort_keys=True),
        }
        if self.calibration is not None:
            header["calibration"] = json.dumps(self.calibration.to_dict(), sort_keys=True)
        if self.mirror is not None:
            header["mirror"] = json.dumps(self.mirror.to_dict(), sort_keys=True)
        if self.closer is not None:
            header["closer"] = json.dumps(self.closer.to_dict(), sort_keys=True)
        if self.learnt is not None:
            header[LEARNT] = learnt_to_json(self.learnt)
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in self.tensors.items()}
        graphs = {GRAPH: self.graph, **{f"{_GRAPHS}{k}": v for k, v in self.prompted.items()}}
        if self.int8:
            graphs[_INT8] = self.int8
        for name, graph in graphs.items():
            tensors[name] = np.frombuffer(graph, np.uint8)
        header["digest"] = content_digest(header, tensors)
        write_atomically(path, save(tensors, metadata=header))
        return load_checkpoint(path)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read and verify a student file.

    Raises:
        StudentError: No such file, not a student, of another version, truncated or damaged.
    """
    header, tensors = _read(Path(path))
    missing = [name for name in _FIELDS if name not in header]
    if missing or GRAPH not in tensors:
        raise StudentError(
            f"not a student file: safetensors of another program, without {missing[0] if missing else GRAPH!r}",
            path=path,
            remedy=_FOREIGN,
        )
    if header["format"] != FORMAT:
        raise StudentError(
            f"the file's format is {header['format']!r}, this version reads {FORMAT!r}",
            path=path,
            remedy="Update napari-vfss.",
        )
    digest = header.pop("digest")
    if digest != content_digest(header, tensors):
        raise StudentError("the file is damaged: its content does not match its checksum", path=path, remedy=_REMEDY)
    try:
        schema = Schema.from_dict(_mapping(header, "schema"))
        config = StudentConfig.from_json(header["config"])
        calibration = Calibration.from_dict(_mapping(header, "calibration")) if "calibration" in header else None
        learnt = learnt_from_json(header[LEARNT], schema.keys) if LEARNT in header else None
        mirror = MirrorPolicy.from_dict(_mapping(header, "mirror")) if "mirror" in header else None
        closer = CloserLook.from_dict(_mapping(header, "closer")) if "closer" in header else None
        provenance, scores, precision = (_mapping(header, name) for name in ("provenance", "scores", "precision"))
        _expect_figures(scores, precision)
    except (ValueError, SchemaError, StudentError) as error:
        what = error.what if isinstance(error, SchemaError | StudentError) else error
        raise StudentError(f"the header is malformed ({what})", path=path, remedy=_REMEDY) from error
    fault = _fault_of_weights(schema, config, tensors)
    if fault:
        raise StudentError(fault, path=path, remedy="Choose another student.")
    graphs = {name: tensors.pop(name).tobytes() for name in list(tensors) if name.startswith(_GRAPHS)}
    graph, int8 = graphs.pop(GRAPH), graphs.pop(_INT8, b"")
    prompted = {name.removeprefix(_GRAPHS): data for name, data in graphs.items()}
    rest = (provenance, scores, precision, prompted, f"st-{digest[:24]}", Path(path), calibration, learnt)
    return Checkpoint(config, schema, tensors, graph, *rest, mirror=mirror, closer=closer, int8=int8)


def _mapping(header: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the JSON object in a field of the header.

    Raises:
        ValueError: It is something else.
    """
    try:
        value = parse_json(header[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {reprlib.repr(value)}, not an object")
    return value


def _expect_figures(scores: Mapping[str, Any], precision: Mapping[str, Any]) -> None:
    """Refuse figures that are shown or decide something, and are no numbers.

    Raises:
        ValueError: There is one.
    """
    shown = {} if scores.get("mean_dice") is None else {"mean_dice": scores["mean_dice"]}
    for name, value in {**shown, **precision}.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {reprlib.repr(value)}, not a number")


def _fault_of_weights(schema: Schema, config: StudentConfig, tensors: Mapping[str, Array]) -> str:
    """Return what is wrong with weights: of another number of structures, or no numbers; empty if nothing is."""
    tokens, shape = tensors.get(_TOKENS), (len(schema), config.width)
    if tokens is not None and tokens.shape != shape:  # all others are compared where the network is built
        return (
            f"the weights do not fit the schema of {len(schema)} structures: {_TOKENS} is {tokens.shape}, not {shape}"
        )
    broken = (n for n, tensor in tensors.items() if tensor.dtype.kind == "f" and not np.isfinite(tensor).all())
    name = next(broken, None)
    return "" if name is None else f"the weights {name!r} hold NaN or infinity"


def _read(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Return header and tensors of a safetensors file."""
    if not path.is_file():
        raise StudentError("no such student file", path=path, remedy="Name a .safetensors file, or 'default'.")
    try:
        if path.stat().st_size > _LARGEST:
            raise StudentError(f"larger than {_LARGEST:,} bytes: not a student file", path=path, remedy=_FOREIGN)
        with safe_open(path, framework="numpy") as opened:
            header = dict(opened.metadata() or {})
            names = list(opened.keys())
            other = {opened.get_slice(name).get_dtype() for name in names} - _DTYPES
            if other:
                raise StudentError(
                    f"not a student file: it holds values of type {', '.join(sorted(other))}",
                    path=path,
                    remedy=_FOREIGN,
                )
            tensors = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError, AttributeError, ValueError, OverflowError, MemoryError) as error:
        # Only now: a student file begins with the length of its header, which can look like anything.
        foreign = _foreign_kind(path)
        if foreign:
            raise StudentError(f"not a student file, but {foreign}", path=path, remedy=_FOREIGN) from error
        raise StudentError(f"not readable as safetensors ({error})", path=path, remedy=_REMEDY) from error
    return header, tensors


def _foreign_kind(path: Path) -> str:
    """Return what a file is that people take for a student; empty if it is none of these, or cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return ""
    if head.startswith(b"PK\x03\x04"):
        return "a PyTorch checkpoint" if b"data.pkl" in head else "a zip archive"
    return next((kind for start, kind in _FOREIGN_KINDS.items() if head.lstrip().lower().startswith(start)), "")


def content_digest(header: Mapping[str, str], tensors: Mapping[str, Array]) -> str:
    """Return a hash of everything in the file, independent of its order in the file."""
    blake = hashlib.blake2b(digest_size=20)
    for name in sorted(header):
        blake.update(f"{name}\0{header[name]}\0".encode())
    for name in sorted(tensors):
        blake.update(f"{name}\0{tensors[name].dtype.str}\0{tensors[name].shape}\0".encode())
        blake.update(tensors[name].tobytes())
    return blake.hexdigest()


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file atomically: after a crash it is either complete or unchanged.

    Raises:
        StudentError: The folder cannot be written to.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target) as file:
            file.write(data)
    except OSError as error:
        raise StudentError(
            f"cannot write ({why_not_written(error, target)})",
            path=target,
            remedy="Choose a folder you may write to, with space left.",
        ) from error
