"""The HTML reports, read as files. test_reports_browser.py looks at them in a browser."""

import base64
import os
import re
import subprocess
import sys
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from garment_utils import reports

# A grey picture of one pixel, the smallest there is.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
ALT = 'Bar chart: 6,000 garments <of> each class, "equal" & balanced'

# As pandas 3 writes it.
ROW = "<tr><th>{}</th><td>{}</td><td>{}</td>" + "<td>255</td>" * 30 + "</tr>"
TABLE = f"""<div>
<style scoped>.dataframe tbody tr th {{ vertical-align: top; }}</style>
<table border="1" class="dataframe">
  <thead>
    <tr style="text-align: right;">
      <th></th><th>class</th><th>accuracy</th>{"<th>pixel</th>" * 30}
    </tr>
  </thead>
  <tbody>
    {ROW.format(0, "T-shirt/top", "0.71 ± 0.08")}
    {ROW.format(1, "Trouser", "-0.5")}
  </tbody>
</table>
<p>2 rows × 787 columns</p>
</div>"""

SCALES = r"""## Why divide by `255`?

The scaled pixel $\hat{x} = \frac{x}{255}$ is small.

$$
\operatorname{softmax}(z)_k = \frac{e^{z_k}}{\sum_{j=1}^{10} e^{z_j}}
= \frac{e^{z_k}}{e^{z_1}+e^{z_2}+e^{z_3}+e^{z_4}+e^{z_5}+e^{z_6}+e^{z_7}+e^{z_8}+e^{z_9}}
$$

| scale | $\bar{x}$ |
|---|---:|
| raw | 72.9 |
"""
ALIGNED = r"""## Count

An aligned pair.

$$\begin{aligned}a &= 1 \\ b &= 2\end{aligned}$$

```python
print("a fenced block, as long as the fenced blocks in the notebooks may be, and then some more")
```
"""

# As Keras' summary writes it: a pre whose colors are for a white page only.
SUMMARY = (
    '<pre style="white-space:pre;overflow-x:auto">Total params: '
    '<span style="color: #00af00; text-decoration-color: #00af00">3,214</span></pre>'
)


def title_cell(number=2, title="See what normalization changes", question="Why divide by 255?"):
    source = f"# {title}\n\n**{question}**\n\n{number} of 3 · 1 min on two cores"
    return new_markdown_cell(source, id="title")


def code_cell(source, *outputs, **metadata):
    return new_code_cell(source, outputs=list(outputs), metadata=metadata, execution_count=1)


def shown(data, **metadata):
    return new_output("display_data", data, metadata=metadata)


def figure(name="class_counts", alt=ALT):
    return shown(
        {"image/png": PNG, "text/plain": "<Figure>"}, **{"image/png": {"alt": alt, "name": name}}
    )


def headline(label, value):
    content = {"headline": {"label": label, "value": value}}
    return shown({"text/plain": f"{label}: {value}"}, garment=content)


def answer(sentence):
    return shown({"text/plain": sentence}, garment={"answer": sentence})


