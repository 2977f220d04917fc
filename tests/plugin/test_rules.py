"""Rules that every module of the plugin keeps, read from its syntax tree."""

import ast
import re
from pathlib import Path

import pytest
import qgis.core
import qgis.gui
from qgis.PyQt import QtCore, QtGui, QtNetwork, QtWidgets

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "text2earth_qgis"
MODULES = sorted(PLUGIN.rglob("*.py"))
LIBRARIES = (qgis.core, qgis.gui, QtCore, QtGui, QtWidgets, QtNetwork)
# Where worker threads run; a Python callable connected to a signal there corrupts memory in PyQt 5.
WORKERS = (
    "core/imagery/",
    "core/wire/",
    "core/runs/blocking",
    "core/runs/fetching.py",
)
WORKERS += ("core/local/waking.py", "core/runs/job_status.py", "core/tasks.py", "core/threads.py")
WORKERS += ("core/crs.py", "processing/")
UNTRANSLATED = {  # texts that other programs say or know, and one that no user meets
    *("The backend failed", "No interpreter found", "Another backend uses", "Application Support"),
    *("Cropland Data Layer", "The algorithm was run without being prepared."),
}
SHOWN = {  # calls whose argument at that place is read by users
    0: (
        *("setText", "setToolTip", "setWindowTitle", "setTitle", "setPlaceholderText", "setAccessibleName"),
        *("setAccessibleDescription", "setStatusTip", "setWhatsThis", "setPrefix", "setSuffix", "addRow"),
        *("setSpecialValueText", "setNotSetText", "addItem", "addMenu", "addAction", "addTab", "tell"),
        *("QAction", "QCheckBox", "QGroupBox", "QLabel", "QMenu", "QPushButton", "QRadioButton", "fold"),
        *("show_hint", "show_refusal", "complain", "beginEditCommand", "BackgroundTask", "Debounced"),
        *("drawText", "PluginError", "RasterRefused", "gdal_errors"),
    ),
    1: (
        *("addTab", "addAction", "QAction", "QPushButton", "insertRow", "insertItem", "setTabText"),
        *("name_widget", "setNullValueAllowed", "setAllowEmptyLayer", "setClearValue", "setFieldAlias"),
    ),
}
SENTENCE = re.compile(r"[A-Z][a-z]+ \w")  # as one begins
NO_WORDS = ("Text2Earth", "m", "px")
MAIN_THREAD = ("core/wire/async_client.py", "core/wire/quiet_network.py")
NOT_IN_322 = (  # of Qgis
    *("LayerFilter", "LayerType", "WkbType", "GeometryType", "DistanceUnit", "RenderUnit", "ProjectFlag"),
    *("ProcessingSourceType", "ProcessingNumberParameterType", "ProcessingParameterFlag"),
    *("ProcessingAlgorithmFlag", "CrsWktVariant"),
)

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PLUGIN).as_posix())


def tree(path):
    return ast.parse(path.read_text("utf-8"), feature_version=(3, 9))


