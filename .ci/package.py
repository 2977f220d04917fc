"""Builds the plugin zip for plugins.qgis.org: dist/text2earth_qgis-VERSION.zip.

The site wants metadata.txt and LICENSE inside the plugin's folder; the checkout has them at the top. So the
folder is staged first (``stage``; .ci/qgis uses it too), then zipped with fixed times: equal trees give
equal bytes. Nothing of the backend and no weights go in.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "text2earth_qgis"
PYTHON = ROOT / ".venv" / "backend" / "bin" / "python"  # has Babel, and what makes the user guide


def stage(folder: Path) -> Path:
    """Write the plugin as QGIS installs it to ``folder/text2earth_qgis`` and return that path."""
    target = folder / PLUGIN
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / PLUGIN, target, ignore=shutil.ignore_patterns("__pycache__", ".*", "*.pyc"))
    for name in ("metadata.txt", "LICENSE"):
        shutil.copy2(ROOT / name, target)
    shutil.copytree(ROOT / "resources" / "icons", target / "resources" / "icons")
    for script, made in (("translations.py", "i18n"), ("guide.py", "guide")):
        subprocess.run([PYTHON, ROOT / ".ci" / script, target / "resources" / made], check=True)
    return target


def version(plugin: Path) -> str:
    """Return the version that metadata.txt states."""
    lines = (plugin / "metadata.txt").read_text("utf-8").splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("version="))


def package() -> Path:
    """Stage and zip the plugin; return the zip's path."""
    plugin = stage(ROOT / "build")
    target = ROOT / "dist" / f"{PLUGIN}-{version(plugin)}.zip"
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in plugin.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(plugin.parent).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    partial.replace(target)
    return target


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"] and len(sys.argv) == 3:
        print(stage(Path(sys.argv[2])))
    else:
        made = package()
        print(f"{made.relative_to(ROOT)}  {made.stat().st_size / 1024:.0f} KiB")
