"""Grabs the plugin in every state, in whatever theme, scale and language this QGIS was started.

The pictures go to the folder SESSION_LOOKS. SESSION_BACKEND is the data folder of a backend that runs, as if
it had been set up from the panel; SESSION_WIDTH is that of the dock in pixels.
"""

import os
import sys

sys.path.insert(0, os.environ["SESSION_FOLDER"])
import look_at_forms
import look_at_runs
import look_at_setup
import look_at_windows
from looking import cut, open_dock
from session import run_session


def work() -> None:
    dock, scene = open_dock()
    look_at_setup.look(dock)
    look_at_forms.look(dock, scene)
    look_at_runs.look(dock, scene)
    look_at_windows.look(dock, scene)
    assert not cut, "\n".join(cut)


run_session(work)