def dotted(node):
    """Return ``a.b.c`` of an attribute chain, '' if it is none."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def look_up(name):
    """Return what ``Class.Enum.Value`` is in this QGIS."""
    first, *rest = name.split(".")
    found = next((getattr(library, first) for library in LIBRARIES if hasattr(library, first)), None)
    for part in rest:
        found = getattr(found, part, None)
    return found


@each_module
def test_python_39(path):
    code = path.read_text("utf-8")
    ast.parse(code, feature_version=(3, 9))
    for node in ast.walk(tree(path)):
        assert not isinstance(node, getattr(ast, "Match", ())), "match is Python 3.10"
        assert not isinstance(node, getattr(ast, "TryStar", ())), "except* is Python 3.11"
        if isinstance(node, ast.Call):
            slots = {"slots", "kw_only"} & {keyword.arg for keyword in node.keywords}
            assert dotted(node.func) != "dataclass" or not slots, "dataclass(slots=) is Python 3.10"
            assert dotted(node.func) != "zip" or not any(word.arg == "strict" for word in node.keywords)
    # `X | Y` in annotations is never evaluated with this import; elsewhere it would fail in 3.9.
    if "|" in code and re.search(r"->|:\s", code):
        evaluated = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Assign)]
        for node in evaluated:
            union = isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)
            names = {dotted(node.value.left), dotted(node.value.right)} if union else set()
            assert not names & {"str", "int", "float", "None", "dict", "list"}, "type alias with |"


@each_module
def test_qt_only_through_qgis(path):
    for node in ast.walk(tree(path)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            assert not name.startswith(("PyQt", "PySide", "sip")), f"line {node.lineno}: {name}"


@each_module
def test_iface_is_used_by_the_plugin_and_its_window_alone(path):
    if path in (PLUGIN / "plugin.py", PLUGIN / "gui" / "window.py"):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert "iface" not in [alias.name for alias in node.names], f"line {node.lineno}"
        if isinstance(node, ast.Name) and path.name != "__init__.py":
            assert node.id != "iface", f"line {node.lineno}"


def enum_faults(module):
    """Yield what is wrong with the enums in a syntax tree."""
    for node in ast.walk(module):
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        parts = name.split(".")
        if len(parts) < 2 or not re.fullmatch(r"Q[A-Za-z]+", parts[0]):
            continue
        found = look_up(name)
        if parts[0] == "Qgis" and parts[1] in NOT_IN_322:
            yield f"line {node.lineno}: {name} is not in QGIS 3.22"
        elif found is None:
            yield f"line {node.lineno}: {name} does not exist in QGIS {qgis.core.Qgis.version()}"
        elif len(parts) == 2 and isinstance(found, int) and type(found) not in (int, bool):
            yield f"line {node.lineno}: {name} lacks the name of its enum, {type(found).__name__}"


@each_module
def test_enums_are_scoped_by_their_class_and_exist(path):
    """``Qt.MouseButton.LeftButton``, not ``Qt.LeftButton``: the short form fails in PyQt 6."""
    assert list(enum_faults(tree(path))) == []


@pytest.mark.parametrize(
    "code", ["Qt.LeftButton", "QgsTask.CanCancel", "Qgis.LayerType.Raster", "QgsTask.Flag.Nonsense"]
)
def test_the_enum_rule_bites(code):
    assert len(list(enum_faults(ast.parse(code)))) >= 1


def texts(node):
    """Yield the texts that an expression comes to, as far as they are written in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from (part.value for part in node.values if isinstance(part, ast.Constant))
    elif isinstance(node, ast.IfExp):
        yield from (text for part in (node.body, node.orelse) for text in texts(part))
    elif isinstance(node, ast.BoolOp):
        yield from (text for part in node.values for text in texts(part))
    elif isinstance(node, ast.BinOp):
        yield from (text for part in (node.left, node.right) for text in texts(part))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        yield from texts(node.func.value)


def untranslated(module):
    """Yield what users read in a syntax tree without its being looked up in their language."""
    skipped = set()
    for node in ast.walk(module):
        first = (
            (getattr(node, "body", None) or [None])[0]
            if not isinstance(node, (ast.Lambda, ast.IfExp))
            else None
        )
        if isinstance(first, ast.Expr):
            skipped.add(first.value)  # a docstring
        if isinstance(node, ast.Dict):
            skipped.update(node.keys)  # what is looked up is not shown
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Call) and dotted(node.func) in ("tr", "trn")
        ):
            skipped |= set(ast.walk(node)) - {node}
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for place, calls in SHOWN.items():
                for text in texts(node.args[place]) if name in calls and len(node.args) > place else ():
                    words = re.findall(r"\w*[A-Za-z]\w*", text)
                    if any(word not in NO_WORDS for word in words) and "://" not in text:
                        yield f"line {node.lineno}: {text!r}"
        elif isinstance(node, ast.Constant) and node not in skipped and SENTENCE.match(str(node.value)):
            pattern = re.search(r"[|\\]", node.value)
            if not pattern and node.value not in UNTRANSLATED:
                yield f"line {node.lineno}: {node.value!r}"


