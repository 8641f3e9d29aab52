# SPDX-License-Identifier: Apache-2.0
"""Dialog that creates a project in a folder, with the structures of a schema that ships or of the user's own file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

import vfss
from napari_vfss.ui.dialog_parts import ProblemLine, dialog_button, line_edit, set_body, wrapped_label
from vfss.errors import VfssError
from vfss.schema import Schema
from vfss.wording import count

ABOUT = (
    "A project is a folder that holds the annotations of any number of recordings. The schema lists the structures to "
    "annotate; it cannot be changed once the project exists."
)
FROM_FILE = "Own schema, from a file"


class NewProjectDialog(QDialog):
    """Asks for folder and schema; accepted once the project has been created.

    Attributes:
        created: Folder of the new project, once the dialog is accepted.
    """

    def __init__(self, open_recording: str = "", parent: QWidget | None = None) -> None:
        """Open the dialog.

        Args:
            open_recording: Name of the open recording, which may be added to the project; empty if there is none.
            parent: Window that the dialog belongs to.
        """
        super().__init__(parent)
        self.setWindowTitle("New project")
        self.setMinimumWidth(560)
        self.created: Path | None = None
        self._schema: Schema | None = None
        self.folder = line_edit("", "an empty or new folder", "Folder of the new project")
        self.file = line_edit("", "a YAML file", "File with the structures of the project, in YAML")
        self.schema = QComboBox()
        self.schema.setToolTip("Structures to annotate")
        self.schema.setAccessibleName("Schema")
        for name in shipped_schemas():
            self.schema.addItem(Schema.load(name).title, name)
        self.schema.addItem(FROM_FILE, None)
        self.structures = wrapped_label()
        self.add_recording = QCheckBox(f"add the open recording ({open_recording}) to the project")
        self.add_recording.setChecked(bool(open_recording))
        self.add_recording.setVisible(bool(open_recording))
        self.folder_button = dialog_button("Browse...", "Choose the folder of the new project", self.ask_for_folder)
        self.file_button = dialog_button("Browse...", "Choose a schema file", self.ask_for_file)
        self.problem, self.why_not = ProblemLine(), wrapped_label()
        self.create_button = dialog_button("Create project", "Create the project in this folder", self.create_project)
        self._lay_out()
        self.schema.currentIndexChanged.connect(self._read_schema)
        self.file.textChanged.connect(self._read_schema)
        self.folder.textChanged.connect(self._refresh)
        self._read_schema()

    def ask_for_folder(self) -> None:
        """Let a person choose the folder of the project."""
        name = QFileDialog.getExistingDirectory(self, "Folder of the new project")
        if name:
            self.folder.setText(name)

    def ask_for_file(self) -> None:
        """Let a person choose a schema file."""
        name, _ = QFileDialog.getOpenFileName(self, "Schema file", filter="Schemas (*.yaml *.yml);;All files (*)")
        if name:
            self.file.setText(name)

    def create_project(self) -> None:
        """Create the project and accept the dialog, or show why it cannot be created."""
        if self._schema is None:
            return
        folder = Path(self.folder.text().strip()).expanduser()
        try:
            with vfss.Project.create(folder, self._schema) as project:
                self.created = project.folder
        except (VfssError, OSError) as error:
            self.problem.show_problem(str(error))
            return
        self.accept()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(wrapped_label(ABOUT))
        form.addRow("Folder", _row(self.folder, self.folder_button))
        form.addRow("Schema", self.schema)
        self._file_row = _row(self.file, self.file_button)
        form.addRow("Schema file", self._file_row)
        form.addRow("Structures", self.structures)
        form.addRow(self.add_recording)
        self._form = form
        cancel_button = dialog_button("Cancel", "Create nothing", self.reject)
        set_body(self, form, self.problem, self.why_not, cancel_button, self.create_button)

    def _read_schema(self, *_: object) -> None:
        """Read the chosen schema and show its structures, or what is wrong with it."""
        name, path = self.schema.currentData(), self.file.text().strip()
        self._form.setRowVisible(self._file_row, name is None)
        self._schema, problem = None, ""
        if name is not None or path:
            try:
                self._schema = Schema.load(name if name is not None else Path(path).expanduser())
            except (VfssError, OSError) as error:
                problem = str(error)
        self.problem.show_problem(problem)
        self._refresh()

    def _refresh(self, *_: object) -> None:
        schema = self._schema
        listed = "" if schema is None else f"{count(len(schema), 'structure')}: {_names(schema)}"
        self.structures.setText(listed)
        reason = "" if self.folder.text().strip() else "Choose a folder for the project."
        reason = "Choose a schema file." if schema is None else reason
        self.why_not.setText(reason)
        self.create_button.setEnabled(not reason)


def shipped_schemas() -> list[str]:
    """Return the names of the schemas that ship with the engine."""
    files = (entry.name for entry in resources.files("vfss.schemas").iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def _names(schema: Schema) -> str:
    return ", ".join(structure.name for structure in schema.structures)


def _row(field: QLineEdit, browse: QPushButton) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(field, 1)
    layout.addWidget(browse)
    return row
