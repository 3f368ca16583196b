"""Executed notebooks → HTML pages that need no network, and the index page of the series.

A page is one file: figures are data URIs with their alt text, formulas are MathML, the style
sheet is inside. From the command line::

    python -m garment_utils.reports EXECUTED.ipynb OUT.html [--pages STEM…]
"""

import argparse
import base64
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import nbformat
from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader, pass_context
from latex2mathml.converter import convert
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath, MathInlineParser
from nbformat import NotebookNode
from traitlets.config import Config

from garment_utils.paths import write_whole

TEMPLATES = Path(__file__).parent / "report"

# What the first cell of a notebook says, see CONTRIBUTING.md.
TITLE_CELL = re.compile(
    r"# (?P<title>.+)\n\n\*\*(?P<question>.+)\*\*\n\n(?P<number>\d+) of \d+ · (?P<minutes>.+)"
)
# A cell of a table that reads as a number: 12, -0.5, 1,024, 93%, 0.71 ± 0.08.
NUMBER = re.compile(r"[-+−]?\.?\d\S*( %)?( ± \S+)?|NaN|\.\.\.|…")


@dataclass(frozen=True)
class Lesson:
    """What the title cell of a notebook says."""

    stem: str
    number: int
    title: str
    question: str
    minutes: str


def read_lesson(path: Path) -> Lesson:
    """Read the title cell of the notebook at `path`; ValueError if it is not as it should be."""
    path = Path(path)
    return _lesson(_read(path), path)


def headlines(notebook: NotebookNode) -> list[dict]:
    """Return the headlines in the stored outputs, see `evaluation.headline`.

    Each has `label` and `value`, the text shown; if it is made of numbers also `n`, `mean` and,
    for more than one run, `sd`; if there is a number to hold against it `published`, `source`.
    """
    found = (metadata.get("headline") for metadata in _garment_metadata(notebook))
    return [dict(headline) for headline in found if headline]


def published(headline: dict) -> str:
    """Return the published number of a headline and whose it is, empty if it has none."""
    if "published" not in headline:
        return ""
    return f"{headline['published']:,} ({headline['source']})"


def answer(notebook: NotebookNode) -> str | None:
    """Return the one-line answer in the stored outputs; ValueError if there are several."""
    answers = [found["answer"] for found in _garment_metadata(notebook) if "answer" in found]
    if len(answers) > 1:
        raise ValueError(f"A notebook gives one answer, this one gives {len(answers)}: {answers}.")
    return answers[0] if answers else None


def figures(notebook: NotebookNode) -> dict[str, tuple[bytes, str]]:
    """Return the named figures in the stored outputs: name → (PNG bytes, alt text).

    ValueError if a figure has no alt text, or a name that is used twice or is no file name.
    """
    found = {}
    for output in _outputs(notebook):
        metadata = output.get("metadata", {}).get("image/png", {})
        if "image/png" not in output.get("data", {}) or "name" not in metadata:
            continue
        name = metadata["name"]
        if not re.fullmatch(r"\w+", name):
            raise ValueError(f"A figure's name is made of letters, digits and _, not {name!r}.")
        if name in found:
            raise ValueError(f"The name {name!r} is given to two figures of one notebook.")
        if not metadata.get("alt"):
            raise ValueError(f"The figure {name!r} has no alt text.")
        found[name] = (base64.b64decode(output["data"]["image/png"]), metadata["alt"])
    return found


def write_figures(executed: Path, folder: Path) -> None:
    """Write the named figures of the notebook NN_x.ipynb to `folder`/NN_name.png."""
    executed = Path(executed)
    number = executed.stem.partition("_")[0]
    for name, (png, _) in figures(_read(executed)).items():
        write_whole(Path(folder) / f"{number}_{name}.png", png)


def write_report(executed: Path, html: Path, *, pages: Collection[str] = ()) -> None:
    """Write the executed notebook as one page that needs no network.

    `pages` are the stems of the notebooks that have a page: those can be linked.
    ValueError, and no change to an older page, if the title cell is not as it should be, a
    formula cannot be read, or something shown is not stored in the notebook.
    """
    executed, html = Path(executed), Path(html)
    notebook = _read(executed)
    lesson = _lesson(notebook, executed)
    # The page's own heading says what the title cell says.
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != "title"]
    try:
        cells = _finish(_Exporter().from_notebook_node(notebook)[0], pages)
    except ValueError as error:
        raise ValueError(f"{executed}: {error}") from error
    contents = [(quote(heading["id"]), heading.get_text()) for heading in cells.find_all("h2")]
    page = _render(
        "lesson.html.j2",
        lesson=lesson,
        contents=contents,
        cells=str(cells),
        previous=max((stem for stem in pages if stem < html.stem), default=None),
        following=min((stem for stem in pages if stem > html.stem), default=None),
    )
    write_whole(html, page.encode())


