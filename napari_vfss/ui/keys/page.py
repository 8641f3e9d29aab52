# SPDX-License-Identifier: Apache-2.0
"""Page on which keys are changed: choose an action, press the new key."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.keys.action import GROUPS, Action, KeyTextError, normal, shown
from napari_vfss.keys.book import LAYOUTS, KeyBook, check_key
from napari_vfss.keys.capture import menu_command, napari_use, pressed

ID = int(Qt.ItemDataRole.UserRole)
HOW = "Choose an action, then press Change key (or Enter) and the new key."
MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_AltGr)


class KeyPage(QDialog):
    """Lists all actions with their keys and changes them."""

    def __init__(self, book: KeyBook, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._book = book
        self._waiting: Action[Any] | None = None
        self._confirming = ""
        self.setWindowTitle("Keys")
        self.setModal(False)
        self.layout_box = QComboBox()
        self.layout_box.setMinimumContentsLength(23)
        self.layout_box.setAccessibleName("Hand that holds the mouse")
        self.layout_box.setToolTip("The most frequent keys are under the other hand; each layout has its own changes")
        for layout, text in LAYOUTS.items():
            self.layout_box.addItem(text, layout)
        self.layout_box.activated.connect(self._on_layout)
        self.search = QLineEdit()
        self.search.setAccessibleName("Search")
        self.search.setPlaceholderText("search an action or a key")
        self.search.setToolTip("Show only actions whose name or key contains this text")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.tree = self._make_tree()
        self.message = QLabel(HOW)
        self.message.setWordWrap(True)
        self.message.setMinimumHeight(44)
        self._lay_out()
        book.changed.connect(self._show)
        self._show()
        self.resize(560, 640)

    def close_for_good(self) -> None:
        """Disconnect from the keys and delete the page."""
        self._book.changed.disconnect(self._show)
        self.close()
        self.setParent(None)
        self.deleteLater()

    def choose(self, action: str) -> None:
        """Select an action."""
        item = self.items.get(action)
        if item is not None:
            self.tree.setCurrentItem(item)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Use a key press as the new key if one is awaited."""
        if event is None:
            return
        if self._waiting is None:
            super().keyPressEvent(event)
            return
        event.accept()
        if event.key() in MODIFIERS:
            return
        key = pressed(event)
        if key == "Escape":
            self._cancel()
        else:
            self._offer(key)

    def _offer(self, key: str) -> None:
        action = self._waiting
        if action is None:
            return
        try:
            check_key(key)
        except KeyTextError as error:
            self.message.setText(f"{error} Press another key, or Escape to leave it as it is.")
            return
        owner = self._book.owner(key)
        if owner is not None and owner.id == action.id:
            self._cancel()
        elif owner is not None and owner.place == "napari":
            self.message.setText(f"{shown([key])} is reserved for “{owner.title}”. Press another key, or Escape.")
        elif (menu := menu_command(key)) and action.place == "clip":
            self.message.setText(f"{shown([key])} is in napari's menu: “{menu}”. Press another key, or Escape.")
        elif owner is not None and self._confirming != normal(key):
            self._confirming = normal(key)
            self.message.setText(
                f"{shown([key])} is the key of “{owner.title}”. Press it again to reassign it, "
                "or another key, or Escape."
            )
        else:
            self._assign(action, key, owner)

    def _assign(self, action: Action[Any], key: str, owner: Action[Any] | None) -> None:
        from_napari = napari_use(key)
        self._stop_waiting()
        if not self._try(lambda: self._book.bind(action.id, [key])):
            return
        message = f"“{action.title}” now has the key {shown([key])}."
        if owner is not None:
            left = shown(self._book.keys_of(owner.id))
            message += f" “{owner.title}” has {left}." if left else f" “{owner.title}” has no key any more."
        if from_napari:
            message += f" While a clip is open, it replaces napari's own key: {from_napari}."
        self.message.setText(message)

    def _change(self) -> None:
        action = self._current()
        if action is None:
            return
        if action.place == "napari":
            self.message.setText(f"“{action.title}” is napari's own: change it in Preferences, Shortcuts.")
            return
        self._waiting, self._confirming = action, ""
        self.message.setText(f"Press the new key for “{action.title}”. Escape leaves it as it is.")
        for button in self._buttons:
            button.setEnabled(False)
        self.setFocus()
        self.grabKeyboard()

    def _cancel(self) -> None:
        self._stop_waiting()
        self.message.setText(HOW)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting = None
            self.releaseKeyboard()
            for button in self._buttons:
                button.setEnabled(True)
            self.tree.setFocus()

    def hideEvent(self, event: object) -> None:  # noqa: N802
        """Stop waiting for a key when the page is hidden."""
        self._stop_waiting()
        super().hideEvent(event)

    def _remove(self) -> None:
        action = self._current()
        if action is not None and action.place != "napari":
            self._try(lambda: self._book.bind(action.id, []))

    def _reset(self) -> None:
        action = self._current()
        if action is not None:
            self._try(lambda: self._book.reset(action.id))

    def _reset_all(self) -> None:
        if self._try(self._book.reset):
            self.message.setText("All keys of this layout are reset to the defaults.")

    def _on_layout(self, row: int) -> None:
        layout = self.layout_box.itemData(row)
        self._try(lambda: self._book.choose_layout(layout))

    def _try(self, change: object) -> bool:
        try:
            change()  # type: ignore[operator]
        except (KeyTextError, OSError) as error:
            self.message.setText(f"{error}")
            return False
        return True

    def _current(self) -> Action[Any] | None:
        item = self.tree.currentItem()
        chosen = None if item is None else item.data(0, ID)
        return next((action for action in self._book.actions if action.id == chosen), None)

    def _show(self) -> None:
        current = self._current()
        self.layout_box.setCurrentIndex(self.layout_box.findData(self._book.layout))
        self.tree.clear()
        self.items: dict[str, QTreeWidgetItem] = {}
        groups: dict[str, QTreeWidgetItem] = {}
        for name in dict.fromkeys((*GROUPS, *(action.group for action in self._book.actions))):
            groups[name] = QTreeWidgetItem(self.tree, [name])
            groups[name].setFirstColumnSpanned(True)
        for action in self._book.actions:
            note = "changed" if self._book.is_changed(action.id) else ""
            note = "napari" if action.place == "napari" else note
            keys = shown(self._book.keys_of(action.id)) or "no key"
            item = QTreeWidgetItem(groups[action.group], [action.title, keys, note])
            item.setData(0, ID, action.id)
            self.items[action.id] = item
        self.tree.expandAll()
        if current is not None:
            self.choose(current.id)
        self._filter()

    def _filter(self) -> None:
        wanted = self.search.text().strip().lower()
        for item in self.items.values():
            item.setHidden(wanted not in f"{item.text(0)} {item.text(1)}".lower())
        for row in range(self.tree.topLevelItemCount()):
            group = self.tree.topLevelItem(row)
            group.setHidden(all(group.child(i).isHidden() for i in range(group.childCount())))

    def _make_tree(self) -> QTreeWidget:
        tree = QTreeWidget()
        tree.setAccessibleName("Actions and their keys")
        tree.setToolTip("Actions and their keys")
        tree.setHeaderLabels(["Action", "Key", ""])
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        columns = tree.header()
        columns.setStretchLastSection(False)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            columns.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        tree.itemActivated.connect(lambda _item, _column: self._change())
        return tree

    def _lay_out(self) -> None:
        top, below = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.layout_box)
        top.addWidget(self.search, 1)
        self.change_button = _button("Change key", "Then press the new key", self._change)
        self.remove_button = _button("No key", "Remove the key", self._remove)
        self.reset_button = _button("Reset", "Restore the default key of the layout", self._reset)
        self.reset_all_button = _button("Reset all", "Restore the default keys of all actions", self._reset_all)
        self._buttons = (self.change_button, self.remove_button, self.reset_button, self.reset_all_button)
        for button in self._buttons:
            below.addWidget(button)
        closing = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        closing.rejected.connect(self.reject)
        closing.button(QDialogButtonBox.StandardButton.Close).setAutoDefault(False)
        outer = QVBoxLayout(self)
        outer.addLayout(top)
        outer.addWidget(self.tree, 1)
        outer.addWidget(self.message)
        outer.addLayout(below)
        outer.addWidget(closing)


def _button(text: str, tip: str, do: object) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    button.clicked.connect(do)
    return button
