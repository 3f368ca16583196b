"""The results of the series: figures/results.csv, and the tables of README.md made from it.

A row is one headline or the answer of one notebook, as a run of the profile ``full`` showed it.
``make results`` makes that run and writes both; ``make outputs`` writes the tables again, because
titles and questions come from the notebooks.
"""

import ast
import hashlib
import json
import platform
import re
from importlib import metadata
from pathlib import Path

import nbformat

from garment_utils import reports
from garment_utils.paths import FIGURES, NOTEBOOKS, ROOT, read_table, write_table

README = ROOT / "README.md"
RESULTS = FIGURES / "results.csv"
COLUMNS = (
    "notebook",
    "result",  # the label of a headline, or ANSWER
    "n",  # runs, or 1 for one number; empty where the result is text
    "mean",
    "sd",  # of the sample; empty for one number
    "published",  # a number from elsewhere
    "source",  # whose it is
    "text",  # as the notebook shows it
    "profile",
    "versions",
    "code",  # see checksum
)
ANSWER = "answer"


def versions():
    """Return what trained numbers depend on, such as ``Python 3.11, TensorFlow 2.21.0, Keras …``.

    Read from what is installed, because importing TensorFlow takes seconds.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    try:
        tensorflow = metadata.version("tensorflow-cpu")
    except metadata.PackageNotFoundError:  # its name where there is no wheel without GPU support
        tensorflow = metadata.version("tensorflow")
    return f"Python {python}, TensorFlow {tensorflow}, Keras {metadata.version('keras')}"


def checksum(notebook, parameters):
    """Return a short checksum of what a notebook file computes: its code and its parameters.

    Comments, layout and prose do not count. Not noticed is a change outside the notebook: in the
    helper package, the data or the installed versions. Whoever makes one that moves numbers has
    to know that ``make results`` is due.

    Args:
        notebook: Path of the notebook, executed or not.
        parameters: dict, name → value, of those that differ from the notebook's defaults.
    """
    from garment_utils.run import declared_parameters  # papermill takes a second to import

    defaults = {name: value for name, (_, value) in declared_parameters(notebook).items()}
    code = "\n".join(
        cell.source
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code"
        # The values of both cells are counted below.
        and not {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", []))
    )
    text = json.dumps([_form(ast.parse(code)), defaults | parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _form(node):
    """Return a syntax tree as plain lists; ast.dump gives each version of Python another text."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return [type(node).__name__, [[name, _form(value)] for name, value in fields]]
    return [_form(item) for item in node] if isinstance(node, list) else repr(node)


def collect(plan):
    """Return the rows of a finished run, in the order of the notebooks and of their cells.

    Args:
        plan: dict, see ``series.make_plan``.

    Raises:
        ValueError: a notebook gives two answers, or two headlines with one label.
    """
    rows = []
    for stem, parameters in plan["notebooks"].items():
        path = Path(plan["folder"]) / "notebooks" / f"{stem}.ipynb"
        executed = nbformat.read(path, as_version=4)
        headlines = reports.headlines(executed)
        labels = [headline["label"] for headline in headlines] + [ANSWER]
        if len(labels) > len(set(labels)):
            raise ValueError(f"{stem}: each headline needs a label of its own, found {labels}")
        origin = {
            "notebook": stem,
            "profile": plan["profile"],
            "versions": versions(),
            "code": checksum(path, parameters),
        }
        for headline in headlines:
            label, text = headline.pop("label"), headline.pop("value")
            rows.append({**origin, "result": label, "text": text, **headline})
        rows.append({**origin, "result": ANSWER, "text": reports.answer(executed) or ""})
    return rows


def write(rows):
    """Write figures/results.csv, whole or not at all."""
    write_table(RESULTS, COLUMNS, rows)


def read():
    """Return the rows of figures/results.csv, all values as text; none if there is no such file."""
    return read_table(RESULTS, COLUMNS)


def stale(plan):
    """Return what is wrong with figures/results.csv, a sentence for each notebook.

    Args:
        plan: dict, see ``series.make_plan``, of the profile the results are made with.
    """
    stored = {row["notebook"]: row["code"] for row in read()}
    problems = []
    for stem, parameters in plan["notebooks"].items():
        if stem not in stored:
            problems.append(f"figures/results.csv has no results of {stem}: run make results")
        elif stored[stem] != checksum(NOTEBOOKS / f"{stem}.ipynb", parameters):
            problems.append(
                f"{stem} or its parameters in the profile {plan['profile']} changed after "
                "figures/results.csv was made: run make results"
            )
    problems += [
        f"figures/results.csv has results of {stem}, which is no notebook: run make results"
        for stem in stored
        if stem not in plan["notebooks"]
    ]
    return problems


# ---- the tables of README.md ---------------------------------------------------------------


def readme(stems):
    """Return README.md with its tables made anew from the notebooks and figures/results.csv.

    Raises:
        ValueError: README.md lacks the lines between which a table stands.
    """
    rows, text = read(), README.read_text("utf-8")
    text = with_block(text, "series", overview(stems, rows))
    return with_block(text, "results", comparison(rows))


def with_block(text, name, block):
    """Return a text with what stands between ``<!-- name -->`` and ``<!-- end of name -->`` anew.

    Raises:
        ValueError: the text lacks these two lines.
    """
    before, after = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    pattern = re.compile(f"{before}.*?{after}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"README.md needs {before.strip()} and {after} once, to stand between")
    return pattern.sub(lambda _: before + block + after, text)


def overview(stems, rows):
    """Return the table of notebooks as Markdown; a notebook without results has no answer yet."""
    answers = {row["notebook"]: row["text"] for row in rows if row["result"] == ANSWER}
    lines = [table_row("", "notebook", "question", "time", "answer"), "|---" * 5 + "|"]
    for stem in stems:
        lesson = reports.read_lesson(NOTEBOOKS / f"{stem}.ipynb")
        link = f"[{lesson.title}](notebooks/{stem}.ipynb)"
        time_needed = lesson.minutes.removesuffix(" on two cores")
        answer = answers.get(stem) or "–"
        lines.append(table_row(stem[:2], link, lesson.question, time_needed, answer))
    return "\n".join(lines) + "\n"


def comparison(rows):
    """Return the table of results, ours beside the published ones, as Markdown."""
    if not rows:
        return "There are none yet: `make results` has not been run.\n"
    lines = [
        f"From the profile `{rows[0]['profile']}` with {rows[0]['versions']}. ± is the standard "
        "deviation between runs that differ in their seed alone. Nothing was chosen by test "
        "images; they only scored what came of the choices.",
        "",
        table_row("", "result", "ours", "published"),
        "|---" * 4 + "|",
    ]
    for row in rows:
        if row["result"] != ANSWER:
            link = f"[{row['notebook'][:2]}](notebooks/{row['notebook']}.ipynb)"
            published = row["published"] and reports.published(
                {"published": json.loads(row["published"]), "source": row["source"]}
            )
            lines.append(table_row(link, row["result"], row["text"], published))
    return "\n".join(lines) + "\n"


def table_row(*cells):
    """Return a row of a Markdown table; a bar inside a cell would end it."""
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in escaped)
