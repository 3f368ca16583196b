"""Where things live, whatever the current folder is."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
FIGURES = ROOT / "figures"
BUILD = ROOT / "build"


def models_folder() -> Path:
    """Return the folder of trained models: ``GARMENT_MODELS`` if set, else ``build/models``."""
    return Path(os.environ.get("GARMENT_MODELS") or BUILD / "models")


def beside(path: Path) -> Path:
    """Return a name in the folder of ``path`` that no other process writes to.

    Results are written there and then renamed with ``os.replace``: a reader sees the old file
    or the new one, never half of it.
    """
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder if need be, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(path)
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
