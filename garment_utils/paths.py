"""Where things live, whatever the current folder is."""

import csv
import io
import os
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
FIGURES = ROOT / "figures"
BUILD = ROOT / "build"
BRING_BACK = "git checkout brings it back"  # files of the project


def models_folder() -> Path:
    """Return the folder of trained models: ``GARMENT_MODELS`` if set, else ``build/models``."""
    return Path(os.environ.get("GARMENT_MODELS") or BUILD / "models")


def beside(path: Path) -> Path:
    """Return a name in the folder of ``path`` that no other process writes to.

    Results are written there and then renamed with ``os.replace``: a reader sees the old file
    or the new one, never half of it.
    """
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def from_here(path: Path) -> Path:
    """Return a path as seen from the current folder if it is inside, else the whole path."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def replacing(path: Path):
    """Yield a name beside ``path`` to write to; what was written then takes the name ``path``.

    If writing fails, ``path`` stays as it was, and nothing is left beside it.
    """
    partial = beside(path)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder if need be, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)


def require_writable(path: Path, *inputs: Path) -> None:
    """Refuse a file that cannot be written, before minutes of work are lost for it.

    Args:
        path: of the file to write; it need not be there.
        inputs: files to read, which must not be overwritten.

    Raises:
        ValueError: a folder or device, one of the inputs, or nothing can be written there.
    """
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device"
        raise ValueError(f"expected the name of a CSV file to write, got the {kind} {path}")
    if any(path.exists() and one.exists() and path.samefile(one) for one in inputs):
        raise ValueError(
            f"expected another file to write than those to read, got {path} for both; "
            "name a new file"
        )
    folder = next(one for one in path.absolute().parents if one.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ValueError(
            f"expected a file that can be written, got {path}, and nothing can be written there; "
            "name another one"
        )


def write_table(path: Path, columns, rows) -> None:
    """Write rows, dicts, as a CSV file with these columns, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def read_table(path: Path, columns) -> list:
    """Return the rows of a CSV file that ``write_table`` has written, all values as text.

    An empty list if there is no such file.

    Raises:
        ValueError: it is no CSV file, or has other columns.
    """
    if not path.exists():
        return []
    return [row for _, row in read_rows(path, columns, remedy=BRING_BACK)]


def read_rows(path: Path, columns, more=False, remedy="name another or correct it") -> list:
    """Read a CSV file that somebody else may have written.

    Args:
        path: of the file, text in UTF-8 with or without a byte order mark.
        columns: the names that its first line must have.
        more: whether there may be others too, in any order; then a line may also leave out the
            values at its end together with their commas.
        remedy: what to do about a file that cannot be read, the end of each message.

    Returns:
        For each row the number of its line and a dict of text by column, None for what is left
        out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no CSV file in UTF-8, other columns, one of them twice, or a row with
            more or fewer values than columns.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a CSV file with the columns {','.join(columns)} at {path}, found none; "
            f"{remedy}"
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)  # strict: quotes must be closed
            found = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path}: expected a CSV file in UTF-8, found another ({error}); {remedy}"
        ) from None
    once = all(found.count(column) == 1 for column in columns)
    if not (once if more else found == list(columns)):
        raise ValueError(
            f"{path}, line 1: expected the columns {','.join(columns)}, each once, "
            f"found {','.join(found) or 'nothing'}; {remedy}"
        )
    for number, row in rows:
        # DictReader has None for values without a column, and for columns without a value.
        if None in row or (not more and None in row.values()):
            left_out = sum(value is None for value in row.values())
            count = len(found) - left_out + len(row.get(None, ()))
            raise ValueError(
                f"{path}, line {number}: expected {len(found)} values, found {count}; {remedy}"
            )
    return rows
