# `make repro` runs the whole experiment, `make test` the tests; both install what they need into .venv.
PYTHON ?= python3
VENV ?= .venv
PROFILE ?=

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# stages and tests pin their own threads; several processes of many threads each would slow each other down
export OMP_NUM_THREADS ?= 1

.PHONY: repro study unchanged test lint format install plots data verify sheets clean

repro: install
ifeq ($(PROFILE),)
	dvc pull -q data.dvc
	tools/repro.sh
else
	tools/repro_profile.sh $(PROFILE)
endif

# Runs the study experiments/STUDY and publishes it in metrics/STUDY/COMMIT: make study STUDY=claims. Takes hours; an
# interrupted study resumes.
study: install
	dvc pull -q data.dvc
	python tools/study.py $(STUDY)

# After edits that change no behaviour (comments, docstrings): brings dvc.lock up to date without a run.
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

# DVC's own plots as a page that needs no network: dvc_plots/index.html.
plots: install
	python tools/plots.py show

# For maintainers: render the target sets anew (their bytes only change with a new version of the benchmark).
data: install
	tools/render_data.sh

# The pinned sets against their manifests' checksums.
verify: install
	dvc pull -q data.dvc
	sttreid simulate verify data/campus data/winter data/station

# For maintainers: contact sheets of all domains for the README.
sheets: install
	tools/render_sheets.sh

clean:
	rm -rf artifacts .scratch experiments/*/run .pytest_cache .mypy_cache .ruff_cache .hypothesis
