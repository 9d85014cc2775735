# `make repro` runs the whole experiment, `make test` the tests; both install what they need into .venv.
PYTHON ?= python3
VENV ?= .venv
PROFILE ?=
# of sttreid run-pipeline and run-study: make study STUDY=claims RUN='--jobs 4'
RUN ?=

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# stages and tests set their number of threads; several multi-threaded processes would slow each other down
export OMP_NUM_THREADS ?= 1

.PHONY: repro playground study bench unchanged test lint format install plots site docs audit sbom data publish-run verify sheets clean

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

# Measures what docs/performance.md says, and writes it: make bench PARTS="clips reranking" measures these anew. The
# variable TORCHREID names a folder with torchreid's compiled rank_cy.pyx (bench/evaluation.py).
PARTS ?=
bench: install
	dvc pull -q data.dvc models/stt-v1.safetensors.dvc
	sttreid bench report $(PARTS)

# After edits that change no behaviour (comments, docstrings): updates dvc.lock without running a stage.
unchanged: install
	python tools/unchanged.py

# Three processes for two cores: tests wait for commands, locks and kills.
test: install
	pytest -n 3 --dist loadfile --no-loadscope-reorder

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

# The documentation as a site: site-docs/index.html. A warning, so a broken link, is an error (with -q none would count).
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# Licences of all dependencies against the reviewed list, then known vulnerabilities of every pinned version (needs a
# network; a package that cannot be looked up is an error).
audit: $(VENV)/.installed-audit
	python tools/dependencies.py --check
	pip-audit --strict --disable-pip --no-deps -r constraints.txt \
	  $$(sed -n 's/^\([A-Z][A-Za-z0-9-]*\): ..*/--ignore-vuln \1/p' tools/vulnerabilities.txt)

# What the environment holds, as CycloneDX: sbom.json.
sbom: $(VENV)/.installed-audit
	cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o sbom.json $(VENV)/bin/python

# The extras of a maintainer's commands, which the tests do not need.
$(VENV)/.installed-%: $(VENV)/.installed
	pip install -q --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@

# For maintainers: puts the committed run into data-store, the remote inside the repository, for `dvc pull`.
publish-run: install
	tools/data_store.sh

# For maintainers: renders the target sets (their bytes change only with a new version of the benchmark).
data: install
	tools/render_data.sh

# Compares the pinned sets with the checksums of their manifests.
verify: install
	python tools/pull_data.py
	sttreid simulate verify data/*

# For maintainers: draws the contact sheets of all domains in docs/images.
sheets: install
	tools/render_sheets.sh

clean:
	rm -rf artifacts .scratch experiments/*/run .pytest_cache .mypy_cache .ruff_cache .hypothesis
