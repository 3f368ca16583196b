"""The notebook contract: what every notebook of the series keeps to, checked without running it.

Each rule is a function ``check_x(page) -> list[str]``; its messages name the cell. The second
half of the module breaks a valid notebook in as many ways, so that no rule stops working unseen.
"""

import ast
import copy
import io
import json
import re
import statistics
import tokenize
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)
from nbformat.validator import iter_validate
from nbval_tolerance import numbers_in, read_tolerance, tolerant_texts

from garment_utils.paths import NOTEBOOKS, ROOT

TITLE = re.compile(
    r"# (?P<title>\S.*)\n\n\*\*(?P<question>\S.*\?)\*\*\n\n"
    r"(?P<number>\d+) of (?P<total>\d+) · \d+ min on two cores"
)
TRAINS = {
    "training.train_or_load",
    "learning_rate.range_test",
    "learning_rate.grid",
    "attribute_networks.train_on_classes",
    "attribute_networks.train_heads",
    "attribute_networks.train_whole",
    "model.fit",
}
BULLETS = 3
CELLS = range(20, 36)
# A median, a 90th percentile and a limit for the lines of a code cell.
LINES_MEDIAN, LINES_90, LINES_MOST = 4, 8, 15
# Words of prose for each line of code. The aim is 8 to 12; a notebook full of function bodies or
# of questions may leave it, one outside this band is a program or an essay.
PROSE = (5, 15)
ALT_CHARACTERS = 40


@dataclass
class Page:
    """A notebook and what its rules need to know of its surroundings."""

    stem: str
    node: nbformat.NotebookNode
    series: list[str]  # stems of all notebooks, in order
    following: str | None  # the question of the next notebook
    packaged: dict[str, set[str]]  # name → the functions and classes of that name, as ``form``

    @property
    def code(self):
        return [cell for cell in self.node.cells if cell.cell_type == "code"]

    @property
    def markdown(self):
        return [cell for cell in self.node.cells if cell.cell_type == "markdown"]

    @property
    def outputs(self):
        """All (cell, output) pairs."""
        return [(cell, output) for cell in self.code for output in cell.outputs]


def read_pages(folder: Path) -> list[Page]:
    """Read the notebooks of a folder."""
    paths = sorted(folder.glob("*.ipynb"))
    nodes = [nbformat.read(path, as_version=nbformat.NO_CONVERT) for path in paths]
    stems = [path.stem for path in paths]
    questions = [title["question"] if (title := title_of(node)) else None for node in nodes]
    return [
        Page(stem, node, stems, question, packaged_definitions())
        for stem, node, question in zip(stems, nodes, [*questions[1:], None], strict=True)
    ]


def title_of(node) -> re.Match | None:
    return TITLE.fullmatch(node.cells[0].source) if node.cells else None


@cache
def packaged_definitions() -> dict[str, set[str]]:
    found = {}
    for path in sorted((ROOT / "garment_utils").glob("*.py")):
        for definition in outer_definitions(ast.parse(path.read_text("utf-8"))):
            found.setdefault(definition.name, set()).add(form(definition))
    return found


def outer_definitions(tree: ast.AST):
    """Yield functions and classes that are not inside another one."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child
        else:
            yield from outer_definitions(child)


def form(definition) -> str:
    """Return what a function does as text: its syntax tree without docstrings and positions."""
    definition = copy.deepcopy(definition)
    for node in ast.walk(definition):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(definition)


def tree(cell) -> ast.Module:
    """Return the syntax tree of a code cell, an empty one where ``check_python`` complains."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.Module([], [])


def calls(node) -> set[str]:
    """Return the functions called somewhere in a syntax tree, as written: ``plots.show_figure``."""
    return {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}


def lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def bullets(text: str) -> int:
    return len(re.findall(r"^- \S", text, re.MULTILINE))


def texts(output) -> list[str]:
    """Return the texts of an output, pictures left out."""
    data = output.get("data", {})
    found = [value for kind, value in data.items() if not kind.startswith("image/")]
    found += [output.get("text", ""), *output.get("traceback", [])]
    return [text if isinstance(text, str) else json.dumps(text) for text in found]


def at(cell) -> str:
    return f"cell {cell.get('id', '?')!r}"


# --- The rules: form ---------------------------------------------------------------------------


def check_format(page):
    problems = [f"{error}".splitlines()[0] for error in iter_validate(page.node)]
    version = (page.node.nbformat, page.node.nbformat_minor)
    if version != (4, 5):
        problems.append(f"the format is {version[0]}.{version[1]}, expected 4.5")
    return problems


def check_python(page):
    return [
        f"{at(cell)} is not plain Python; magics and shell commands are not used"
        for cell in page.code
        if not tree(cell).body
    ]


def check_numbering(page):
    problems = []
    for position, stem in enumerate(page.series, start=1):
        if not re.fullmatch(rf"{position:02d}_[a-z0-9]+(_[a-z0-9]+)*", stem):
            problems.append(f"{stem} stands at place {position}: expected {position:02d}_name")
    title = title_of(page.node)
    place = (page.series.index(page.stem) + 1, len(page.series))
    if title and (int(title["number"]), int(title["total"])) != place:
        problems.append(
            f"cell 'title' says {title['number']} of {title['total']}, "
            f"it is {place[0]} of {place[1]}"
        )
    return problems


