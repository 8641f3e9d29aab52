# SPDX-License-Identifier: Apache-2.0
"""Tables of all actions: everything that can be done by a key, in the order in which it is listed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.controller.timeline import TimelineController
from napari_vfss.keys.action import Action, Place
from napari_vfss.prompting.tool import ClickTool
from napari_vfss.session.corrections import Corrections
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import ClipLayers
from vfss.masks import MaskState
from vfss.schema import Schema

if TYPE_CHECKING:
    from vfss.propagation.propagation import Direction

LARGEST_BRUSH = 80

Do = Callable[[AnnotationController], object]


def all_actions(schema: Schema) -> tuple[Action[AnnotationController], ...]:
    """Return every action, in the order in which they are listed; those that choose structures are the schema's."""
    return (*structure_actions(schema), *WORK_ACTIONS, *MASK_TOOL_ACTIONS, *TIMELINE_ACTIONS, *BUTTON_ACTIONS)


def structure_actions(schema: Schema) -> tuple[Action[AnnotationController], ...]:
    """Return the actions that choose a structure by the key that the schema gives it."""
    actions: list[Action[AnnotationController]] = []
    for structure in schema.structures:
        keys = () if structure.shortcut is None else (structure.shortcut,)
        do = _session(partial(_choose, key=structure.key))
        actions.append(Action(f"structure.{structure.key}", structure.name, "Structures", keys, do, left=keys))
    return tuple(actions)


def _choose(session: Session, key: str) -> None:
    session.choose(key)


def _session(do: Callable[[Session], object]) -> Do:
    return lambda controller: controller.in_session(do)


def _layers(do: Callable[[ClipLayers], object]) -> Do:
    return lambda controller: do(controller.layers)


def _tool(mode: str) -> Do:
    return _layers(lambda layers: layers.set_tool(mode))


def _mark(state: MaskState) -> Do:
    return _session(lambda session: session.mark(state))


def _next_structure(step: int) -> Do:
    def choose(session: Session) -> None:
        keys = session.schema.keys
        session.choose(keys[(keys.index(session.structure) + step) % len(keys)])

    return _session(choose)


