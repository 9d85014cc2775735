"""Stage ``report``: all results -> metrics/ablation.json, plot tables, figures, report.md and the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd

from sttreid.analysis import results, spread
from sttreid.analysis.claims import QUESTIONS
from sttreid.analysis.metrics_files import ablation_metrics
from sttreid.analysis.result_files import read_claims, read_domains, read_history, read_queries, read_result
from sttreid.analysis.results import Content
from sttreid.analysis.uncertainty import MIN_SEEDS
from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.fingerprint import FINGERPRINT, fingerprint, of_ablation, of_comparison, of_variants
from sttreid.config.params import Params
from sttreid.config.variants import composition, default_run, resolve
from sttreid.config.variants import content as resolved
from sttreid.report import charts, filmstrips, page, render
from sttreid.report.filmstrips import Visuals
from sttreid.report.page import Results
from sttreid.runtime.files import read_json, read_table, write_bytes, write_json, write_text
from sttreid.runtime.provenance import Machine, Provenance, publication_date
from sttreid.stages.command import run
from sttreid.stages.cross_domain import cross_domain, write_curves

COMPARED: Final = ("datasets", "decode", "simulate", "targets", "compare")  # sections of the stage compare


def main(params: Params) -> None:
    """Variants and seeds are those of params.yaml; leftover results of earlier runs are not read."""
    ablation, seeds, source = params.ablation, params.seeds, params.ablation.source
    cross = cross_domain(params.targets, seeds, params.simulate.domain)
    contents = [read_result(paths.result("ablation", seed)) for seed in seeds]
    tables = [read_queries(paths.queries("ablation", seed), "variants") for seed in seeds]
    queries = pd.concat(tables, ignore_index=True)
    stale = [name for name in ablation.variants if not _is_fresh(params, name, contents)]
    made: dict[str, Content] = {
        name: contents[0]["variants"][name] for name in ablation.variants if name not in stale
    }
    scores = results.ablation(contents, queries, list(made), source, cross, ablation.reference)
    runs = {
        name: _histories("cross_domain", seeds, name) for name in (params.simulate.domain, *params.targets)
    }
    histories = {name: _histories("ablation", seeds, name) for name in made}
    trained = dict(histories)
    if ablation.reference is not None:
        made[ablation.reference] = _reference(params, ablation.reference)
        trained[ablation.reference] = runs[source]
    variants = [results.variant(name, made[name], trained[name], ablation.min_train_rank1) for name in made]
    content = Results(
        cross=cross,
        ablation=scores,
        variants=variants,
        source=source,
        synthetic=params.simulate.domain,
        reference=ablation.reference,
        min_train_rank1=ablation.min_train_rank1,
        runs=runs,
        histories=histories,
        domains=_fresh("domains", of_comparison(*(getattr(params, name) for name in COMPARED)), read_domains),
        claims=_fresh("claims", of_ablation(params), lambda path: read_claims(path, [*QUESTIONS])),
        published_claims=published_claims(paths.METRICS),
        published_seeds=spread.published(Path()),
        visuals=Visuals(**{field.name: read_table(paths.visual(field.name)) for field in fields(Visuals)}),
        machines=_machines(params),
        stale=stale,
        fingerprint=of_ablation(params),
    )
    _write(content, seeds, of_variants(params))


def _is_fresh(params: Params, name: str, contents: Sequence[Content]) -> bool:
    """Whether a variant was tested with every seed as the parameters describe it."""
    tested = [entry.get("config") for entry in (each["variants"].get(name, {}) for each in contents)]
    wanted = [fingerprint(resolved(resolve(params, name, seed))) for seed in params.seeds]
    return tested == wanted


def _fresh(name: str, made_by: str, read: Callable[[Path], Content]) -> Content | None:
    """A metrics file; None if other parameters made it."""
    content = read(paths.METRICS / f"{name}.json")
    return content if content.get(FINGERPRINT) == made_by else None


def _histories(group: paths.Group, seeds: list[int], name: str) -> list[pd.DataFrame]:
    return [read_history(paths.history(group, seed, name)) for seed in seeds]


def _machines(params: Params) -> list[Machine]:
    """Of every stage of this run that trained or tested."""
    stages: list[tuple[object, ...]] = []
    for seed in params.seeds:
        stages += [("pretrain", seed), *(("finetune", target, seed) for target in params.targets)]
        stages += [("ablate", variant, seed) for variant in params.ablation.variants]
        stages += [("evaluate", group, seed) for group in ("cross_domain", "ablation")]
    records = [paths.machine(str(stage), *words) for stage, *words in stages]
    return [parse(Machine, read_json(path), str(path)) for path in records]


def published_claims(metrics: Path) -> list[Content]:
    """As :attr:`sttreid.report.page.Results.published_claims`.

    Args:
        metrics: folder of the published studies.

    Raises:
        InputError: a publication cannot be read.
    """
    newest: dict[str, tuple[datetime, Content]] = {}
    for path in sorted(metrics.glob("*/**/claims.json")):
        record = path.with_name("provenance.json")
        hidden = path.parent.name.startswith(".")  # a publication that is being written
        if hidden or not record.exists():
            continue
        content = read_claims(path, [*QUESTIONS])
        if content["seeds"] >= MIN_SEEDS:
            origin = parse(Provenance, read_json(record), str(record))
            study = {"study": origin.study, "folder": path.parent.as_posix(), "commit": origin.commit[:10]}
            section = origin.params.get("ablation")
            source = section.get("source") if isinstance(section, Mapping) else None
            content = {"trained_on": str(source or content["source"]), **content, "publication": study}
            date = publication_date(origin, record)
            if origin.study not in newest or newest[origin.study][0] < date:
                newest[origin.study] = date, content
    return [content for _, content in sorted(newest.values(), key=lambda each: each[0], reverse=True)]


def _reference(params: Params, name: str) -> Content:
    """Composition and steps of the default run's model, which is a variant without overrides."""
    variant = default_run(params, name=name)
    steps = {"pretrain_steps": params.pretrain.steps, "steps": variant.train.steps}
    return {"composition": composition(variant), **steps}


def _write(content: Results, seeds: list[int], fingerprints: Mapping[str, str]) -> None:
    """All files are computed before the first is written, so that a failure keeps the last consistent set."""
    whole, poster = page.report(content), filmstrips.poster(content.visuals)
    text, html = render.markdown(whole), render.html(whole)
    summary = charts.svg(page.summary_chart(content), charts.STATIC)
    metrics = ablation_metrics(content.ablation, content.variants, fingerprints)
    means = results.variant_means(content.ablation)
    means[FINGERPRINT] = means["variant"].map(fingerprints)
    curves = {
        paths.curve("ablation", seed, name): results.training_curve(history).assign(
            **{FINGERPRINT: fingerprints[name]}
        )
        for name, by_seed in content.histories.items()
        for seed, history in zip(seeds, by_seed, strict=True)
    }
    write_json(paths.METRICS / "ablation.json", metrics)
    write_text(paths.METRICS / "plots" / "ablation.tsv", results.tsv(means))
    write_curves(curves)
    write_text(paths.METRICS / "results.svg", summary)
    write_text(paths.METRICS / "report.md", text)
    write_bytes(paths.METRICS / "attention.jpg", poster)
    write_text(paths.METRICS / "report" / "index.html", html)


if __name__ == "__main__":
    run(main)
