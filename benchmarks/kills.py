# SPDX-License-Identifier: Apache-2.0
"""Kill -9 at random moments of everything that writes: nothing that was acknowledged is lost, all can be run again.

Each act (propose, accept, learn, fit, export, deidentify, import) runs on a small project in a process of its own and
is killed at a moment drawn from the time that it takes. Then: `vfss check` finds nothing wrong, each revision from
before and each that was acknowledged is there as it was, the act runs again to its end with the result that it has
undisturbed, and no temporary file is left in the project, nor any key in what may leave.

Writes benchmarks/results/kills.json. Run: nice python benchmarks/kills.py --kills 300
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from small_project import grey_frames, write_video
from small_student import small_checkpoint
from vfss.cli.app import app
from vfss.datasets import FORMATS, run_export
from vfss.deidentify import Redaction
from vfss.masks import MaskState
from vfss.phantom import write_phantom
from vfss.project import Edit, Project
from vfss.project.case_key import CaseKey
from vfss.project.integrity import check_project
from vfss_training.cli.app import application

RESULTS = Path(__file__).parent / "results" / "kills.json"
SHORT = {"name": "short", "steps": 2, "batch": 2, "phantom_frames": 2, "first_seed": 60_000, "held_out": {}}
SOFT = ("bolus", "pharynx", "epiglottis", "airway")
ACCEPTANCES = 150
SECRETS = ("case-key", "EXPORT_NOT_FINISHED", ".partial")


def make_template(folder: Path) -> None:
    """Make a project with two annotated clips and one without annotations, a student, and a dataset to import."""
    write_phantom(folder, clips=2, frames=6, seed=5, size=96)
    write_video(folder / "plain.mkv", grey_frames(6, 96, 96))
    small_checkpoint().save(folder / "small.safetensors")
    (folder / "short.yaml").write_text(yaml.safe_dump(SHORT))
    with Project.open(folder / "project") as project:
        for record in project.clips():
            project.reviews.accept(record.id, Redaction(), reviewer="reader")
        plain = project.add_clip(folder / "plain.mkv")
        project.reviews.accept(plain.id, Redaction(), reviewer="reader")
        student = project.add_student(folder / "small.safetensors", scores={}, parent=None)
        project.choose_student(student.id)
        project.splits()
        key = CaseKey(project.folder / "case-key.json")
        for record in project.clips():  # random names, so that they are the same in each run
            key.case(record.patient), key.recording(record.id)
        run_export(FORMATS["coco"], project, folder / "dataset")


def command(program: Any, *arguments: object) -> None:
    """Run a command; raise what it says if it fails."""
    result = CliRunner().invoke(program, [str(argument) for argument in arguments])
    if result.exit_code:
        raise RuntimeError(f"{arguments}: {result.output[-400:]} {result.exception!r}")


def accept(folder: Path, acknowledge: Callable[[int], None]) -> None:
    """Accept structures one by one, as a person does, and acknowledge each."""
    with Project.open(folder / "project") as project:
        clip = project.clips()[0]
        masks = project.masks(clip.id, 0).planes
        for number in range(ACCEPTANCES):
            key = project.schema.keys[number % len(masks)]
            edit = Edit(clip.id, number % clip.n_frames, key, masks[number % len(masks)], MaskState.ACCEPTED)
            acknowledge(project.write([edit], author="ann", origin="hand")[0].id)


def learn(folder: Path, _: Callable[[int], None]) -> None:
    """Adapt the student to a clip of which some frames are annotated."""
    with Project.open(folder / "project") as project:
        clip = project.clips()[-1].id
        source = project.clips()[0].id
        masks = project.masks(source, 0).planes
        for frame in (0, 3):
            if clip not in {edit.clip for edit in project.changes_since(0) if edit.frame == frame}:
                edits = [Edit(clip, frame, key, masks[project.schema[key].index], MaskState.ACCEPTED) for key in SOFT]
                project.write(edits, author="ann", origin="hand")
    arguments = ("learn", folder / "project", clip, "--student", folder / "small.safetensors", "--steps", 2)
    command(application, *arguments, "--threads", 1)


def fit(folder: Path, _: Callable[[int], None]) -> None:
    """Train a student on the project for two steps."""
    arguments = (
        "fit",
        folder / "project",
        "--student",
        folder / "small.safetensors",
        "--recipe",
        folder / "short.yaml",
    )
    command(application, *arguments, "--run", folder / "run", "--workers", 0, "--threads", 1)


ACTS: dict[str, Callable[[Path, Callable[[int], None]], None]] = {
    "propose": lambda folder, _: command(app, "propose", folder / "project", "--device", "cpu"),
    "accept": accept,
    "learn": learn,
    "fit": fit,
    "export": lambda folder, _: command(app, "export", folder / "project", "--format", "png", "--out", folder / "out"),
    "deidentify": lambda folder, _: command(app, "deidentify", folder / "project", "--out", folder / "out"),
    "import": lambda folder, _: command(app, "import", folder / "project", folder / "dataset", "--write"),
}


def outcome(folder: Path, act: str) -> dict[str, Any]:
    """Return what an act leads to, in a form that is the same each time."""
    with Project.open(folder / "project") as project:
        masks = {}
        for record in project.clips():
            for place, revision in project.past.standing(record.id).items():
                mask = revision.mask
                digest = "" if mask is None else hashlib.sha1(mask.tobytes()).hexdigest()[:12]
                masks[f"{record.id[:9]} {place}"] = [int(revision.state), revision.origin, digest]
        students = len(project.students())
    out = folder / "out"
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*")) if out.exists() else []
    if act == "learn":  # two steps of training differ by rounding
        masks = {place: [state, origin] for place, (state, origin, _) in masks.items()}
    return {"masks": masks, "students": students, "files": files}


def state(folder: Path) -> dict[str, Any]:
    """Return all revisions by id, and what a check finds wrong."""
    with Project.open(folder / "project") as project:
        revisions = {}
        for revision in project.changes_since(0):
            mask = revision.mask
            digest = "" if mask is None else hashlib.sha1(mask.tobytes()).hexdigest()[:12]
            revisions[str(revision.id)] = [
                revision.clip,
                revision.frame,
                revision.structure,
                int(revision.state),
                digest,
            ]
    wrong = [finding.message for finding in check_project(folder / "project") if finding.wrong]
    return {"revisions": revisions, "wrong": wrong}


def left_behind(folder: Path) -> list[str]:
    """Return temporary files in the project, and secrets in what may leave."""
    project = folder / "project"
    hidden = [path.name for path in project.rglob(".*") if not path.name.endswith(".lock")]
    out = folder / "out"
    secret = (
        [path.name for path in out.rglob("*") if any(name in path.name for name in SECRETS)] if out.exists() else []
    )
    return hidden + secret


class Child:
    """A function in a forked process, which sends lines of JSON back.

    This process imports everything once and computes nothing, so that it can be forked.
    """

    def __init__(self, function: Callable[[Callable[[Any], None]], None]) -> None:
        """Start it."""
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            os.setpgid(0, 0)
            code = 0
            try:
                with Path(os.devnull).open("r+b") as nothing:
                    os.dup2(nothing.fileno(), 1)
                    os.dup2(nothing.fileno(), 2)
                    function(lambda value: os.write(writer, (json.dumps(value) + "\n").encode()))
            except BaseException:  # noqa: BLE001 - the border of a process
                os.write(writer, (json.dumps({"error": traceback.format_exc()[-1500:]}) + "\n").encode())
                code = 1
            os._exit(code)
        os.close(writer)

    def kill_after(self, seconds: float) -> bool:
        """Kill the process and all of its own after some time; return whether it was still running."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return False
            time.sleep(0.002)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(self.pid, signal.SIGKILL)
        return True

    def lines(self) -> list[Any]:
        """Return all that it sent, after it ended."""
        content = b""
        while part := os.read(self._reader, 1 << 16):
            content += part
        os.close(self._reader)
        os.waitpid(self.pid, 0)
        return [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def computed(function: Callable[[], Any]) -> Any:
    """Return the value of a function that was computed in a process of its own."""
    value = Child(lambda send: send(function())).lines()[-1]
    if isinstance(value, dict) and "error" in value:
        raise RuntimeError(value["error"])
    return value


def kill_once(template: Path, folder: Path, act: str, seconds: float, reference: dict[str, Any]) -> dict[str, Any]:
    """Kill an act after some time, and return what is wrong then: nothing, it is hoped."""
    shutil.copytree(template, folder)
    child = Child(lambda send: ACTS[act](folder, send))
    killed = child.kill_after(seconds)
    acknowledged = [line for line in child.lines() if isinstance(line, int)]
    before = reference["before"]

    def verify() -> dict[str, Any]:
        found = state(folder)
        faults = list(found["wrong"])
        lost = [number for number, row in before.items() if found["revisions"].get(number) != row]
        faults += [f"revision {number} of before is lost or changed" for number in lost]
        faults += [f"revision {number} was acknowledged and is lost" for number in acknowledged
                   if str(number) not in found["revisions"]]  # fmt: skip
        if act != "accept":
            if killed and not (folder / "out").exists():  # else it was complete before the kill
                ACTS[act](folder, lambda _: None)
            if outcome(folder, act) != reference["outcome"]:
                faults.append("run again, it has another result")
        faults += [f"left behind: {name}" for name in left_behind(folder)]
        with Project.open(folder / "project") as project:
            return {"faults": faults + project.faults()}

    try:
        result = computed(verify)
    except RuntimeError as error:
        result = {"faults": [f"it cannot be verified: {error}"]}
    shutil.rmtree(folder)
    return {"killed": killed, "acknowledged": len(acknowledged), **result}


def undisturbed(template: Path, folder: Path, act: str, before: dict[str, Any]) -> dict[str, Any]:
    """Run an act to its end; return its time and outcome, with the revisions before it."""
    shutil.copytree(template, folder)
    started = time.monotonic()
    problems = [line for line in Child(lambda send: ACTS[act](folder, send)).lines() if isinstance(line, dict)]
    if problems:
        raise RuntimeError(f"{act}: {problems}")
    seconds = time.monotonic() - started
    result = computed(lambda: outcome(folder, act))
    shutil.rmtree(folder)
    return {"seconds": seconds, "outcome": result, "before": before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="Stop after so many minutes with what was done.")
    parser.add_argument("--add", action="store_true", help="Add to the figures that are there, of another seed.")
    parser.add_argument("--acts", nargs="*", default=list(ACTS), choices=list(ACTS))
    arguments = parser.parse_args()
    choice = random.Random(arguments.seed)
    end = time.monotonic() + 60 * arguments.minutes
    acts: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "cache")
        template = Path(scratch) / "template"
        computed(lambda: make_template(template))
        before = computed(lambda: state(template))
        if before["wrong"]:
            raise SystemExit(f"the template is not sound: {before['wrong']}")
        references = {}
        for act in arguments.acts:
            references[act] = undisturbed(template, Path(scratch) / "run", act, before["revisions"])
            acts[act] = {"kills": 0, "running": 0, "acknowledged": 0, "faults": []}
            print(act, f"{references[act]['seconds']:.2f} s", flush=True)
        for number in range(arguments.kills):
            act = arguments.acts[number % len(arguments.acts)]
            if time.monotonic() > end:
                break
            seconds = choice.uniform(0, references[act]["seconds"])
            result = kill_once(template, Path(scratch) / "run", act, seconds, references[act])
            acts[act]["kills"] += 1
            acts[act]["running"] += result["killed"]
            acts[act]["acknowledged"] += result["acknowledged"]
            acts[act]["faults"] += [f"after {seconds:.3f} s: {fault}" for fault in result["faults"]]
            print(number, act, f"{seconds:.3f}", result, flush=True)
    if arguments.add:
        for act, row in json.loads(RESULTS.read_text("utf-8"))["acts"].items():
            mine = acts.setdefault(act, {"kills": 0, "running": 0, "acknowledged": 0, "faults": []})
            acts[act] = {name: row[name] + mine[name] for name in mine}
    kills = sum(row["kills"] for row in acts.values())
    summary = {
        "machine": {"system": platform.system(), "python": platform.python_version()},
        "kills": kills,
        "while_running": sum(row["running"] for row in acts.values()),
        "acknowledged_annotations": sum(row["acknowledged"] for row in acts.values()),
        "faults": sum(len(row["faults"]) for row in acts.values()),
        "acts": acts,
    }
    RESULTS.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    print(f"written to {RESULTS}: {kills} kills, {summary['faults']} faults")


if __name__ == "__main__":
    main()