def check_ids(page):
    ids = [cell.get("id", "") for cell in page.node.cells]
    return [
        f"cell id {name!r}: {reason}"
        for name in dict.fromkeys(ids)
        for reason, wrong in {
            "expected a name of lower-case words": not re.fullmatch(r"[a-z][a-z0-9-]*", name),
            "this is a generated id, expected a name": re.fullmatch(r"[0-9a-f]{8}", name),
            "used twice": ids.count(name) > 1,
        }.items()
        if wrong
    ]


def check_metadata(page):
    """Nothing a tool or a machine left; the keys of ``garment`` are known and valid."""
    problems = []
    notebook = page.node.metadata
    if set(notebook) != {"kernelspec", "language_info"}:
        problems.append(f"notebook metadata has {sorted(notebook)}")
    kernel = notebook.get("kernelspec", {})
    if kernel.get("name") != "python3" or set(kernel) != {"name", "display_name", "language"}:
        problems.append(f"kernelspec is {dict(kernel)}, expected python3 with its three keys")
    # The version of Python changes with the machine, so it is not stored.
    if notebook.get("language_info") != {"name": "python"}:
        problems.append("language_info is not {'name': 'python'}")
    for cell in page.node.cells:
        allowed = {"tags", "garment"} if cell.cell_type == "code" else set()
        if set(cell.metadata) - allowed:
            problems.append(f"{at(cell)} has metadata {sorted(set(cell.metadata) - allowed)}")
        if "tags" in cell.metadata and cell.metadata.tags != ["parameters"]:
            problems.append(f"{at(cell)} has the tags {cell.metadata.tags}")
        garment = cell.metadata.get("garment", {})
        if "garment" in cell.metadata and not 0 < len(
            garment.keys() & {"tolerance", "trains"}
        ) == len(garment):
            problems.append(f"{at(cell)}: garment has {sorted(garment)}")
        trains = garment.get("trains", 1)
        if type(trains) is not int or trains < 1:
            problems.append(f"{at(cell)}: trains is {trains!r}, expected a number of models")
        if "tolerance" in garment:
            problems += tolerance_problems(cell)
        if re.search(r"NBVAL_|PYTEST_VALIDATE", cell.source):
            problems.append(f"{at(cell)} switches its own check off")
    return problems


def tolerance_problems(cell):
    try:
        read_tolerance(cell)
    except ValueError as error:
        return [f"{at(cell)}: {error}"]
    places = tolerant_texts(cell.get("outputs", []))
    if not any(numbers_in(holder[key]) for _, holder, key in places):
        return [f"{at(cell)} has a tolerance and no number in its output"]
    return []


# --- The rules: anatomy ------------------------------------------------------------------------


def check_title(page):
    if page.node.cells and page.node.cells[0].cell_type == "markdown" and title_of(page.node):
        return []
    return ["cell 'title': expected '# Title', '**Question?**', '1 of 2 · 3 min on two cores'"]


def check_order(page):
    """The eight parts stand where they belong."""
    cells = page.node.cells
    opening = [(cell.get("id"), cell.cell_type) for cell in cells[:4]]
    expected = [
        ("title", "markdown"),
        ("learn", "markdown"),
        ("imports", "code"),
        ("parameters", "code"),
    ]
    problems = []
    if opening != expected:
        problems.append(f"it starts with {opening}, expected {expected}")
    closing = [cell.source.partition("\n")[0] for cell in cells[-3:]]
    if closing[:2] != ["## What we saw", "## Try it"] or cells[-1].get("id") != "next":
        problems.append(f"it ends with {closing}, expected What we saw, Try it, cell 'next'")
    headings = [cell for cell in page.markdown if re.search(r"^# ", cell.source, re.MULTILINE)]
    problems += [f"{at(cell)}: a second title" for cell in headings[1:]]
    return problems


def check_learn(page):
    """Three bullets open the notebook, three close it."""
    learn = [cell.source for cell in page.markdown if cell.get("id") == "learn"]
    saw = [cell.source for cell in page.markdown if cell.source.startswith("## What we saw\n")]
    if len(learn) != 1 or len(saw) != 1:
        return ["expected one cell 'learn' and one 'What we saw'"]
    problems = []
    if not re.fullmatch(
        r"\*\*You will learn\*\*\n\n(- .+\n)+\nBuilds on: .+", learn[0].rstrip("\n"), re.DOTALL
    ):
        problems.append("cell 'learn': expected **You will learn**, bullets, 'Builds on: …'")
    for name, text in (("learn", learn[0]), ("saw", saw[0])):
        if bullets(text) != BULLETS:
            problems.append(f"cell {name!r} has {bullets(text)} bullets, expected {BULLETS}")
    return problems


