# The series as a graph of files: notebook → executed notebook → page.
# `make run` calls it with a plan; `snakemake --cores 2` alone runs the lesson profile.
import json
import sys

from garment_utils import results, series
from garment_utils.paths import DATA, NOTEBOOKS, ROOT

plan = config or series.make_plan("lesson")
lessons = plan["notebooks"]  # stem → parameters

# Whatever a result depends on makes it anew when it changes.
learning = ["paths", "data", "preprocessing", "attribute_labels", "deepfashion", "photo_files"]
learning += ["shapes", "distortions", "quiet_keras", "convolutions", "models", "training"]
learning += ["learning_rate", "evaluation", "multilabel", "attribute_networks", "pretrained"]
learning += ["attribute_predictor", "photo_network", "second_opinion", "inspection", "plots"]
learning += ["attribute_plots", "photos", "attributes"]
archives = sorted(str(path) for path in (DATA / "fashion-mnist").glob("*.gz"))
labels = sorted(str(path) for path in (DATA / "garment-attributes").glob("*.csv"))


def measured(wildcards):
    """Return what the benchmark has measured, for a notebook that reads it."""
    source = (NOTEBOOKS / f"{wildcards.stem}.ipynb").read_text(encoding="utf-8")
    return [str(ROOT / "benchmarks" / "speed.csv")] if "speed.csv" in source else []


workdir: plan["folder"]


wildcard_constraints:
    stem=r"\d\d_\w+",


rule pages:
    input:
        expand("{stem}.html", stem=lessons),


rule execute:
    input:
        notebook=str(NOTEBOOKS / "{stem}.ipynb"),
        package=[str(ROOT / "garment_utils" / f"{name}.py") for name in learning],
        data=archives + labels,
        measured=measured,
        lock=str(ROOT / "requirements.txt"),  # other versions may print other numbers
    output:
        "notebooks/{stem}.ipynb",
    params:
        parameters=lambda wildcards: json.dumps(lessons[wildcards.stem]),
        versions=results.versions(),  # not used below: other versions make it run again
    # TensorFlow uses several threads by itself; two at once per notebook is a fair guess.
    threads: 2
    resources:
        mem_mb=3000,  # a little more than the one that uses most; see benchmarks/speed.csv
    shell:
        "{sys.executable:q} -m garment_utils.run {input.notebook:q} {output:q} "
        "--parameters {params.parameters:q} --progress progress/{wildcards.stem}.json "
        "--partial failed/{wildcards.stem}.ipynb"


rule page:
    input:
        notebook="notebooks/{stem}.ipynb",
        template=sorted(str(path) for path in (ROOT / "garment_utils" / "report").iterdir()),
        writer=str(ROOT / "garment_utils" / "reports.py"),
    output:
        "{stem}.html",
    params:
        pages=series.pages(plan),
    shell:
        "{sys.executable:q} -m garment_utils.reports {input.notebook:q} {output:q} "
        "--pages {params.pages:q}"
