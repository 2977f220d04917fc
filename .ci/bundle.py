"""Makes dist/bundle: all that a computer without network needs, for the system and Python of this one.

    .ci/bundle.py [--full] [FOLDER]

The plugin's zip, the backend's wheel with those of all libraries it needs, and a README. ``--full`` takes
what diffusion models need as well, some gigabytes.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from package import ROOT, package

README = """\
Text2Earth for QGIS {version}, for computers without network
Made for {system} and Python {python}.

1. In QGIS: Plugins > Manage and Install Plugins > Install from ZIP: {plugin}
2. Raster > Text2Earth opens the panel. Choose On this computer, {size}.
3. Under Source of packages, choose the folder "wheels" beside this file. Press Install.

It takes about a minute. Python {python} has to be there (on Debian and Ubuntu: python3-venv too); QGIS's own
is not touched. Nothing is fetched from anywhere.
"""


def wheel(folder: Path) -> Path:
    """Build the backend's wheel into a folder; return its path."""
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    return max(folder.glob("text2earth_backend-*.whl"), key=lambda path: path.stat().st_mtime)


def bundle(folder: Path, full: bool = False) -> Path:
    """Make the bundle in a folder, anew; return that."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    plugin = Path(shutil.copy2(package(), folder))
    backend = wheel(wheels)
    wanted = f"{backend}[model]" if full else str(backend)
    pinned = ("--constraint", str(ROOT / ".ci" / "constraints.txt"))
    _pip("download", "--only-binary", ":all:", "--dest", str(wheels), *pinned, wanted)
    text = README.format(
        version=backend.name.split("-")[1],
        system=f"{platform.system()} ({sysconfig.get_platform()})",
        python=".".join(platform.python_version_tuple()[:2]),
        plugin=plugin.name,
        size="Full" if full else "Light",
    )
    (folder / "README.txt").write_text(text, encoding="utf-8")
    return folder


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist" / "bundle")
    options = parser.parse_args()
    made = bundle(options.folder.resolve(), options.full)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    print(f"{made}  {len(list(made.rglob('*.whl')))} wheels, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
