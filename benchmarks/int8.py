# SPDX-License-Identifier: Apache-2.0
"""Would the student be faster in int8, and what would that cost? Time and Dice of the network against f32 and bf16.

The network is quantised after training by NNCF, as a plain network and as one with attention, on phantom frames of four
styles; Dice, on other patients, is of its first look without rules, over the structures that are there. The networks
compute in turn, so that other programs slow all of them alike.

NNCF is no dependency of ours: pip install nncf, into an environment of its own that finds this one's packages.
Run: python benchmarks/int8.py [--student FILE] [--patients N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino

from vfss.phantom import random_frame
from vfss.student import load_checkpoint, student_file
from vfss.student.config import StudentConfig
from vfss.student.graphs import graph_with_weights
from vfss.student.openvino_runtime import has_bf16, processor_name
from vfss.student.preprocess import Placement, prepare

RESULTS = Path(__file__).parent / "results" / "int8.json"
CALIBRATION, CALIBRATION_SEED = ("standard", "clinic", "wide", "capture"), 70_000
EXAMINATION, EXAMINATION_SEED = ("standard", "clinic", "sharpened", "harsh"), 80_000

Example = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]


def examples(styles: tuple[str, ...], first_seed: int, patients: int, config: StudentConfig) -> list[Example]:
    """Return network inputs, float32 (1, 1, size, size), and masks, bool (S, size, size)."""
    size, found = config.input_size, []
    for seed in range(first_seed, first_seed + patients):
        for style in styles:
            frame, planes = random_frame(seed, size, style)
            found.append((prepare(frame, Placement.of(size, size, size), config)[None], planes))
    return found


def networks(graph: bytes, calibration: list[Example]) -> dict[str, Any]:
    """Return the compiled network in each precision."""
    import nncf  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415

    core = openvino.Core()
    data = nncf.Dataset([frames for frames, _ in calibration])
    plain = {"preset": nncf.QuantizationPreset.MIXED, "subset_size": len(calibration)}
    models = {
        "f32": core.read_model(graph),
        "bf16": core.read_model(graph),
        "int8": nncf.quantize(core.read_model(graph), data, **plain),
        "int8 with attention": nncf.quantize(
            core.read_model(graph), data, model_type=nncf.ModelType.TRANSFORMER, **plain
        ),
    }
    if not has_bf16():
        del models["bf16"]
    compiled = {}
    for name, model in models.items():
        precision = name if name == "bf16" else "f32"
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        compiled[name] = core.compile_model(model, "CPU", options)
    return compiled


def mean_dice(logits: npt.NDArray[np.float32], planes: npt.NDArray[np.bool_]) -> float:
    """Return the mean Dice over the structures that are there, from logits (S, size/4, size/4)."""
    size = planes.shape[1:]
    values = []
    for logit, plane in zip(logits, planes, strict=True):
        if plane.any():
            found = cv2.resize(logit, size, interpolation=cv2.INTER_LINEAR) > 0
            values.append(2 * np.count_nonzero(found & plane) / (np.count_nonzero(found) + np.count_nonzero(plane)))
    return float(np.mean(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="default", help="student file, or default")
    parser.add_argument("--patients", type=int, default=24, help="patients of each style")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    checkpoint = load_checkpoint(student_file(options.student))
    calibration = examples(CALIBRATION, CALIBRATION_SEED, options.patients, checkpoint.config)
    compiled = networks(graph_with_weights(checkpoint, "propose"), calibration)
    scores: dict[str, list[float]] = {name: [] for name in compiled}
    seconds: dict[str, list[float]] = {name: [] for name in compiled}
    for frames, planes in examples(EXAMINATION, EXAMINATION_SEED, options.patients, checkpoint.config):
        for name, network in compiled.items():
            started = time.perf_counter()
            answer = network(frames)
            seconds[name].append(time.perf_counter() - started)
            scores[name].append(mean_dice(answer["logits"][0], planes))
    exact = np.array(scores["f32"])
    result: dict[str, Any] = {"student": checkpoint.id, "processor": processor_name(), "frames": len(exact)}
    result["precisions"] = {
        name: {
            "dice": round(float(np.mean(scores[name])), 4),
            "loss": round(float(np.mean(exact - scores[name])), 4),
            "loss_se": round(float(np.std(exact - scores[name], ddof=1) / len(exact) ** 0.5), 4),
            "median_ms": round(1000 * statistics.median(seconds[name]), 2),
        }
        for name in compiled
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