def sections(page):
    """Return the sections between parts 4 and 6 as (cell, heading, kinds of what follows).

    A heading need not start its cell: the sentence that reads the last output may come first.
    """
    found = []
    for cell in page.node.cells[4:]:
        if cell.source.startswith("## What we saw"):
            break
        if cell.cell_type == "code":
            parts = [""]
        else:
            parts = re.split(r"^(?=## )", cell.source, flags=re.MULTILINE)
        for part in parts:
            if part.startswith("## "):
                heading, _, part = part.partition("\n")
                found.append((cell, heading, []))
            if found and cell.cell_type == "code":
                found[-1][2].append("code")
            elif found and part.strip():
                found[-1][2].append("prose")
    return found


def check_sections(page):
    """A section claims or asks, runs code, and reads what came out."""
    problems = [] if len(sections(page)) >= 3 else ["fewer than three sections"]
    for cell, heading, kinds in sections(page):
        if kinds[:1] != ["prose"]:
            problems.append(f"{at(cell)}: no prose under {heading!r}")
        if "code" not in kinds:
            problems.append(f"{at(cell)}: no code under {heading!r}")
        elif "prose" not in kinds[kinds.index("code") :]:
            problems.append(f"{at(cell)}: no prose after the code under {heading!r}")
    return problems


def check_try_it(page):
    """The exercises have their answers, folded."""
    exercises = [cell for cell in page.markdown if cell.source.startswith("## Try it\n")]
    if len(exercises) != 1:
        return [f"expected one cell 'Try it', found {len(exercises)}"]
    questions, *folded = re.split(r"<details>\s*<summary>.+?</summary>", exercises[0].source)
    if "?" not in questions:
        return [f"{at(exercises[0])}: no question"]
    if not folded or not all(re.match(r"\s+\S.*?</details>", part, re.DOTALL) for part in folded):
        return [f"{at(exercises[0])}: no answer in <details><summary>…</summary> … </details>"]
    return []


def check_next(page):
    """The last cell leads to the next notebook by its question, or back to the overview."""
    last = page.node.cells[-1]
    place = page.series.index(page.stem)
    if page.series[place + 1 :]:
        expected = f"**Next:** [{page.following}]({page.series[place + 1]}.ipynb)"
        wrong = last.source != expected
    else:
        expected = "**Next:** … [overview](../README.md)"
        links = re.findall(r"\]\(([^)]*)\)", last.source)
        wrong = not last.source.startswith("**Next:** ") or links != ["../README.md"]
    return [f"{at(last)} is {last.source!r}, expected {expected!r}"] if wrong else []


# --- The rules: parameters ---------------------------------------------------------------------


def matches(value, annotation: ast.expr) -> bool:
    """Say whether a literal has the type it is annotated with: int, list[float], str | None."""
    match annotation:
        case ast.Name(id=name):
            return type(value).__name__ == name
        case ast.Constant(value=None):
            return value is None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return matches(value, left) or matches(value, right)
        case ast.Subscript(value=ast.Name(id="list"), slice=element):
            return isinstance(value, list) and all(matches(item, element) for item in value)
    return False


