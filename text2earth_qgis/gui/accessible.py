"""Names for screen readers: every field of a form is called as its label calls it."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLabel, QWidget


def name_fields(form: QFormLayout) -> None:
    """Give every field of a form, and the widgets in it that take the focus, the name of its label."""
    for row in range(form.rowCount()):
        label, field = (
            form.itemAt(row, role)
            for role in (QFormLayout.ItemRole.LabelRole, QFormLayout.ItemRole.FieldRole)
        )
        title = label.widget().text() if label is not None and isinstance(label.widget(), QLabel) else ""
        if title and field is not None and field.widget() is not None:
            name_widget(field.widget(), title)


def name_widget(widget: QWidget, title: str) -> None:
    """Call a widget, and those in it that take the focus, by a title."""
    inside = widget.findChildren(QComboBox, "", Qt.FindChildOption.FindDirectChildrenOnly)
    for one in (widget, widget.focusProxy(), *inside):
        if one is not None and not one.accessibleName():
            one.setAccessibleName(title)
