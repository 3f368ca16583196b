# The series in batch; README.md says what each command is for.
#
#   make run                                     all notebooks, then the reports
#   make run PROFILE=fast                        the same on small subsets, to see that it runs
#   make run NOTEBOOKS="02" PARAMS="epochs=3"    some notebooks, other parameters, own folder
#   make test                                    everything that proves the project
#   make lab                                     JupyterLab
#   make outputs [NOTEBOOKS="02"]                store what `make run` showed in the notebooks
#   make results [NOTEBOOKS="02"]                the README's numbers, from PROFILE=full (1 h)
#   make bench                                   how fast it is, beside what others wrote (1 h)
#   make tolerances                              measure what other processors change
#   make lock                                    renew requirements.txt
#   make clean                                   remove build/, trained networks too, and .venv

SHELL := /bin/bash
.DEFAULT_GOAL := run

PROFILE ?= lesson
NOTEBOOKS ?=
PARAMS ?=
export PROFILE NOTEBOOKS PARAMS

# A Python that TensorFlow has wheels for, with what a virtual environment needs; first the one
# that everything has been tried with.
SUITABLE := import ensurepip, sys, venv; \
    sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and sys.maxsize > 2**32))
FIND_PYTHON = for python in python3.11 python3.12 python3.13 python3 python; do \
    $$python -c "$(SUITABLE)" 2>/dev/null && echo $$python && break; done
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# A virtual environment knows its folder, so one that was moved or copied along is made again.
$(shell [ "$$(cat $(INSTALLED) 2>/dev/null)" = "$(CURDIR)" ] || rm -f $(INSTALLED))

.PHONY: run test lab outputs results bench tolerances lock clean

run: $(INSTALLED)
	@$(BIN)/python -m garment_utils.series run --profile "$$PROFILE" \
	    --notebooks "$$NOTEBOOKS" --parameters "$$PARAMS"

test: $(INSTALLED)
	@npm ci --prefix tests --silent --no-audit --no-fund \
	    || echo "npm could not install axe-core: the accessibility check will be skipped"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder
	$(BIN)/pytest -n 2 --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout=600 notebooks

lab: $(INSTALLED)
	@$(BIN)/jupyter lab --notebook-dir=notebooks

outputs: $(INSTALLED)
	@$(BIN)/python -m garment_utils.series outputs --notebooks "$$NOTEBOOKS"

results: $(INSTALLED)
	@$(BIN)/python -m garment_utils.series results --notebooks "$$NOTEBOOKS"

bench: $(INSTALLED)
	@$(BIN)/python benchmarks/speed.py

tolerances: $(INSTALLED)
	@$(BIN)/python tests/measure_tolerances.py

# uv, because pip cannot make one lock for all platforms; nothing else needs it.
lock: $(INSTALLED)
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --all-extras \
	    --no-annotate --no-emit-index-url --custom-compile-command "make lock" \
	    --output-file requirements.new pyproject.toml
	@echo "-e ." >> requirements.new && mv requirements.new requirements.txt

clean:
	rm -rf build $(VENV)

# Made again from nothing if it was moved, its Python is gone, or an installation was interrupted:
# pip takes half a package for a whole one.
$(INSTALLED): requirements.txt pyproject.toml
	@if ! { [ -e $@ ] && $(BIN)/python -c "import pip" 2>/dev/null; }; then \
	    python=$$($(FIND_PYTHON)); \
	    if [ -z "$$python" ]; then \
	        echo "No suitable Python: install 64-bit Python 3.11, 3.12 or 3.13 with its venv module."; \
	        exit 1; \
	    fi; \
	    echo "Making $(VENV) with $$($$python --version)"; \
	    rm -rf $(VENV) && $$python -m venv $(VENV); \
	fi
	@rm -f $@
	@echo "Installing requirements.txt, once; this downloads about 500 MB"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@echo "$(CURDIR)" > $@