def write_index(folder: Path, *, profile: str) -> None:
    """Write `folder`/index.html: all notebooks executed in `folder`/notebooks, their numbers.

    A notebook in `folder`/failed without a newer executed one is named as failed.
    ValueError if there is neither.
    """
    folder = Path(folder)
    executed = {path.stem: path for path in folder.glob("notebooks/[0-9]*.ipynb")}
    failed = {
        path.stem: path
        for path in folder.glob("failed/*.ipynb")
        if path.stem not in executed or _modified(path) > _modified(executed[path.stem])
    }
    if not executed and not failed:
        raise ValueError(f"{folder} holds no executed notebook to list in an index.")
    entries = []
    for stem in sorted(executed.keys() | failed.keys()):
        if stem in failed:
            entries.append({"name": _name(stem), "failed": failed[stem].relative_to(folder)})
            continue
        notebook = _read(executed[stem])
        entries.append(
            {
                "lesson": _lesson(notebook, executed[stem]),
                "page": f"{stem}.html" if (folder / f"{stem}.html").exists() else None,
                "answer": answer(notebook),
                "headlines": headlines(notebook),
            }
        )
    page = _render("series.html.j2", entries=entries, profile=profile)
    write_whole(folder / "index.html", page.encode())


# ---- notebooks -----------------------------------------------------------------------------


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist.") from error
    except Exception as error:  # nbformat raises a different class for each way to be no notebook
        raise ValueError(f"{path} is not a notebook that nbformat can read.") from error


def _lesson(notebook: NotebookNode, path: Path) -> Lesson:
    # By its id, because papermill puts a message before it when a run fails.
    source = next((cell.source for cell in notebook.cells if cell.get("id") == "title"), "")
    match = TITLE_CELL.fullmatch(source.strip())
    if match is None:
        raise ValueError(
            f"{path}: the cell with the id 'title' must be '# Title', '**Question?**' and "
            f"'1 of 2 · 1 min on two cores' with empty lines between, not {source!r}."
        )
    return Lesson(
        path.stem, int(match["number"]), match["title"], match["question"], match["minutes"]
    )


def _outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _garment_metadata(notebook: NotebookNode) -> list[dict]:
    return [output.get("metadata", {}).get("garment", {}) for output in _outputs(notebook)]


# ---- from cells to HTML --------------------------------------------------------------------


def _mathml(tex: str, display: str) -> str:
    try:
        # latex2mathml knows align* but not aligned, which looks the same.
        mathml = convert(tex.strip().replace("{aligned}", "{align*}"), display=display)
    except Exception as error:  # its exceptions have no common class of their own
        raise ValueError(f"the formula {tex!r} cannot be turned into MathML.") from error
    # What it does not know it passes through as text.
    unknown = re.search(r"\\\w+|<mi>&</mi>", mathml)
    if unknown:
        raise ValueError(f"the formula {tex!r} has {unknown[0]!r}, unknown to latex2mathml.")
    return mathml


class _Markdown(IPythonRenderer):
    """nbconvert's renderer, with formulas as MathML instead of TeX for a script to find."""

    def inline_math(self, body: str) -> str:
        return _mathml(body, "inline")

    def block_math(self, body: str) -> str:
        # A span, because markdown puts it inside a paragraph.
        return f'<span class="formula">{_mathml(body, "block")}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def block_html(self, html: str) -> str:
        # Jupyter shows formulas inside HTML too: <summary>Why $x / 255$?</summary>
        def formula(match: re.Match) -> str:
            return self.inline_math(match["math_inline_tex"])

        return super().block_html(re.sub(MathInlineParser.INLINE_MATH_TEX, formula, html))


