# `make repro` runs the whole experiment, `make test` the tests; both install what they need into .venv.
PYTHON ?= python3
VENV ?= .venv
PROFILE ?=
# of sttreid run-pipeline and run-study: make study STUDY=claims RUN='--jobs 4'
RUN ?=

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# stages and tests set their number of threads; several multi-threaded processes would slow each other down
export OMP_NUM_THREADS ?= 1

.PHONY: repro playground study unchanged test lint format install plots site data publish-run verify sheets clean

repro: install
ifeq ($(PROFILE),)
	python tools/pull_data.py
	python tools/repro.py $(RUN)
else
	tools/repro_profile.sh $(PROFILE)
endif

# A small repository for learning `dvc exp` (docs/dvc.md): make playground PLAYGROUND=FOLDER
PLAYGROUND ?= playground
playground: install
	python tools/playground.py $(PLAYGROUND)

# Runs the study experiments/STUDY and publishes it in metrics/STUDY/COMMIT: make study STUDY=claims. This takes hours; an
# interrupted study resumes.
study: install
	python tools/pull_data.py
	sttreid run-study $(STUDY) $(RUN)

# After edits that change no behaviour (comments, docstrings): updates dvc.lock without running a stage.
unchanged: install
	python tools/unchanged.py

test: install
	pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: install
	pre-commit run --all-files

format: install
	ruff check --fix-only .
	ruff format .

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# DVC's plots as a page that works offline: dvc_plots/index.html.
plots: install
	python tools/plots.py show

# The run's pages with an index, ready for GitHub Pages: site/index.html.
site: install
	python tools/site.py site

# For maintainers: puts the committed run into data-store, the remote inside the repository, for `dvc pull`.
publish-run: install
	tools/data_store.sh

# For maintainers: renders the target sets (their bytes change only with a new version of the benchmark).
data: install
	tools/render_data.sh

# Compares the pinned sets with the checksums of their manifests.
verify: install
	python tools/pull_data.py
	sttreid simulate verify data/campus data/winter data/station

# For maintainers: draws the contact sheets of all domains in docs/images.
sheets: install
	tools/render_sheets.sh

clean:
	rm -rf artifacts .scratch experiments/*/run .pytest_cache .mypy_cache .ruff_cache .hypothesis
