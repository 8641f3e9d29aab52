# SPDX-License-Identifier: Apache-2.0
"""Actions of the daily work: propose, correct, accept, look, and the window's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_vfss.keys.action import Action
from vfss.masks import MaskState

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController
    from napari_vfss.controller.timeline import TimelineController
    from napari_vfss.prompting.tool import ClickTool
    from napari_vfss.session.corrections import Corrections
    from napari_vfss.session.session import Session
    from napari_vfss.viewer.layers import ClipLayers
    from vfss.propagation.propagation import Direction

LARGEST_BRUSH = 80


def _session(do: Callable[[Session], object]) -> Callable[[AnnotationController], None]:
    def run(controller: AnnotationController) -> None:
        if controller.session is not None:
            do(controller.session)

    return run


def _layers(do: Callable[[ClipLayers], object]) -> Callable[[AnnotationController], None]:
    def run(controller: AnnotationController) -> None:
        if controller.layers is not None:
            do(controller.layers)

    return run


def _tool(mode: str) -> Callable[[AnnotationController], None]:
    return _layers(lambda layers: layers.set_tool(mode))


def _mark(state: MaskState) -> Callable[[AnnotationController], None]:
    return _session(lambda session: session.mark(state))


def _propose_frame(controller: AnnotationController) -> None:
    if controller.session is not None:
        controller.student_jobs.propose(controller.session.frame, controller.session.frame)


def _propose_clip(controller: AnnotationController) -> None:
    if controller.session is not None:
        controller.student_jobs.propose(0, controller.session.clip.n_frames - 1)


def _next_structure(step: int) -> Callable[[AnnotationController], None]:
    def choose(session: Session) -> None:
        keys = session.schema.keys
        session.choose(keys[(keys.index(session.structure) + step) % len(keys)])

    return _session(choose)


def _brush(step: int) -> Callable[[AnnotationController], None]:
    def resize(layers: ClipLayers) -> None:
        size = int(layers.editor.brush_size)
        # A small brush in single pixels, a large one in steps that one notices.
        layers.editor.brush_size = min(max(1, size + step * max(1, size // 8)), LARGEST_BRUSH)

    return _layers(resize)


def _toggle_structure(controller: AnnotationController) -> None:
    session, layers = controller.session, controller.layers
    if session is not None and layers is not None:
        layers.set_hidden(session.structure, session.structure not in layers.hidden)
        session.masks_changed.emit(session.frame)


def _carry(direction: Direction) -> Callable[[AnnotationController], None]:
    return lambda controller: controller.student_jobs.propagate(direction)


def _nothing(_controller: AnnotationController) -> None:
    """Do nothing: the key is bound by napari, which does it."""


def _asking(wish: str) -> Callable[[AnnotationController], None]:
    return lambda controller: controller.action_requested.emit(wish)


def _at_work(controller: AnnotationController) -> bool:
    return controller.student_jobs.running


WORK_ACTIONS = (
    Action("structure.previous", "previous structure", "Structures", ("Up",), _next_structure(-1)),
    Action("structure.next", "next structure", "Structures", ("Down",), _next_structure(1)),
    Action("frame.previous", "previous frame", "Frames", ("Left",), _nothing, place="napari"),
    Action("frame.next", "next frame", "Frames", ("Right",), _nothing, place="napari"),
    Action("propose.frame", "propose this frame", "Propose", ("Q",), _propose_frame),
    Action("propose.clip", "propose the whole clip", "Propose", ("Shift+Q",), _propose_clip),
    Action("propose.range", "propose the range given in the panel", "Propose", ("Ctrl+Alt+Q",), _asking("range")),
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
    Action("edit.redo", "redo it, and go there", "Correct", ("Ctrl+Shift+Z", "Ctrl+Y"), _session(lambda s: s.redo())),
    Action("edit.proposal", "restore the proposal", "Correct", ("R",), _session(lambda s: s.restore_proposal())),
    Action("propagate.backward", "propagate this frame backward", "Propagate", ("Ctrl+Left",), _carry("backward")),
    Action("propagate.both", "propagate this frame both ways", "Propagate", ("Ctrl+B",), _carry("both")),
    Action("propagate.forward", "propagate this frame forward", "Propagate", ("Ctrl+Right",), _carry("forward")),
    Action("propagate.learn", "adapt the student to this clip", "Propagate", ("Ctrl+L",),
           lambda controller: controller.student_jobs.learn()),
    Action("accept.frame", "accept the frame", "Accept", ("A",), _session(lambda s: s.accept_frame())),
    Action("accept.looked_at", "accept all viewed frames around this one", "Accept", ("Shift+A",),
           lambda controller: controller.viewed_tracker.accept()),
    Action("accept.structure", "accept the structure", "Accept", ("S",), _session(lambda s: s.accept_structure())),
    Action("accept.not_visible", "not visible on this frame", "Accept", ("N",), _mark(MaskState.NOT_VISIBLE)),
    Action("accept.empty", "empty: could be seen, no pixels", "Accept", ("X",), _mark(MaskState.EMPTY)),
    Action("view.move", "move the picture", "View", ("Z",), _tool("pan_zoom")),
    Action("view.hold_to_move", "move it while held", "View", ("Space",), _nothing, place="napari"),
    Action("view.masks", "hide all masks, show them", "View", ("H",), _layers(lambda layers: layers.toggle_masks())),
    Action("view.structure", "hide this structure, show it", "View", ("Shift+H",), _toggle_structure),
    Action("window.open", "open a recording", "Window", ("Ctrl+Alt+N",), _asking("open"), place="window"),
    Action("window.project", "open a project", "Window", ("Ctrl+Alt+J",), _asking("project"), place="window"),
    Action("window.save_again", "save again what was not saved", "Window", ("Ctrl+Alt+W",),
           lambda controller: controller.unsaved_guard.again(),
           lambda controller: controller.unsaved_guard.waiting > 0, place="window"),
    Action("window.export", "export the dataset", "Window", ("Ctrl+Alt+E",), _asking("export"), place="window"),
    Action("window.import", "import masks of another program", "Window", ("Ctrl+Alt+I",), _asking("import"),
           place="window"),
    Action("window.retrain", "retrain the student", "Window", ("Ctrl+Alt+R",), _asking("retrain"), place="window"),
    Action("window.panel", "to the panel, back to the picture", "Window", ("F6",), _asking("panel"), place="window"),
    Action("window.keys", "these keys", "Window", ("?", "F1"), _asking("keys"), place="window"),
    Action("window.change_keys", "change keys", "Window", ("Ctrl+Alt+K",), _asking("change_keys"), place="window"),
)  # fmt: skip


def _time(do: Callable[[TimelineController], object]) -> Callable[[AnnotationController], object]:
    return lambda controller: do(controller.timeline)


FRAMES, TIME = "Frames", "Time"
TIMELINE_ACTIONS: tuple[Action, ...] = (
    Action("timeline.next_doubtful", "next doubtful mask", FRAMES, ("U",), _time(lambda time: time.go_to_doubtful(1))),
    Action(
        "timeline.previous_doubtful",
        "previous doubtful mask",
        FRAMES,
        ("Shift+U",),
        _time(lambda time: time.go_to_doubtful(-1)),
    ),
    Action(
        "timeline.next_open",
        "next mask that is not accepted",
        FRAMES,
        ("J",),
        _time(lambda time: time.go_to_unaccepted(1)),
    ),
    Action(
        "timeline.previous_open",
        "previous mask that is not accepted",
        FRAMES,
        ("Shift+J",),
        _time(lambda time: time.go_to_unaccepted(-1)),
    ),
    Action("timeline.next_swallow", "next swallow", FRAMES, ("W",), _time(lambda time: time.go_to_swallow(1))),
    Action(
        "timeline.previous_swallow",
        "previous swallow",
        FRAMES,
        ("Shift+W",),
        _time(lambda time: time.go_to_swallow(-1)),
    ),
    Action("timeline.play", "play, stop", TIME, ("K",), _time(lambda time: time.playback.toggle())),
    Action("timeline.slower", "play slower", TIME, ("Alt+Down",), _time(lambda time: time.playback.step_speed(-1))),
    Action("timeline.faster", "play faster", TIME, ("Alt+Up",), _time(lambda time: time.playback.step_speed(1))),
    Action(
        "timeline.loop", "loop over the swallow, or the range", TIME, ("L",), _time(lambda time: time.toggle_loop())
    ),
    Action("timeline.begin_swallow", "a swallow begins here", TIME, ("D",), _time(lambda time: time.begin_swallow())),
    Action("timeline.end_swallow", "the swallow ends here", TIME, ("Shift+D",), _time(lambda time: time.end_swallow())),
    Action("timeline.mark", "mark an event here", TIME, ("M",), _time(lambda time: time.ask_event())),
    Action(
        "timeline.stabilised",
        "stabilise the picture on the spine, or not",
        TIME,
        ("Y",),
        _time(lambda time: time.toggle_stabilised()),
    ),
)

TIMELINE_KEYS = {action.id.removeprefix("timeline."): action.keys[0] for action in TIMELINE_ACTIONS}


def _correcting(do: Callable[[Corrections], object]) -> Callable[[AnnotationController], object]:
    return lambda controller: None if controller.corrections is None else do(controller.corrections)


def _clicking(do: Callable[[ClickTool], object]) -> Callable[[AnnotationController], object]:
    return lambda controller: None if controller.click_tool is None else do(controller.click_tool)


def _mask_tool(name: str, title: str, key: str, do: Callable[[Corrections], object]) -> Action:
    return Action(f"correct.{name}", title, "Whole mask", (key,), _correcting(do))


MASK_TOOL_ACTIONS = (
    Action(
        "correct.click", "click: left adds, right removes, drag a box", "Correct", ("C",), _clicking(lambda c: c.take())
    ),
    Action("correct.take_back", "remove the last click", "Correct", ("Backspace",), _clicking(lambda c: c.take_back())),
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