def example(*, failed=False):
    """Return a notebook with everything a page must cope with, also that its last cell failed."""
    notebook = new_notebook(
        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
        cells=[
            title_cell(),
            new_markdown_cell(
                "**You will learn**\n\n- what a *scale* is\n- what $x / 255$ does\n\n"
                "Builds on: [the data](01_explore_the_garments.ipynb), "
                "[its card](../data/README.md) and "
                "[Deep Learning](https://www.deeplearningbook.org), see [below](#What-we-saw)."
            ),
            code_cell("epochs: int = 6  # passes over the training images", tags=["parameters"]),
            code_cell("# Parameters\nepochs = 1\n", tags=["injected-parameters"]),
            new_markdown_cell(SCALES),
            code_cell(
                "table = {name: sum(values) / len(values) for name, values in sorted(long_named"
                "_measurements.items()) if name != 'Ankle boot'}  # a long line\n"
                "@property\ndef scaled(images: np.ndarray) -> np.ndarray:\n"
                '    """Return pixels in 0…1."""\n    return images / 255.0 if images else None',
                new_output("stream", name="stdout", text="epoch 1 of 6\n"),
                new_output("stream", name="stdout", text="epoch \x1b[1m2\x1b[0m of 6 <br>\n"),
                shown({"text/html": TABLE, "text/plain": "class accuracy"}),
                shown({"text/html": SUMMARY, "text/plain": "Total params"}),
            ),
            new_markdown_cell("## Count\n\nEach class is as frequent as the others."),
            code_cell("plots.class_counts(labels)", figure()),
            new_markdown_cell(ALIGNED),
            code_cell(
                "evaluation.headline(...)",
                headline("accuracy on pixels / 255", "0.712 ± 0.081 (5 runs)"),
                headline("accuracy on raw pixels", "0.31 ± 0.12 (5 runs)"),
                answer("Because small numbers keep the first step small."),
                new_output("execute_result", {"text/plain": "0.712"}, execution_count=1),
            ),
            new_markdown_cell("## What we saw\n\n- a scale was chosen\n- the loss fell"),
            new_markdown_cell(
                "## Try it\n\n1. What if you divide by 128?\n\n<details><summary>Answer for "
                "$x / 128$</summary>\n\nNot **much**, see `epochs` and $x$.\n\n</details>"
            ),
            new_markdown_cell(
                "**Next:** [How?](03_improve.ipynb#Count) or [back](../README.md)", id="next"
            ),
        ],
    )
    if failed:
        # As papermill does: a message on top, one before the cell, nothing after it.
        tags = {"tags": ["papermill-error-cell-tag"]}
        style = 'style="color:red; font-family:Helvetica Neue, Helvetica; font-size:2em;"'
        top = (
            f"<span {style}>An Exception was encountered at '<a href=\"#stop\">In [9]</a>'.</span>"
        )
        stop = f'<span id="stop" {style}>Execution using papermill encountered an exception</span>'
        traceback = ["\x1b[31mNameError\x1b[0m  Traceback", "name 'imags' is not defined"]
        error = new_output("error", ename="NameError", evalue="no 'imags'", traceback=traceback)
        notebook.cells.insert(0, new_markdown_cell(top, metadata=tags))
        notebook.cells[-1:] = [
            new_markdown_cell(stop, metadata=tags),
            code_cell("plots.gallery(imags, labels)", error),
        ]
    return notebook


