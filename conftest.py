"""Loaded for every pytest run, ``pytest --nbval notebooks/`` included (hence at the root)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests"))

pytest_plugins = ["nbval_tolerance"]