class _Exporter(HTMLExporter):
    """The cells of a notebook as HTML, through report/cells.html.j2."""

    def __init__(self) -> None:
        config = Config()
        # One block of text for all that a cell printed.
        config.CoalesceStreamsPreprocessor.enabled = True
        # No scripts and no widgets: both need files from the network.
        config.NbConvertBase.display_data_priority = [
            "text/html",
            "text/markdown",
            "image/png",
            "image/jpeg",
            "text/plain",
        ]
        super().__init__(
            config=config,
            template_name=TEMPLATES.name,
            template_file="cells.html.j2",
            extra_template_basedirs=[str(TEMPLATES.parent)],
        )
        self.register_filter("published", published)

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        renderer = _Markdown(
            escape=False,
            exclude_anchor_links=True,
            attachments=context.get("cell", {}).get("attachments", {}),
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def _finish(html: str, pages: Collection[str]) -> BeautifulSoup:
    """Make the cells fit for a page: anchors, links, tables, what is wide scrolls by itself."""
    soup = BeautifulSoup(html, "html.parser")
    for heading in soup.find_all("h1"):
        heading.name = "h2"  # the page's title is its only h1
    _give_anchors(soup)
    _rewrite_links(soup, pages)
    for pre in soup.select(".outputs pre[style]"):  # Keras' summary: its colors are too pale
        for tag in (pre, *pre.find_all(style=True)):
            del tag["style"]
    for table in soup.find_all("table"):
        _tidy_table(table)
        _let_scroll(table.wrap(soup.new_tag("div")), "Table")
    for pre in soup.find_all("pre"):
        _let_scroll(pre, "Output" if pre.find_parent(class_="outputs") else "Code")
    for formula in soup.find_all(class_="formula"):
        _let_scroll(formula, "Formula")
    for tag in soup.select("[src], link[href]"):
        address = tag.get("src") or tag.get("href") or ""
        if not address.startswith("data:"):
            shown = address or "nothing"
            raise ValueError(f"<{tag.name}> shows {shown}, which is not inside the notebook.")
    return soup


def _give_anchors(soup: BeautifulSoup) -> None:
    """Give headings the ids that JupyterLab gives them, so that its links work here."""
    taken = {"content", "contents"}
    for heading in soup.find_all(["h2", "h3", "h4"]):
        anchor = name = "-".join(heading.get_text().split())
        repeat = 1
        while anchor in taken:
            repeat += 1
            anchor = f"{name}-{repeat}"
        taken.add(anchor)
        heading["id"] = anchor


def _rewrite_links(soup: BeautifulSoup, pages: Collection[str]) -> None:
    """Let links between notebooks lead to their pages; what leads nowhere becomes plain text."""
    anchors = {tag["id"] for tag in soup.find_all(id=True)}
    for link in soup.find_all("a", href=True):
        path, hash_sign, anchor = link["href"].partition("#")
        target = PurePosixPath(unquote(path))
        if urlsplit(link["href"]).scheme or (not path and unquote(anchor) in anchors):
            continue
        if path == "../README.md":
            link["href"] = "index.html"
        elif target.suffix == ".ipynb" and target.stem in pages:
            link["href"] = f"{target.stem}.html{hash_sign}{anchor}"
        else:
            link.unwrap()


def _tidy_table(table) -> None:
    """Take away what pandas says about looks, tell headers from cells, mark columns of numbers."""
    for style in table.parent.find_all("style", scoped=True):
        style.decompose()
    del table["border"]
    for row in table.find_all("tr", style=True):
        del row["style"]
    for header in table.find_all("th"):
        if header.get_text(strip=True):
            header["scope"] = "col" if header.find_parent("thead") else "row"
        else:
            header.name = "td"  # a corner, not a header
    body = [row.find_all("td") for row in table.select("tbody tr")]
    # The columns of pandas' body start after the index, which is made of th.
    heads = [row.find_all(["th", "td"]) for row in table.select("thead tr:not(:has([colspan]))")]
    columns = list(zip(*body, strict=False))
    for number, column in enumerate(columns):
        if all(NUMBER.fullmatch(cell.get_text(strip=True)) for cell in column):
            above = [row[number - len(columns)] for row in heads if len(row) >= len(columns)]
            for cell in (*column, *above):
                cell["class"] = "number"


def _let_scroll(tag, label: str) -> None:
    """Let a wide element scroll inside itself, reachable with the keyboard."""
    tag["class"] = [*tag.get_attribute_list("class", []), "scroll"]
    tag.attrs.update({"role": "group", "aria-label": label, "tabindex": "0"})


# ---- pages ---------------------------------------------------------------------------------


def _name(stem: str) -> str:
    """01_explore_the_garments → 01 Explore the garments."""
    number, _, words = stem.partition("_")
    return f"{number} {words.replace('_', ' ').capitalize()}"


def _render(template: str, **values) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["name"] = _name
    environment.filters["published"] = published
    return environment.get_template(template).render(**values)


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def main(arguments: list[str] | None = None) -> None:
    """Write the page of one executed notebook, and its figures beside it in figures/."""
    parser = argparse.ArgumentParser(prog="python -m garment_utils.reports", description=__doc__)
    parser.add_argument("executed", type=Path, metavar="EXECUTED.ipynb")
    parser.add_argument("html", type=Path, metavar="OUT.html")
    parser.add_argument(
        "--pages", nargs="*", default=[], metavar="STEM", help="the notebooks that have a page"
    )
    options = parser.parse_args(arguments)
    try:
        write_figures(options.executed, options.html.parent / "figures")
        write_report(options.executed, options.html, pages=options.pages)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