def write_notebook(notebook, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def report(notebook, folder, pages=("01_explore_the_garments", "02_see", "03_improve")):
    """Write the page of a notebook and return it parsed."""
    executed = write_notebook(notebook, folder / "notebooks" / "02_see.ipynb")
    reports.write_report(executed, folder / "02_see.html", pages=pages)
    return BeautifulSoup((folder / "02_see.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return report(example(), tmp_path_factory.mktemp("site"))


def no_request_leaves(page):
    """Say whether a page shows nothing from outside itself; links to follow are no requests."""
    shown = page.select("[src], [srcset], link[href], script[src], object, iframe")
    return (
        all((tag.get("src") or tag.get("href", "")).startswith("data:") for tag in shown)
        and "url(" not in page.style.get_text()
        and "@import" not in page.style.get_text()
    )


# ---- one page ------------------------------------------------------------------------------


def test_the_page_is_one_english_document_with_landmarks(page):
    assert page.html["lang"] == "en"
    assert [heading.get_text() for heading in page.find_all("h1")] == [
        "See what normalization changes"
    ]
    assert page.title.get_text().startswith("See what normalization changes")
    for landmark in ("header", "nav", "main", "footer"):
        assert page.find(landmark), landmark
    assert page.find("a")["href"] == f"#{page.main['id']}"  # the skip link comes first
    assert page.find(class_="question").get_text() == "Why divide by 255?"
    assert page.find(class_="position").get_text() == "Notebook 2 · 1 min on two cores"


def test_nothing_is_loaded_from_outside(page):
    assert no_request_leaves(page)


def test_a_picture_from_outside_is_refused(tmp_path):
    notebook = example()
    notebook.cells[1].source += "\n\n![a garment](https://example.org/garment.png)"
    with pytest.raises(ValueError, match="02_see.ipynb: <img> shows https://example.org/garment"):
        report(notebook, tmp_path)


def test_figures_keep_their_alt_text_and_their_bytes(page):
    images = page.find_all("img")
    assert [image["alt"] for image in images] == [ALT]
    assert images[0]["src"] == f"data:image/png;base64,{PNG}"


def test_formulas_are_mathml(page):
    assert [math["display"] for math in page.find_all("math")] == [
        "inline", "inline", "block", "inline", "block", "inline", "inline",
    ]  # fmt: skip
    assert "$" not in page.body.get_text()
    assert page.summary.math  # formulas inside raw HTML, as in JupyterLab


@pytest.mark.parametrize("formula", ["x^", r"\nosuchthing x", "a & b"])
def test_a_formula_that_cannot_be_read_is_refused(tmp_path, formula):
    notebook = example()
    notebook.cells[1].source += f"\n\nA formula: ${formula}$."
    with pytest.raises(ValueError, match=f"formula {re.escape(repr(formula))}"):
        report(notebook, tmp_path)


def test_contents_lead_to_all_sections(page):
    links = page.find(class_="contents").find_all("a")
    headings = page.main.find_all("h2")
    assert [link.get_text() for link in links] == [heading.get_text() for heading in headings]
    assert [unquote(link["href"]) for link in links] == [f"#{h['id']}" for h in headings]
    assert len({heading["id"] for heading in headings}) == 5  # two of them are called "Count"


def test_every_link_inside_the_page_leads_somewhere(page):
    anchors = {tag["id"] for tag in page.find_all(id=True)}
    inside = [unquote(a["href"][1:]) for a in page.find_all("a") if a["href"].startswith("#")]
    assert "What-we-saw" in inside
    assert set(inside) <= anchors


def test_links_between_notebooks_lead_to_pages(page):
    links = {link.get_text(): link["href"] for link in page.select(".cells a")}
    assert links == {
        "the data": "01_explore_the_garments.html",
        "Deep Learning": "https://www.deeplearningbook.org",
        "below": "#What-we-saw",
        "How?": "03_improve.html#Count",
        "back": "index.html",
    }  # the data card has no page


def test_links_to_notebooks_without_a_page_become_text(tmp_path):
    page = report(example(), tmp_path, pages=["02_see"])
    assert "the data" in page.find(class_="cells").get_text()
    assert not page.select('a[href^="01_"], a[href^="03_"], [rel="prev"], [rel="next"]')


def test_neighbors_and_the_index_are_linked(page):
    links = {link["href"]: link.get_text(" ", strip=True) for link in page.select(".pager a")}
    assert links == {
        "01_explore_the_garments.html": "Previous 01 Explore the garments",
        "index.html": "Series All notebooks",
        "03_improve.html": "Next 03 Improve",
    }


def test_other_notebooks_that_have_a_page_are_linked_too(tmp_path):
    pages = ["00_before", "01_explore_the_garments", "02_see", "03_improve", "04_after"]
    page = report(example(), tmp_path, pages=[pages[-1], *pages[:-1]])
    assert page.find(rel="prev")["href"] == "01_explore_the_garments.html"
    assert page.find(rel="next")["href"] == "03_improve.html"
    page = report(example(), tmp_path, pages=["01_explore_the_garments", "02_see", "03_a"])
    assert page.find(rel="next")["href"] == "03_a.html"
    assert not page.select('a[href^="03_improve"]')


def test_injected_parameters_are_labelled(page):
    (label,) = page.find_all(class_="label")
    assert label.get_text() == "Parameters of this run"
    assert "epochs = 1" in label.find_parent(class_="cell").get_text()


def test_tables_scroll_and_tell_headers_from_cells(page):
    table = page.find("table", class_="dataframe")
    assert "scroll" in table.parent["class"]
    assert table.parent["tabindex"] == "0"
    assert table.parent["aria-label"]
    assert not table.find_parent(class_="outputs").find("style")
    first, names, accuracy, *_ = table.thead.find_all(["th", "td"])
    assert first.name == "td"  # the empty corner
    assert (names.get("class"), accuracy.get("class")) == (None, ["number"])
    assert {header["scope"] for header in table.thead.find_all("th")} == {"col"}
    assert {header["scope"] for header in table.tbody.find_all("th")} == {"row"}
    numbers = [[cell.get("class") for cell in row.find_all("td")] for row in table.select("tr")]
    assert numbers[1][:3] == numbers[2][:3] == [None, ["number"], ["number"]]


def test_code_and_output_are_there_and_scroll(page):
    assert all("scroll" in pre["class"] and pre["tabindex"] == "0" for pre in page.find_all("pre"))
    assert page.select_one(".highlight .k")  # highlighted
    outputs = [pre.get_text() for pre in page.select(".outputs pre")]
    assert outputs == ["epoch 1 of 6\nepoch 2 of 6 <br>\n", "Total params: 3,214", "0.712"]
    assert not page.select(".outputs [style]")
    assert "In [" not in page.get_text()


def test_headlines_and_the_answer_stand_out(page):
    values = [line.strong.get_text() for line in page.find_all(class_="headline")]
    assert values == ["0.712 ± 0.081 (5 runs)", "0.31 ± 0.12 (5 runs)"]
    assert page.find(class_="answer").get_text().startswith("Because small numbers")


def test_markdown_inside_details_is_rendered(page):
    assert page.details.strong.get_text() == "much"
    assert page.details.code.get_text() == "epochs"


def test_the_partial_notebook_of_a_failed_run_is_readable(tmp_path):
    page = report(example(failed=True), tmp_path)
    assert page.h1.get_text() == "See what normalization changes"
    shown = page.select_one(".outputs .failure")
    assert shown.p.get_text() == "NameError: no 'imags'"
    assert shown.pre.get_text() == "NameError  Traceback\nname 'imags' is not defined"


def test_a_failing_conversion_leaves_the_old_page(tmp_path):
    report(example(), tmp_path)
    before = (tmp_path / "02_see.html").read_bytes()
    notebook = example()
    notebook.cells[1].source = "$x^$"
    with pytest.raises(ValueError, match="formula"):
        report(notebook, tmp_path)
    assert (tmp_path / "02_see.html").read_bytes() == before


def test_an_interrupted_write_leaves_the_old_page(tmp_path, monkeypatch):
    report(example(), tmp_path)
    before = (tmp_path / "02_see.html").read_bytes()

    def full_disk(source, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    notebook = example()
    notebook.cells.pop()
    with pytest.raises(OSError, match="No space"):
        report(notebook, tmp_path)
    assert (tmp_path / "02_see.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02_see.html", "notebooks"]


# ---- what is read from notebooks -----------------------------------------------------------


def test_read_lesson(tmp_path):
    executed = write_notebook(example(), tmp_path / "02_see.ipynb")
    assert reports.read_lesson(executed) == reports.Lesson(
        stem="02_see",
        number=2,
        title="See what normalization changes",
        question="Why divide by 255?",
        minutes="1 min on two cores",
    )


@pytest.mark.parametrize(
    "source",
    [
        "",
        "See what\n\n**Why?**\n\n2 of 3 · 1 min",
        "# See what\n\nWhy?\n\n2 of 3 · 1 min",
        "# See what\n\n**Why?**\n\nnotebook 2, 1 min",
        "# See what\n\n**Why?**",
    ],
)
def test_a_title_cell_that_is_not_as_it_should_be(tmp_path, source):
    notebook = new_notebook(cells=[new_markdown_cell(source, id="title")])
    executed = write_notebook(notebook, tmp_path / "02_see.ipynb")
    with pytest.raises(ValueError, match="02_see.ipynb: the cell with the id 'title' must be"):
        reports.read_lesson(executed)


def test_what_is_no_notebook(tmp_path):
    with pytest.raises(ValueError, match="absent.ipynb does not exist"):
        reports.read_lesson(tmp_path / "absent.ipynb")
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    with pytest.raises(ValueError, match="half.ipynb is not a notebook"):
        reports.read_lesson(tmp_path / "half.ipynb")


def test_headlines_and_answer():
    assert reports.headlines(example()) == [
        {"label": "accuracy on pixels / 255", "value": "0.712 ± 0.081 (5 runs)"},
        {"label": "accuracy on raw pixels", "value": "0.31 ± 0.12 (5 runs)"},
    ]
    assert reports.answer(example()) == "Because small numbers keep the first step small."
    empty = new_notebook(cells=[title_cell(), code_cell("1")])
    assert (reports.headlines(empty), reports.answer(empty)) == ([], None)


def test_published_numbers_stand_beside_ours(tmp_path):
    notebook = example()
    (cell,) = [cell for cell in notebook.cells if cell.source == "evaluation.headline(...)"]
    first = cell.outputs[0].metadata["garment"]["headline"]
    first.update(published=1234.5, source="a <course>")
    for soup in (report(notebook, tmp_path), index(tmp_path)):
        beside = [line.find(class_="published") for line in soup.find_all(class_="headline")]
        assert [tag and tag.get_text() for tag in beside] == [
            "published 1,234.5 (a <course>)",
            None,
        ]


def test_two_answers_are_refused():
    notebook = new_notebook(cells=[code_cell("answer()", answer("Yes."), answer("No."))])
    with pytest.raises(ValueError, match="one answer, this one gives 2"):
        reports.answer(notebook)


def test_figures():
    assert reports.figures(example()) == {"class_counts": (base64.b64decode(PNG), ALT)}


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ([figure(), figure()], "two figures"),
        ([figure(name="../class_counts")], "letters, digits and _"),
        ([figure(alt="")], "has no alt text"),
    ],
)
def test_figures_that_cannot_be_written(shown, message):
    with pytest.raises(ValueError, match=message):
        reports.figures(new_notebook(cells=[code_cell("plot()", *shown)]))


# ---- the index -----------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    """Return a build folder: 01 failed, 02 has a page, 03 was executed but has no page yet."""
    write_notebook(new_notebook(cells=[]), tmp_path / "failed" / "01_explore_the_garments.ipynb")
    report(example(), tmp_path)
    third = new_notebook(cells=[title_cell(3, "Improve <it>", "What turns the worst into best?")])
    write_notebook(third, tmp_path / "notebooks" / "03_improve.ipynb")
    return tmp_path


def index(folder, profile="lesson"):
    reports.write_index(folder, profile=profile)
    return BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")


def test_the_index_lists_the_series(site):
    page = index(site)
    assert (page.html["lang"], page.h1.get_text()) == ("en", "Garment classification series")
    assert no_request_leaves(page)
    second, third = page.select(".lessons li")
    assert second.h3.a["href"] == "02_see.html"
    for text in ("Why divide by 255?", "Because small numbers keep", "1 min on two cores"):
        assert text in second.get_text()
    assert (third.h3.get_text(), third.a) == ("Improve <it>", None)
    assert [line.get_text() for line in second.find_all(class_="headline")] == [
        "accuracy on pixels / 255 0.712 ± 0.081 (5 runs)",
        "accuracy on raw pixels 0.31 ± 0.12 (5 runs)",
    ]
    assert "Profile lesson" in page.find(class_="position").get_text()


def test_the_index_names_what_failed(site):
    (failed,) = index(site).select(".failure li")
    assert "01 Explore the garments" in failed.get_text()
    assert failed.code.get_text() == "failed/01_explore_the_garments.ipynb"
    assert failed.a is None


def test_a_newer_executed_notebook_is_no_failure(site):
    first = site / "notebooks" / "01_explore_the_garments.ipynb"
    write_notebook(new_notebook(cells=[title_cell(1, "Explore", "What is in it?")]), first)
    assert not index(site).select(".failure")
    failed = site / "failed" / "01_explore_the_garments.ipynb"
    later = first.stat().st_mtime_ns + 1_000_000_000
    os.utime(failed, ns=(later, later))
    page = index(site)
    assert page.select(".failure")
    assert "What is in it?" not in page.get_text()


def test_only_the_fast_index_warns(site):
    assert index(site).find(class_="notice") is None
    warning = index(site, profile="fast").find(class_="notice").get_text()
    assert "smoke test" in warning and "not results" in warning and "1 epoch" in warning


def test_an_index_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no executed notebook"):
        reports.write_index(tmp_path, profile="lesson")


# ---- the command line ----------------------------------------------------------------------


def test_the_command_writes_the_page_and_the_figures(tmp_path):
    executed = write_notebook(example(), tmp_path / "notebooks" / "02_see.ipynb")
    html = tmp_path / "02_see.html"
    reports.main([str(executed), str(html), "--pages", "01_explore", "03_improve"])
    assert (tmp_path / "figures" / "02_class_counts.png").read_bytes() == base64.b64decode(PNG)
    assert 'href="01_explore.html"' in html.read_text(encoding="utf-8")
    reports.main([str(executed), str(html)])
    assert 'href="01_explore.html"' not in html.read_text(encoding="utf-8")


def test_the_command_ends_with_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="^.*absent.ipynb does not exist.$"):
        reports.main([str(tmp_path / "absent.ipynb"), str(tmp_path / "out.html")])


def test_the_command_imports_none_of_the_learning_side():
    code = "import sys, garment_utils.reports; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "matplotlib", "pandas", "sklearn", "garment_utils.data"}
    assert not heavy & set(run.stdout.split())