@each_module
def test_texts_are_looked_up_as_they_stand(path):
    """Only what is written out in ``tr`` and ``trn`` can be found by the tools of translators."""
    for node in ast.walk(tree(path)):
        looked_up = {"tr": 1, "trn": 2}.get(dotted(node.func), 0) if isinstance(node, ast.Call) else 0
        for text in node.args[:looked_up] if looked_up else ():
            assert isinstance(text, ast.Constant), f"line {node.lineno}: a value goes in by format()"


@each_module
def test_texts_are_in_the_user_s_language(path):
    assert list(untranslated(tree(path))) == []


@pytest.mark.parametrize(
    "code",
    [
        "label.setText('Wait')",
        "QLabel(f'{n} runs')",
        "bar.tell(tr('Wait') if busy else 'Ready')",
        "menu.addAction(icon, 'Copy')",
        "HINT = 'Draw a box'",
        "say('{} runs left'.format(n) + x, PluginError('Gone'))",
    ],
)
def test_the_language_rule_bites(code):
    assert list(untranslated(ast.parse(code)))
    assert not list(untranslated(ast.parse("label.setText(tr('Wait'))\nspin.setSuffix(' m')")))


@each_module
def test_what_hangs_or_is_gone_is_not_used(path):
    banned = {
        "QgsBlockingNetworkRequest": "hangs when cancelled",
        "QWebView": "gone in 3.40",
        "exec_": "gone in PyQt 6",
        "QVariant": "types are warned about in 3.40",
    }
    for node in ast.walk(tree(path)):
        name = getattr(node, "attr", getattr(node, "id", ""))
        assert name not in banned, f"line {node.lineno}: {name}: {banned[name]}"


def names():
    """The paths of all modules, from the plugin's folder."""
    return [path.relative_to(PLUGIN).as_posix() for path in MODULES]


def worker_code():
    """Yield (where, node) of what runs in a worker: whole modules, and the methods of tasks."""
    for path in MODULES:
        name = path.relative_to(PLUGIN).as_posix()
        if name.startswith(WORKERS) and name not in MAIN_THREAD:
            yield name, tree(path)
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and any(dotted(base) == "QgsTask" for base in node.bases):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name not in ("__init__", "finished"):
                        yield f"{name}: {node.name}.{method.name}", method


def test_workers_connect_nothing():
    seen = 0
    for where, part in worker_code():
        seen += 1
        for node in ast.walk(part):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("connect", "singleShot"), f"{where}, line {node.lineno}"
                assert node.func.attr != "Slot"
    assert seen > 25
    assert all(any(name.startswith(one) for name in names()) for one in WORKERS), "a module has moved"


@each_module
def test_modules_are_rooms(path):
    code = path.read_text("utf-8")
    assert ast.get_docstring(tree(path)), "a module says what it knows"
    assert len(code.splitlines()) <= 400
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_importing_the_package_imports_no_qgis():
    """Of the modules that are to run without QGIS, none asks for it at the top."""
    pure = ("wire/access.py", "wire/schemas.py", "wire/calls.py", "wire/client.py", "runs/history.py")
    for name in ("__init__.py", *(f"core/{path}" for path in pure)):
        for node in tree(PLUGIN / name).body:
            module = getattr(node, "module", "") or ""
            names = [alias.name for alias in getattr(node, "names", [])]
            assert not any(word.split(".")[0] in ("qgis", "osgeo") for word in [module, *names])


def test_version_is_the_backend_s():
    metadata = (ROOT / "metadata.txt").read_text("utf-8")
    backend = (ROOT / "model_backend" / "__init__.py").read_text("utf-8")
    version = re.search(r"^version=(.+)$", metadata, re.M).group(1)
    assert f'__version__ = "{version}"' in backend


def test_metadata():
    lines = (ROOT / "metadata.txt").read_text("utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith((" ", "#")))
    assert values["qgisMinimumVersion"] == "3.22"
    assert values["qgisMaximumVersion"] == "4.99"
    assert values["hasProcessingProvider"] == "yes"
    assert values["category"] == "Raster"
    assert (ROOT / values["icon"]).is_file()
    assert "%" not in "".join(lines)