def _brush(step: int) -> Do:
    def resize(layers: ClipLayers) -> None:
        size = int(layers.editor.brush_size)
        # A small brush changes by single pixels, a large one by noticeable steps.
        layers.editor.brush_size = min(max(1, size + step * max(1, size // 8)), LARGEST_BRUSH)

    return _layers(resize)


def _toggle_structure(layers: ClipLayers) -> None:
    session = layers.session
    layers.set_hidden(session.structure, session.structure not in layers.hidden)
    session.masks_changed.emit(session.frame)


def _propagate(direction: Direction) -> Do:
    return lambda controller: controller.student_jobs.propagate(direction)


def _nothing(_controller: AnnotationController) -> None:
    """Do nothing: napari binds the key and does what it stands for."""


def _request(name: str) -> Do:
    return lambda controller: controller.action_requested.emit(name)


def _at_work(controller: AnnotationController) -> bool:
    return controller.student_jobs.running


WORK_ACTIONS: tuple[Action[AnnotationController], ...] = (
    Action("structure.previous", "previous structure", "Structures", ("Up",), _next_structure(-1)),
    Action("structure.next", "next structure", "Structures", ("Down",), _next_structure(1)),
    Action("frame.previous", "previous frame", "Frames", ("Left",), _nothing, place="napari"),
    Action("frame.next", "next frame", "Frames", ("Right",), _nothing, place="napari"),
    Action("propose.frame", "propose this frame", "Propose", ("Q",), lambda c: c.student_jobs.propose_frame()),
    Action("propose.clip", "propose the whole clip", "Propose", ("Shift+Q",), lambda c: c.student_jobs.propose_clip()),
    Action("propose.range", "propose the range given in the panel", "Propose", ("Ctrl+Alt+Q",), _request("range")),
    Action("propose.cancel", "stop proposing, propagating or adapting", "Propose", ("Shift+Escape",),
           lambda controller: controller.student_jobs.cancel(), _at_work),
    Action("tool.paint", "paint", "Correct", ("P",), _tool("paint")),
    Action("tool.erase", "erase", "Correct", ("E",), _tool("erase")),
    Action("tool.polygon", "polygon: click around an area", "Correct", ("G",), _tool("polygon")),
    Action("tool.fill", "fill a closed outline", "Correct", ("F",), _tool("fill")),
    Action("brush.smaller", "smaller brush", "Correct", ("[",), _brush(-1)),
    Action("brush.larger", "larger brush", "Correct", ("]",), _brush(1)),
    Action("polygon.cancel", "cancel the polygon under way", "Correct", ("Escape",), _nothing, place="napari"),
    Action("edit.undo", "undo your last change, and go there", "Correct", ("Ctrl+Z",), _session(lambda s: s.undo())),
    Action("edit.redo", "redo, and go there", "Correct", ("Ctrl+Shift+Z", "Ctrl+Y"), _session(lambda s: s.redo())),
    Action("edit.proposal", "restore the proposal", "Correct", ("R",), _session(lambda s: s.restore_proposal())),
    Action("propagate.backward", "propagate this frame backward", "Propagate", ("Ctrl+Left",),
           _propagate("backward")),
    Action("propagate.both", "propagate this frame both ways", "Propagate", ("Ctrl+B",), _propagate("both")),
    Action("propagate.forward", "propagate this frame forward", "Propagate", ("Ctrl+Right",), _propagate("forward")),
    Action("propagate.learn", "adapt the student to this clip", "Propagate", ("Ctrl+L",),
           lambda controller: controller.student_jobs.adapt()),
    Action("accept.frame", "accept the frame", "Accept", ("A",), _session(lambda s: s.accept_frame())),
    Action("accept.looked_at", "accept all viewed frames around this one", "Accept", ("Shift+A",),
           lambda controller: controller.viewed_tracker.accept(controller.timeline.chosen)),
    Action("accept.structure", "accept the structure", "Accept", ("S",), _session(lambda s: s.accept_structure())),
    Action("accept.not_visible", "not visible on this frame", "Accept", ("N",), _mark(MaskState.NOT_VISIBLE)),
    Action("accept.empty", "empty: in view, but not there", "Accept", ("X",), _mark(MaskState.EMPTY)),
    Action("view.move", "move the picture", "View", ("Z",), _tool("pan_zoom")),
    Action("view.hold_to_move", "move the picture while held", "View", ("Space",), _nothing, place="napari"),
    Action("view.masks", "hide or show all masks", "View", ("H",), _layers(lambda layers: layers.toggle_masks())),
    Action("view.structure", "hide or show this structure", "View", ("Shift+H",), _layers(_toggle_structure)),
    Action("window.open", "open a recording", "Window", ("Ctrl+Alt+N",), _request("open"), place="window"),
    Action("window.project", "open a project", "Window", ("Ctrl+Alt+J",), _request("project"), place="window"),
    Action("window.new_project", "create a project", "Window", ("Ctrl+Alt+Shift+J",), _request("new_project"),
           place="window"),
    Action("window.save_again", "save unsaved changes again", "Window", ("Ctrl+Alt+W",),
           lambda controller: controller.unsaved_guard.save_again(),
           lambda controller: controller.unsaved_guard.waiting > 0, place="window"),
    Action("window.export", "export the dataset", "Window", ("Ctrl+Alt+E",), _request("export"), place="window"),
    Action("window.import", "import masks of another program", "Window", ("Ctrl+Alt+I",), _request("import"),
           place="window"),
    Action("window.retrain", "retrain the student", "Window", ("Ctrl+Alt+R",), _request("retrain"), place="window"),
    Action("window.panel", "focus panel or picture", "Window", ("F6",), _request("panel"), place="window"),
    Action("window.keys", "show all keys", "Window", ("?", "F1"), _request("keys"), place="window"),
    Action("window.change_keys", "change keys", "Window", ("Ctrl+Alt+K",), _request("change_keys"), place="window"),
)  # fmt: skip


def _timeline(do: Callable[[TimelineController], object]) -> Do:
    return lambda controller: do(controller.timeline)


FRAMES, TIME = "Frames", "Time"
TIMELINE_ACTIONS: tuple[Action[AnnotationController], ...] = (
    Action(
        "timeline.next_doubtful",
        "next doubtful mask",
        FRAMES,
        ("U",),
        _timeline(lambda t: t.go_to_doubtful(1)),
    ),
    Action(
        "timeline.previous_doubtful",
        "previous doubtful mask",
        FRAMES,
        ("Shift+U",),
        _timeline(lambda t: t.go_to_doubtful(-1)),
    ),
    Action(
        "timeline.next_worst",
        "next doubtful mask, worst first",
        FRAMES,
        ("Ctrl+Alt+End",),
        _timeline(lambda t: t.go_to_worst(1)),
    ),
    Action(
        "timeline.previous_worst",
        "previous doubtful mask, worst first",
        FRAMES,
        ("Ctrl+Alt+Home",),
        _timeline(lambda t: t.go_to_worst(-1)),
    ),
    Action(
        "timeline.next_open",
        "next mask that is not accepted",
        FRAMES,
        ("J",),
        _timeline(lambda t: t.go_to_unaccepted(1)),
    ),
    Action(
        "timeline.previous_open",
        "previous mask that is not accepted",
        FRAMES,
        ("Shift+J",),
        _timeline(lambda t: t.go_to_unaccepted(-1)),
    ),
    Action("timeline.next_swallow", "next swallow", FRAMES, ("W",), _timeline(lambda t: t.go_to_swallow(1))),
    Action(
        "timeline.previous_swallow",
        "previous swallow",
        FRAMES,
        ("Shift+W",),
        _timeline(lambda t: t.go_to_swallow(-1)),
    ),
    Action("timeline.play", "play or stop", TIME, ("K",), _timeline(lambda t: t.playback.toggle())),
    Action(
        "timeline.slower",
        "play slower",
        TIME,
        ("Alt+Down",),
        _timeline(lambda t: t.playback.step_speed(-1)),
    ),
    Action("timeline.faster", "play faster", TIME, ("Alt+Up",), _timeline(lambda t: t.playback.step_speed(1))),
    Action(
        "timeline.loop",
        "loop over the swallow, or the range",
        TIME,
        ("L",),
        _timeline(lambda t: t.toggle_loop()),
    ),
    Action(
        "timeline.begin_swallow",
        "a swallow begins here",
        TIME,
        ("D",),
        _timeline(lambda t: t.begin_swallow()),
    ),
    Action(
        "timeline.end_swallow",
        "the swallow ends here",
        TIME,
        ("Shift+D",),
        _timeline(lambda t: t.end_swallow()),
    ),
    Action("timeline.mark", "mark an event here", TIME, ("M",), _timeline(lambda t: t.ask_event())),
    Action(
        "timeline.steady",
        "stabilise the picture on the spine",
        TIME,
        ("Y",),
        _timeline(lambda t: t.toggle_stabilised()),
    ),
)

TIMELINE_KEYS = {action.id.removeprefix("timeline."): action.keys[0] for action in TIMELINE_ACTIONS}


def _corrections(do: Callable[[Corrections], object]) -> Do:
    return lambda controller: do(controller.corrections)


def _clicks(do: Callable[[ClickTool], object]) -> Do:
    return lambda controller: do(controller.click_tool)


def _mask_tool(name: str, title: str, key: str, do: Callable[[Corrections], object]) -> Action[AnnotationController]:
    return Action(f"correct.{name}", title, "Whole mask", (key,), _corrections(do))


MASK_TOOL_ACTIONS: tuple[Action[AnnotationController], ...] = (
    Action(
        "correct.click", "click: left adds, right removes, drag a box", "Correct", ("C",), _clicks(lambda c: c.select())
    ),
    Action(
        "correct.take_back",
        "remove the last click",
        "Correct",
        ("Backspace",),
        _clicks(lambda c: c.remove_last_click()),
    ),
    _mask_tool("smooth", "smooth the outline", "O", lambda tools: tools.smooth()),
    _mask_tool("shrink", "shrink by the pixels in the panel", ",", lambda tools: tools.shrink()),
    _mask_tool("grow", "grow by the pixels in the panel", ".", lambda tools: tools.grow()),
    _mask_tool("fill_holes", "fill holes", "Shift+F", lambda tools: tools.fill_holes()),
    _mask_tool("largest", "keep the largest part", "Shift+K", lambda tools: tools.keep_largest()),
    _mask_tool("copy_previous", "copy from the previous frame", "V", lambda tools: tools.copy(-1)),
    _mask_tool("copy_next", "copy from the next frame", "B", lambda tools: tools.copy(1)),
    _mask_tool(
        "copy_all_previous", "copy all unannotated from the previous frame", "Shift+V", lambda tools: tools.copy_all(-1)
    ),
    _mask_tool("copy_all_next", "copy all unannotated from the next frame", "Shift+B", lambda tools: tools.copy_all(1)),
    _mask_tool("interpolate", "fill the frames between two accepted ones", "I", lambda tools: tools.interpolate()),
)

MASK_TOOL_KEYS = {tool.id: tool.keys[0] for tool in MASK_TOOL_ACTIONS}


def _press(name: str, title: str, group: str, key: str, place: Place = "clip") -> Action[AnnotationController]:
    """Return an action that presses the button of that name in the panel; it does nothing while that is disabled."""
    return Action(name, title, group, (key,), _request(name), place=place)


BUTTON_ACTIONS: tuple[Action[AnnotationController], ...] = (
    _press("marks.take_away", "remove the chosen mark", "Time", "Ctrl+Alt+Y"),
    _press("marks.bring_back", "restore the mark removed last", "Time", "Ctrl+Alt+Shift+Y"),
    _press("nesting.grow", "grow the outer structure around the inner", "Correct", "Ctrl+Alt+G"),
    _press("nesting.cut", "remove what lies outside the outer one", "Correct", "Ctrl+Alt+X"),
    _press("nesting.leave", "leave it outside: it is intended", "Correct", "Ctrl+Alt+Z"),
    _press("history.compare", "compare with the proposal", "Correct", "Ctrl+Alt+C"),
    _press("history.back", "restore the version chosen in History", "Correct", "Ctrl+Alt+B"),
    _press("propagate.only_active", "propagate only the active structure, or all", "Propagate", "Ctrl+Alt+H"),
    _press("view.invert", "invert the recording", "View", "Ctrl+Alt+V"),
    _press("window.sample", "open a phantom swallow", "Window", "Ctrl+Alt+Shift+N", "window"),
    _press("window.timeline", "show the timeline", "Window", "Ctrl+Alt+M"),
    _press("window.readings", "second readings", "Window", "Ctrl+Alt+A"),
    _press("window.finish_reading", "finish this second reading", "Window", "Ctrl+Alt+Shift+A"),
    _press("window.save_elsewhere", "save unsaved changes elsewhere", "Window", "Ctrl+Alt+Shift+W"),
    _press("window.open_dataset", "open the folder of the dataset", "Window", "Ctrl+Alt+F", "window"),
    _press("window.stop_export", "stop the export", "Window", "Ctrl+Alt+Shift+E", "window"),
    _press("window.stop_import", "stop the import", "Window", "Ctrl+Alt+Shift+I"),
    _press("window.patients", "show patients and splits", "Window", "Ctrl+Alt+Shift+P"),
    _press("window.stop_training", "stop the training", "Window", "Ctrl+Alt+Shift+R", "window"),
    _press("window.use_student", "use the new student", "Window", "Ctrl+Alt+U"),
    _press("window.keep_student", "keep the present student", "Window", "Ctrl+Alt+Shift+U"),
)