def check_parameters(page):
    """Literals only, one a line: annotated, of that type, with a comment, and used."""
    tagged = [cell for cell in page.node.cells if "parameters" in cell.metadata.get("tags", [])]
    if [cell.get("id") for cell in tagged] != ["parameters"] or tagged[0] not in page.code:
        return [f"the tag parameters belongs to the cell 'parameters', found {len(tagged)}"]
    [cell] = tagged
    problems = []
    commented = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(cell.source).readline)
        if token.type == tokenize.COMMENT and token.string.strip("# ")
    }
    later = page.code[page.code.index(cell) + 1 :]
    used = {
        node.id
        for other in later
        for node in ast.walk(tree(other))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    seen = set()
    for statement in tree(cell).body:
        where = f"cell 'parameters', line {statement.lineno}"
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            problems.append(f"{where}: expected 'name: type = literal  # comment'")
            continue
        try:
            value = ast.literal_eval(statement.value)
        except (ValueError, TypeError):
            problems.append(f"{where}: the value is not a literal")
        else:
            if not matches(value, statement.annotation):
                problems.append(f"{where}: {value!r} is no {ast.unparse(statement.annotation)}")
        if statement.lineno in seen or statement.lineno != statement.end_lineno:
            problems.append(f"{where}: expected one parameter a line")
        seen.add(statement.lineno)
        if statement.lineno not in commented:
            problems.append(f"{where}: no comment")
        if statement.target.id not in used:
            problems.append(f"{where}: {statement.target.id} is not used in a later cell")
    return problems


# --- The rules: measures and words -------------------------------------------------------------


def check_number_of_cells(page):
    number = len(page.node.cells)
    wanted = f"{CELLS[0]} to {CELLS[-1]}"
    return [] if number in CELLS else [f"{number} cells, expected {wanted}"]


def check_lengths(page):
    problems = [
        f"{at(cell)} has {lines(cell)} lines, at most {LINES_MOST}"
        for cell in page.code
        if lines(cell) > LINES_MOST
    ]
    counts = sorted(map(lines, page.code))
    if statistics.median(counts) > LINES_MEDIAN:
        problems.append(f"half of the code cells are longer than {LINES_MEDIAN} lines: {counts}")
    if sum(count <= LINES_90 for count in counts) < 0.9 * len(counts):
        problems.append(f"more than a tenth of the code cells have over {LINES_90} lines: {counts}")
    return problems


def check_amount_of_prose(page):
    words = sum(len(re.findall(r"\w[\w'’-]*", cell.source)) for cell in page.markdown)
    ratio = words / sum(map(lines, page.code))
    wanted = f"{PROSE[0]} to {PROSE[1]}"
    inside = PROSE[0] <= ratio <= PROSE[1]
    return [] if inside else [f"{ratio:.1f} words of prose for a line of code, expected {wanted}"]


def check_words(page):
    """What is easy is for the reader to say."""
    return [
        f"{at(cell)} says {word!r}"
        for cell in page.node.cells
        for word in re.findall(r"\b(?:easily|just|simply)\b", cell.source, re.IGNORECASE)
    ]


def prose_of(source: str, constants: set[float]) -> str:
    """Return markdown without code and formulas; a number dressed up as either one stays.

    ``constants`` are the numbers in the notebook's code: naming one of them is no result.
    """

    def drop(match):
        inner = match.group().strip("`$ \n")
        bare = re.fullmatch(r"[\d.,]+\s*(\\?%)?", inner)
        known = bare and inner.replace(",", "").rstrip(".") in map(str, constants)
        return match.group().strip("`$") if bare and not known else " "

    source = re.sub(r"^```.*?^```", " ", source, flags=re.DOTALL | re.MULTILINE)
    source = re.sub(r"\]\([^)]*\)|<https?:[^>]*>", "] ", source)
    return re.sub(r"`[^`]+`|\$\$[^$]+\$\$|\$[^$]+\$", drop, source)


def check_typed_results(page):
    """A percentage or a decimal in prose is asserted by the next code cell."""
    constants = {
        node.value
        for cell in page.code
        for node in ast.walk(tree(cell))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    }
    problems = []
    cells = page.node.cells
    for place, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        found = re.findall(
            r"(?<![\w.:/-])\d+[.,]?\d*\s*(?:\\?%|percent\b|per cent\b)|(?<![\w.:/-])\d*\.\d+",
            prose_of(cell.source, constants),
        )
        following = next((other for other in cells[place:] if other.cell_type == "code"), None)
        asserted = following and any(isinstance(n, ast.Assert) for n in ast.walk(tree(following)))
        if found and not asserted:
            problems.append(f"{at(cell)} has typed results: {found}; print them or assert them")
    return problems


# --- The rules: code ---------------------------------------------------------------------------


def imported_modules(cell) -> set[str]:
    found = set()
    for node in ast.walk(tree(cell)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def check_keras(page):
    """Keras comes through the package, which keeps TensorFlow's log lines out."""
    return [
        f"{at(cell)} imports {module}; use 'from garment_utils import keras'"
        for cell in page.code
        for module in sorted(imported_modules(cell) & {"keras", "tensorflow", "tf_keras"})
    ]


def check_time(page):
    """No cell takes the time: what it prints would differ each time."""
    clock = re.compile(r"%time|\bperf_counter\b|\b(time|timeit|datetime)\.\w|\b(now|today)\(\)")
    return [
        f"{at(cell)} takes the time"
        for cell in page.code
        if imported_modules(cell) & {"time", "timeit", "datetime"} or clock.search(cell.source)
    ]


def check_test_images(page):
    """Once the test images are opened, nothing is trained any more."""
    problems, opened = [], False
    for cell in page.code:
        if opened and calls(tree(cell)) & TRAINS:
            problems.append(f"{at(cell)} trains after the test images were opened")
        opened = opened or "garments.test" in cell.source or 'part("test")' in cell.source
    return problems


def check_display(page):
    """Figures are displayed by the package, with name and alt text."""
    problems = []
    for cell in page.code:
        for call in ast.walk(tree(cell)):
            if not isinstance(call, ast.Call):
                continue
            name = ast.unparse(call.func)
            if re.fullmatch(r"(plt|pyplot|fig\w*|matplotlib\.pyplot)\.show", name):
                problems.append(f"{at(cell)} calls {name}(); use plots.show_figure")
            if name.rpartition(".")[2] == "display" and any(
                re.match(r"(fig|figure|ax|axes)\d*\b|plots\.|plt\.", ast.unparse(argument))
                for argument in call.args
            ):
                problems.append(f"{at(cell)} displays a bare figure; use plots.show_figure")
    return problems


def check_twins(page):
    """A function taught in a notebook is the one in the package, docstring aside."""
    problems = []
    for cell in page.code:
        for definition in outer_definitions(tree(cell)):
            twins = page.packaged.get(definition.name)
            if not twins:
                problems.append(f"{at(cell)}: {definition.name} is not in garment_utils")
            elif form(definition) not in twins:
                problems.append(f"{at(cell)}: {definition.name} differs from the packaged one")
    return problems


# --- The rules: outputs ------------------------------------------------------------------------


def check_counts(page):
    """The stored outputs come from one run, top to bottom."""
    counts = [cell.execution_count for cell in page.code]
    expected = list(range(1, len(counts) + 1))
    return [] if counts == expected else [f"execution counts are {counts}, expected {expected}"]


def check_outputs(page):
    """What prints or draws has its output stored."""
    problems = [] if page.outputs else ["no outputs are stored"]
    for cell in page.code:
        body = tree(cell).body
        shows = {name for name in calls(ast.Module(body, [])) if name.startswith("plots.")}
        if shows and not any("image/png" in output.get("data", {}) for output in cell.outputs):
            problems.append(f"{at(cell)} calls {', '.join(sorted(shows))} and has no picture")
        prints = any(
            calls(statement) & {"print", "display"}
            for statement in body
            if isinstance(statement, ast.Expr | ast.For | ast.With)
        )
        named = (
            body
            and isinstance(body[-1], ast.Expr)
            and isinstance(body[-1].value, ast.Name | ast.Attribute | ast.Subscript)
        )
        if (prints or named) and not cell.outputs:
            problems.append(f"{at(cell)} shows something and has no output")
    return problems


def check_errors(page):
    return [
        f"{at(cell)} has {'an error' if output.output_type == 'error' else 'stderr'} in its output"
        for cell, output in page.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def check_paths(page):
    """Nothing tells where the notebook was run."""
    local = re.compile(r"(?<![\w.])/(?:home|Users|tmp|root|var|mnt)\b|\b[A-Za-z]:\\(?=\w|\\)")
    problems = []
    for cell in page.node.cells:
        for text in [cell.source, *(t for o in cell.get("outputs", []) for t in texts(o))]:
            found = local.search(text)
            if found or str(ROOT) in text:
                problems.append(f"{at(cell)} has a local path: {found.group() if found else ROOT}")
    return problems


def check_figures(page):
    """Each picture has a name and says in words what it shows, without results."""
    problems = []
    names = set()
    for cell, output in page.outputs:
        kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        for kind in kinds:
            about = output.metadata.get(kind, {})
            alt, name = about.get("alt", ""), about.get("name", "")
            if kind != "image/png":
                problems.append(f"{at(cell)} has a figure of type {kind}, expected image/png")
            if len(alt) < ALT_CHARACTERS:
                problems.append(f"{at(cell)}: the alt text {alt!r} is too short to say anything")
            if re.search(r"\d\s*(%|percent|per cent)|\d\.\d", alt):
                problems.append(f"{at(cell)}: the alt text has a typed result: {alt!r}")
            if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
                problems.append(f"{at(cell)}: the figure's name {name!r} is not in snake_case")
            if name in names:
                problems.append(f"{at(cell)}: a second figure {name!r}")
            names.add(name)
    return problems


def check_answer(page):
    """One answer, at least one headline; nbval compares their text, so metadata must agree."""
    problems = []
    answers, labels = 0, []
    for cell, output in page.outputs:
        about = output.get("metadata", {}).get("garment", {})
        text = output.get("data", {}).get("text/plain")
        if "answer" in about:
            answers += 1
            if not about["answer"].strip() or about["answer"] != text:
                problems.append(f"{at(cell)}: the answer is not the printed one")
        if "headline" in about:
            labels.append(about["headline"]["label"])
            if headline_texts(about["headline"]) != {text}:
                problems.append(f"{at(cell)}: the headline is not the printed one")
    if answers != 1:
        problems.append(f"{answers} answers, expected one")
    if not labels:
        problems.append("no headline number")
    if len(labels) > len(set(labels)):
        problems.append(f"two headlines have one label: {labels}")
    return problems


def headline_texts(about) -> set[str]:
    """Return what a headline must print by the value in its metadata, and by the numbers there."""
    values = ["{value}"]
    if "mean" in about:
        values += ["{mean:.3f} ± {sd:.3f} ({n} runs)" if "sd" in about else "{mean:,}"]
    beside = "; published {published:,} ({source})" if "published" in about else ""
    return {f"{{label}}: {value}{beside}".format(**about) for value in values}


RULES = {name[6:]: rule for name, rule in globals().items() if name.startswith("check_")}


# --- The notebooks of the repository -----------------------------------------------------------


@cache
def pages() -> dict[str, Page]:
    return {page.stem: page for page in read_pages(NOTEBOOKS)}


def test_there_are_notebooks():
    assert pages()


@pytest.mark.parametrize("stem", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
@pytest.mark.parametrize("rule", RULES)
def test_notebook_keeps(rule, stem):
    problems = RULES[rule](pages()[stem])
    assert not problems, f"{stem}: " + "; ".join(problems)


# --- Every rule can fail -----------------------------------------------------------------------

PROSE_CELL = "This sentence has ten words in it, as you see. " * 2
TAUGHT = "def halve(values):\n    return values / 2"
TWIN = 'def halve(values):\n    """Return half of each value."""\n    return values / 2'
SCORE = {"label": "score", "value": "0.5", "n": 1, "mean": 0.5}
PUBLISHED = {"published": 0.4, "source": "a course"}


def shown(text, **metadata):
    return new_output("display_data", {"text/plain": text}, metadata=metadata)


def valid_page() -> Page:
    """Return the second of three notebooks, which keeps every rule."""
    figure = new_output(
        "display_data",
        {"image/png": "AAAA", "text/plain": "Figure halves"},
        metadata={
            "image/png": {"alt": "Bars of ten heights, one for each class.", "name": "halves"}
        },
    )
    cells = [
        new_markdown_cell(
            "# Halve it\n\n**Why halve?**\n\n2 of 3 · 1 min on two cores", id="title"
        ),
        new_markdown_cell(
            "**You will learn**\n\n- how\n- what\n- why\n\nBuilds on: the first", id="learn"
        ),
        new_code_cell("from garment_utils import keras, plots", id="imports"),
        new_code_cell(
            'runs: int = 5  # how often\nname: str = "a"  # whose\n'
            "rates: list[float] = [0.1]  # of what",
            id="parameters",
            metadata={"tags": ["parameters"]},
        ),
        new_code_cell("total = runs + len(name) + len(rates)", id="derived"),
    ]
    for part in "abc":
        cells += [
            new_markdown_cell(f"## Part {part}\n\n{PROSE_CELL}", id=f"intro-{part}"),
            new_code_cell("total += 1\nprint(total)", id=f"code-{part}"),
            new_markdown_cell(PROSE_CELL, id=f"reading-{part}"),
        ]
        cells[-2].outputs = [new_output("stream", name="stdout", text="8\n")]
    cells += [
        new_code_cell(TAUGHT, id="taught"),
        new_code_cell("plots.show_figure(plots.plot_bars(total))", id="figure", outputs=[figure]),
        new_code_cell(
            "score(total)",
            id="score",
            metadata={"garment": {"tolerance": 0.01, "trains": 2}},
            outputs=[
                shown(
                    "score: 0.5; published 0.4 (a course)",
                    garment={"headline": {**SCORE, **PUBLISHED}},
                )
            ],
        ),
        new_code_cell(
            "tell(total)", id="answer", outputs=[shown("Half.", garment={"answer": "Half."})]
        ),
        new_markdown_cell("## What we saw\n\n- how\n- what\n- why", id="saw"),
        new_markdown_cell(
            "## Try it\n\nWhy?\n\n<details>\n<summary>Answer</summary>\n\nSo.\n\n</details>",
            id="try-it",
        ),
        new_markdown_cell("**Next:** [And then?](03_c.ipynb)", id="next"),
    ]
    node = new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    page = Page("02_b", node, ["01_a", "02_b", "03_c"], "And then?", {})
    for count, cell in enumerate(page.code, start=1):
        cell.execution_count = count
    page.packaged = {"halve": {form(ast.parse(TWIN).body[0])}}
    return page


def edit(name, pattern, replacement):
    """Return a change that replaces the one match of a pattern in a cell's source."""

    def change(page):
        [cell] = [cell for cell in page.node.cells if cell.id == name]
        cell.source, count = re.subn(pattern, lambda _: replacement, cell.source, flags=re.DOTALL)
        assert count == 1, "the change does not fit the sample"

    return change


def add(name, text):
    """Return a change that appends text to a cell's source."""
    return edit(name, r"\Z", text)


def change_cell(name, **attributes):
    """Return a change that sets attributes of a cell."""

    def change(page):
        [cell] = [cell for cell in page.node.cells if cell.id == name]
        cell.update(attributes)

    return change


def change_output(name, path, value):
    """Return a change that sets one value deep inside a cell's first output."""

    def change(page):
        [place] = [cell.outputs[0] for cell in page.code if cell.id == name]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def set_page(**attributes):
    def change(page):
        for name, value in attributes.items():
            setattr(page, name, value)

    return change


def set_notebook_metadata(name, value):
    return lambda page: page.node.metadata.update({name: value})


def swap(first, second):
    def change(page):
        cells = page.node.cells
        cells[first], cells[second] = cells[second], cells[first]

    return change


def drop(name):
    def change(page):
        page.node.cells = [cell for cell in page.node.cells if cell.id != name]

    return change


def repeat(name, times):
    def change(page):
        [cell] = [cell for cell in page.node.cells if cell.id == name]
        page.node.cells[6:6] = [cell] * times

    return change


ALT = ["metadata", "image/png", "alt"]
NAME = ["metadata", "image/png", "name"]
HEADLINE = ["metadata", "garment", "headline"]
PARTS = ("intro", "reading")
LONG = "\n".join(f"a{line} = {line}" for line in range(8))

BREAKAGES = [
    ("format", change_cell("derived", outputs=[{"output_type": "unknown"}])),
    ("format", lambda page: page.node.update(nbformat_minor=4)),
    ("python", add("derived", "\n%matplotlib inline")),
    ("python", change_cell("derived", source="")),
    ("numbering", set_page(series=["01_a", "02_b", "04_c"])),
    ("numbering", set_page(series=["01_a", "02_b", "3_c"])),
    ("numbering", edit("title", "2 of 3", "1 of 3")),
    ("numbering", edit("title", "2 of 3", "2 of 2")),
    ("ids", change_cell("derived", id="c0ffee12")),
    ("ids", change_cell("derived", id="Derived")),
    ("ids", change_cell("derived", id="taught")),
    ("metadata", set_notebook_metadata("papermill", {})),
    ("metadata", set_notebook_metadata("language_info", {"name": "python", "version": "3.11.7"})),
    ("metadata", set_notebook_metadata("kernelspec", {"name": "my-env"})),
    ("metadata", change_cell("derived", metadata={"execution": {}})),
    ("metadata", change_cell("saw", metadata={"papermill": {}})),
    ("metadata", change_cell("derived", metadata={"tags": ["nbval-ignore-output"]})),
    ("metadata", change_cell("derived", metadata={"garment": {"tolerence": 0.1}})),
    ("metadata", change_cell("derived", metadata={"garment": {}})),
    ("metadata", change_cell("derived", metadata={"garment": {"tolerance": 0.1}})),
    ("metadata", change_cell("score", metadata={"garment": {"tolerance": "0.1"}})),
    ("metadata", change_cell("score", metadata={"garment": {"trains": True}})),
    ("metadata", add("derived", "\n# NBVAL_IGNORE_OUTPUT")),
    ("title", edit("title", r"halve\?", "halve.")),
    ("title", edit("title", "1 min on two cores", "one minute")),
    ("title", edit("title", "# Halve", "## Halve")),
    ("order", swap(2, 3)),
    ("order", swap(-3, -2)),
    ("order", drop("saw")),
    ("order", change_cell("next", id="link")),
    ("order", add("reading-a", "\n\n# Another title")),
    ("learn", edit("learn", "- why\n", "")),
    ("learn", edit("saw", "- why", "- why\n- when")),
    ("learn", edit("learn", "Builds on", "Needs")),
    ("learn", drop("learn")),
    ("sections", edit("intro-a", r"\n.*", "")),
    ("sections", drop("code-b")),
    ("sections", drop("reading-b")),
    ("sections", lambda page: [drop("reading-a")(page), drop("intro-a")(page)]),
    ("sections", edit("intro-a", "## ", "### ")),
    ("try_it", edit("try-it", "<details>.*</details>", "")),
    ("try_it", edit("try-it", "So.", "")),
    ("try_it", edit("try-it", "</details>", "")),
    ("try_it", drop("try-it")),
    ("next", edit("next", "And then", "And")),
    ("next", edit("next", "03_c", "04_d")),
    ("next", set_page(series=["01_a", "02_b"])),
    ("parameters", change_cell("parameters", metadata={})),
    ("parameters", edit("parameters", "= 5", "= 2 + 3")),
    ("parameters", edit("parameters", "= 5", "= 5.0")),
    ("parameters", edit("parameters", "= 5", "= True")),
    ("parameters", edit("parameters", r"\[0.1\]", "[1]")),
    ("parameters", edit("parameters", "# how often", "")),
    ("parameters", edit("parameters", "runs: int", "runs")),
    ("parameters", edit("parameters", "5  # how often\n", "5; ")),
    ("parameters", edit("parameters", r"\[0.1\]", "[\n0.1]")),
    ("parameters", add("parameters", "\nmore: int = 1  # never used")),
    ("parameters", add("parameters", "\nprint(runs)  # now")),
    ("number_of_cells", repeat("code-a", 20)),
    ("number_of_cells", lambda page: [drop(f"code-{c}")(page) for c in "abc"]),
    ("lengths", change_cell("taught", source="\n".join(f"b{i} = {i}" for i in range(16)))),
    (
        "lengths",
        lambda page: [change_cell(f"code-{c}", source=LONG + "\nx=1")(page) for c in "abc"],
    ),
    ("lengths", lambda page: [cell.update(source=LONG[:30]) for cell in page.code[1:]]),
    (
        "amount_of_prose",
        lambda page: [edit(f"{part}-{c}", ".+", "So.")(page) for part in PARTS for c in "abc"],
    ),
    ("amount_of_prose", add("reading-a", PROSE_CELL * 10)),
    ("words", add("reading-a", "This is simply so.")),
    ("words", add("code-a", "  # Just so")),
    ("typed_results", add("reading-a", "It gets 87% right.")),
    ("typed_results", add("reading-a", "It gets 87 percent right.")),
    ("typed_results", add("reading-a", "It gets 0.87 right.")),
    ("typed_results", add("reading-a", "It gets .87 right.")),
    ("typed_results", add("reading-a", "It gets `0.87` right.")),
    ("typed_results", add("reading-a", "It gets $0.87$ right.")),
    ("typed_results", add("reading-a", r"It gets $87\%$ right.")),
    ("typed_results", edit("try-it", "So.", "0.87")),
    ("keras", add("imports", "\nimport keras")),
    ("keras", add("imports", "\nfrom keras import layers")),
    ("keras", add("imports", "\nimport tensorflow as tf")),
    ("keras", add("imports", "\nfrom tensorflow.keras import layers")),
    ("time", add("imports", "\nimport time")),
    ("time", add("derived", "\nstart = perf_counter()")),
    ("time", add("derived", "\nstart = pd.Timestamp.now()")),
    ("display", add("figure", "\nplt.show()")),
    ("display", add("figure", "\ndisplay(figure)")),
    ("display", add("figure", "\ndisplay(plots.plot_bars(total))")),
    ("twins", edit("taught", "/ 2", "/ 3")),
    ("twins", edit("taught", "halve", "half")),
    ("twins", add("derived", "\nif total:\n    def hidden(x):\n        return x")),
    (
        "test_images",
        lambda page: [
            add("code-a", "\nimages = garments.test.images")(page),
            add("code-b", "\ntrained = training.train_or_load(total)")(page),
        ],
    ),
    ("counts", change_cell("derived", execution_count=None)),
    ("counts", change_cell("derived", execution_count=7)),
    ("counts", lambda page: [c.update(execution_count=c.execution_count + 1) for c in page.code]),
    ("outputs", lambda page: [cell.update(outputs=[]) for cell in page.code]),
    ("outputs", change_cell("figure", outputs=[])),
    ("outputs", change_cell("code-a", outputs=[])),
    ("outputs", add("derived", "\ntotal")),
    ("errors", change_output("code-a", ["name"], "stderr")),
    (
        "errors",
        change_cell(
            "derived", outputs=[new_output("error", ename="E", evalue="", traceback=["E"])]
        ),
    ),
    ("paths", change_output("code-a", ["text"], "/home/me/x.py:3: Warning")),
    ("paths", change_output("code-a", ["text"], str(ROOT / "data"))),
    ("paths", add("derived", "\nfolder = 'C:\\\\data'")),
    ("paths", add("reading-a", "See /Users/me.")),
    ("figures", change_output("figure", ["metadata"], {})),
    ("figures", change_output("figure", ALT, "Bars.")),
    ("figures", change_output("figure", ALT, "Bars of ten heights, the longest is 0.87 long.")),
    ("figures", change_output("figure", ALT, "Bars of ten heights, the longest has 87 % of all.")),
    ("figures", change_output("figure", NAME, "Halves 1")),
    ("figures", repeat("figure", 1)),
    ("figures", change_output("figure", ["data"], {"image/svg+xml": "<svg/>"})),
    ("answer", drop("answer")),
    ("answer", repeat("answer", 1)),
    ("answer", drop("score")),
    ("answer", change_output("answer", ["data", "text/plain"], "Third.")),
    ("answer", change_output("score", ["data", "text/plain"], "score: 0.6")),
    ("answer", change_output("score", [*HEADLINE, "value"], "0.6")),
    ("answer", change_output("score", [*HEADLINE, "mean"], 0.6)),
    ("answer", change_output("score", [*HEADLINE, "sd"], 0.1)),
    ("answer", change_output("score", [*HEADLINE, "published"], 0.6)),
    ("answer", repeat("score", 1)),
]


def test_the_sample_keeps_every_rule():
    page = valid_page()
    assert {name: problems for name, rule in RULES.items() if (problems := rule(page))} == {}


@pytest.mark.parametrize(("rule", "change"), BREAKAGES)
def test_a_broken_notebook_is_found(rule, change):
    page = valid_page()
    change(page)
    assert RULES[rule](page)


def test_every_rule_is_broken_somewhere():
    assert {rule for rule, _ in BREAKAGES} == set(RULES)


ALLOWED = [
    add("reading-a", r"A formula $x' = 0.5 \cdot x$, code `x * 0.5`, `rates=0.2`, and `0.1`."),
    add("reading-a", "\n\n```\n0.87\n```"),
    add("reading-a", "[A paper](https://arxiv.org/abs/1708.07747) and arXiv:1708.07747, 5 of 8."),
    lambda page: [add("intro-a", "Half, 50%.")(page), add("code-a", "\nassert total")(page)],
    edit("parameters", "int = 5", "int | None = None"),
    lambda page: [
        add("reading-a", "\n\n## Part b\n\nThis follows in one cell.")(page),
        drop("intro-b")(page),
    ],
    edit("taught", "halve\\(values\\):", 'halve(values):\n    "Another docstring."'),
    lambda page: [
        set_page(series=["01_a", "02_b"], following=None)(page),
        edit("title", "2 of 3", "2 of 2")(page),
        edit("next", r"\[.*", "the end, [back to the overview](../README.md).")(page),
    ],
]


@pytest.mark.parametrize("change", ALLOWED)
def test_an_allowed_notebook_is_not_refused(change):
    page = valid_page()
    change(page)
    assert {name: problems for name, rule in RULES.items() if (problems := rule(page))} == {}
