"""Parameters of studies: merged over those of the default run, checked, created."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from sttreid.config.conversion import read_yaml
from sttreid.config.experiments import check_published, check_study, merged, new_study, study_names
from sttreid.config.params import build
from sttreid.config.variants import resolve
from sttreid.runtime.errors import InputError
from tests.tiny import CLAIMS, ROOT

CLAIMS_STUDY = """
study:
  analysis: claims
  variants: [full, global, cnn]
  trials: {}
ablation:
  reference: null
  variants:
    full: {}  # trained here
    cnn: {finetune: {lr: 0.5}}
seeds: [0, 1, 2, 3, 4]
"""
CURVES_STUDY = """
study:
  analysis: curves
  variants: [cnn, global]
  trials:
    half: {finetune: {identities: 4}}
    whole: {finetune: {identities: null}}
ablation:
  reference: null
  variants:
    cnn: {finetune: {lr: 0.5}}
"""
SEEDS_STUDY = """
study: {analysis: seeds}
seeds: [0, 1]
"""
SOME = Path("experiments/curves/params.yaml")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout's parameters, with three studies."""
    shutil.copy(ROOT / "tests" / "tiny.yaml", tmp_path / "params.yaml")
    claims = {name: value for name, value in CLAIMS.items() if name != "contrasts"}
    contrasts = dict(CLAIMS["contrasts"])
    content = CLAIMS_STUDY + yaml.safe_dump({"claims": {**claims, "contrasts": contrasts}})
    for name, text in (("claims", content), ("curves", CURVES_STUDY), ("seeds", SEEDS_STUDY)):
        (tmp_path / "experiments" / name).mkdir(parents=True)
        (tmp_path / "experiments" / name / "params.yaml").write_text(text)
    return tmp_path


def test_the_domains_of_the_study_s_checkout_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the working directory is, which may be another checkout."""
    monkeypatch.chdir(ROOT)
    (root / "domains").mkdir()
    with pytest.raises(InputError, match=re.escape(str(root / "domains"))):
        check_study(root, "claims")
    shutil.rmtree(root / "domains")
    check_study(root, "claims")


def params_of(root: Path, name: str) -> dict[str, Any]:
    path = root / "experiments" / name / "params.yaml"
    return merged(root, read_yaml(path), path)


def test_a_study_has_the_default_values_but_for_its_overrides(root: Path) -> None:
    default, content = read_yaml(root / "params.yaml"), params_of(root, "claims")
    assert content["model"] == default["model"]
    assert content["ablation"]["scratch"] == default["ablation"]["scratch"]
    assert content["seeds"] == [0, 1, 2, 3, 4]
    variants = content["ablation"]["variants"]
    assert list(variants) == ["full", "global", "cnn"]
    assert variants["global"] == default["ablation"]["variants"]["global"]
    assert variants["cnn"] == {**default["ablation"]["variants"]["cnn"], "finetune": {"lr": 0.5}}


def test_every_variant_is_trained_with_every_trial(root: Path) -> None:
    params = build(params_of(root, "curves"), SOME)
    assert list(params.ablation.variants) == ["cnn-half", "cnn-whole", "global-half", "global-whole"]
    half, whole = (resolve(params, f"cnn-{trial}", 0) for trial in ("half", "whole"))
    assert (half.train.identities, whole.train.identities) == (4, None)
    assert half.train.lr == whole.train.lr == 0.5
    assert not half.model.stt


def test_thresholds_are_those_of_the_claims_and_contrasts_the_study_s_own(root: Path) -> None:
    claims = params_of(root, "curves")["claims"]
    assert {**claims, "contrasts": None} == {**CLAIMS, "contrasts": None}
    assert claims["contrasts"] == {}


@pytest.mark.parametrize("name", ["claims", "curves", "seeds"])
def test_a_valid_study_gives_no_note(root: Path, name: str) -> None:
    assert study_names(root) == ["claims", "curves", "seeds"]
    assert check_study(root, name) == []


def test_a_new_study_holds_overrides_with_comments_and_nothing_else(root: Path) -> None:
    words = ["seeds=[3, 4]", "model.width=64", "ablation.variants.cnn.finetune.weight_decay=0"]
    notes = new_study(root, "mine", "claims", words)
    assert len(notes) == 1
    assert "2 seeds are fewer than claims.min_seeds, 5" in notes[0]
    text = (root / "experiments" / "mine" / "params.yaml").read_text()
    assert "# trained here" in text
    assert "augment" not in text
    content = params_of(root, "mine")
    assert (content["seeds"], content["model"]["width"]) == ([3, 4], 64)
    assert content["ablation"]["variants"]["cnn"]["finetune"] == {"lr": 0.5, "weight_decay": 0}
    assert content["model"]["heads"] == read_yaml(root / "params.yaml")["model"]["heads"]
    assert study_names(root) == ["claims", "curves", "mine", "seeds"]


def test_the_study_of_seeds_has_the_default_parameters_and_no_variant(root: Path) -> None:
    default, content = read_yaml(root / "params.yaml"), params_of(root, "seeds")
    assert content["ablation"]["variants"] == {}
    same = set(default) - {"ablation", "seeds"}
    assert {name: content[name] for name in same} == {name: default[name] for name in same}
    assert build(content, SOME).study is not None


def test_a_study_overrides_its_base_and_asks_its_own_questions(root: Path) -> None:
    folder = root / "experiments" / "longer"
    folder.mkdir()
    text = (
        "{study: {base: claims, analysis: tuning, variants: [cnn], trials: {a: {}, b: {model: {heads: 1}}}}, "
    )
    (folder / "params.yaml").write_text(text + "ablation: {variants: {cnn: {finetune: {warmup: 1}}}}}")
    content, base = params_of(root, "longer"), params_of(root, "claims")
    assert content["seeds"] == base["seeds"]
    assert list(content["ablation"]["variants"]) == ["cnn-a", "cnn-b"]
    assert content["ablation"]["variants"]["cnn-a"]["finetune"] == {"lr": 0.5, "warmup": 1}
    assert content["claims"] == base["claims"]
    assert content["study"]["variants"] == ["cnn"]
    assert not check_study(root, "longer")
    words = ["ablation.scratch.steps=9", "claims.contrasts={}"]
    assert not new_study(root, "longest", "longer", words)
    assert params_of(root, "longest")["claims"]["contrasts"] == {}
    assert params_of(root, "longest")["ablation"]["scratch"]["steps"] == 9


FULL_CNN = "claims.contrasts.full-cnn"
REFUSED = {
    "source": (["claim", "mine"], r"experiments/claim: no such study, there are claims, .*mean 'claims'"),
    "name": (["claims", "Mine"], "name must be lower-case .* got 'Mine'"),
    "taken": (["claims", "curves"], "experiments/curves: exists already"),
    "folder": (["claims", "report"], "experiments/report: .* default run, got 'report'"),
    "key": (
        ["claims", "mine", "model.widht=3"],
        r"mine/params\.yaml: unknown key model\.widht.*mean 'width'",
    ),
    "section": (["claims", "mine", "modell.width=3"], r"unknown key modell\.width.*mean 'model'"),
    "depth": (["claims", "mine", "seeds.first=3"], r"unknown key seeds\.first"),
    "value": (["claims", "mine", "model.width=x"], r"experiments/mine/params\.yaml: model\.width .* got 'x'"),
    "rule": (["claims", "mine", "ablation.min_train_rank1=3"], r"ablation\.min_train_rank1 .* got 3"),
    "yaml": (["claims", "mine", "seeds=["], r"seeds=\[: is not valid YAML"),
    "repeated": (
        ["claims", "mine", "model.width=8", "model.heads=2", "model.width=16"],
        r"model\.width: .*2 val",
    ),
    "word": (["claims", "mine", "seeds"], "seeds: must be key=value"),
    "seeds": (
        ["claims", "mine", "seeds=[]"],
        r"mine/params\.yaml: seeds must be a non-empty list .* got \[\]",
    ),
    "override": (
        ["claims", "mine", "ablation.variants.cnn.model={gtt: 1}"],
        r"mine/params\.yaml: ablation\.variants\.cnn: unknown key model\.gtt \(did you mean 'gt'",
    ),
    "points": (
        ["curves", "mine", "study.trials.whole.finetune.identities=4"],
        r"mine/params\.yaml: study\.trials\.whole: .* half, got 4",
    ),
    "steps": (
        ["claims", "mine", f"{FULL_CNN}.confirmatory=true", "ablation.scratch.steps=7"],
        r"full-cnn: .* got full trained after \d+ steps, cnn trained after 7",
    ),
    "moment": (
        ["claims", "mine", "claims.contrasts.transfer-untrained.theirs=cnn"],
        r"transfer-untrained: .* got full-pretrained pretrained after \d+ steps, cnn trained",
    ),
    "twice": (["claims", "mine", f"{FULL_CNN}.ours=cnn"], "must compare two variants, got cnn twice"),
    "no variants": (["claims", "mine", "study.variants=[]"], r"study\.variants must be .* got \[\]"),
    "variant": (
        ["claims", "mine", "study.variants=[cmn]"],
        r"study\.variants must name .* got 'cmn' .*'cnn'",
    ),
    "analysis": (["claims", "mine", "study.analysis=claim"], r"study: analysis .* got 'claim'"),
    "trials": (
        ["claims", "mine", "study.trials={a: {loss: {margen: 0.1}}}"],
        r"mine/params\.yaml: ablation\.variants\.full-a.*margen",
    ),
    "one seed": (["seeds", "mine", "seeds=[3]"], r"seeds: a spread needs at least 2 seeds, got \[3\]"),
    "seeds of variants": (
        ["claims", "mine", "study.analysis=seeds"],
        r"study\.variants and study\.trials must be empty for the analysis seeds, got \['full'",
    ),
    "base": (["curves", "mine", "study.base=clams"], r"experiments/clams: no such study.*mean 'claims'"),
    "reference": (
        ["claims", "mine", "ablation.reference=longer"],
        r"mine/params\.yaml: ablation\.reference must be null .* claims.*got 'longer'",
    ),
    "search": (["claims", "mine", "study.analysis=tuning"], "at least 2 trials, got 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_study_without_a_result_is_refused_and_leaves_nothing(root: Path, case: str) -> None:
    (source, name, *words), sentence = REFUSED[case]
    before = sorted((root / "experiments").rglob("*"))
    with pytest.raises(InputError) as refused:
        new_study(root, name, source, words)
    assert re.search(sentence, str(refused.value)), refused.value
    assert sorted((root / "experiments").rglob("*")) == before


def test_a_base_may_have_a_base_but_not_itself(root: Path) -> None:
    new_study(root, "mine", "claims", ["study.base=claims", "model.width=48"])
    new_study(root, "again", "seeds", ["study={base: mine, analysis: claims, variants: [cnn, full]}"])
    content = params_of(root, "again")
    assert content["model"]["width"] == 48
    assert content["ablation"]["variants"]["cnn"]["finetune"] == {"lr": 0.5}
    path = root / "experiments" / "claims" / "params.yaml"
    path.write_text(path.read_text().replace("study:", "study:\n  base: mine"))
    for name in ("claims", "mine", "again"):
        with pytest.raises(
            InputError, match=r"study\.base must not lead back .* got .*mine > claims|claims > mine"
        ):
            params_of(root, name)


def test_contrasts_that_compare_nothing_are_noted(root: Path) -> None:
    words = [
        f"{FULL_CNN}.theirs=cmn",
        "claims.contrasts.more={question: RQ4, ours: cnn-pretrained, theirs: full, confirmatory: false}",
    ]
    notes = new_study(root, "mine", "claims", words)
    assert re.search(r"mine/params\.yaml: .*full-cnn: there is no variant cmn \(did you mean", notes[0])
    assert "claims.contrasts.more: cnn has no synthetic pre-training" in notes[1]


def test_a_variant_that_is_not_trained_is_noted(root: Path) -> None:
    notes = new_study(root, "mine", "curves", ["ablation.variants.deep.model.heads=4"])
    assert len(notes) == 1
    assert "ablation.variants.deep: is not in study.variants" in notes[0]


def test_an_error_in_the_default_parameters_names_their_file(root: Path) -> None:
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("identities: 12", "identities: -1", 1))
    with pytest.raises(InputError, match=r"^params\.yaml: simulate\.identities"):
        check_study(root, "curves")


def test_a_folder_without_studies_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="experiments: is missing"):
        study_names(tmp_path)


SETS_STUDY = """
study: {analysis: sets}
datasets: {large: {reader: cameras, root: artifacts/videos/large}}
rendered: {large: {domain: campus, identities: 20}}
"""
OTHER_STORES = {
    "decode": ("claims", "decode: {height: 128}", r"decode\.height must be that of params\.yaml, 64, .* 128"),
    "simulate": ("claims", "simulate: {identities: 13}", r"simulate\.identities must .*, 12, .* 13"),
    "source": ("claims", "datasets: {campus: {root: data/other}}", r"datasets\.campus\.root must .*other"),
    "rendered": ("sets", "rendered: {large: {identities: 30}}", r"rendered\.large\.identities .*20.* 30"),
    "decode of sets": ("sets", "decode: {width: 64}", r"decode\.width must be that of experiments/sets/"),
    "protocol": ("claims", "datasets: {campus: {protocol: market}}", None),
    "synthetic": ("sets", "targets: [campus]\nsimulate: {domain: winter}", None),
    "nothing": ("sets", "", None),
}


@pytest.mark.parametrize("case", OTHER_STORES)
def test_a_study_describes_the_stores_that_it_uses(root: Path, case: str) -> None:
    """They are made with the parameters of another run, so that an override would have no effect."""
    home, text, sentence = OTHER_STORES[case]
    write_study(root, "sets", SETS_STUDY)
    sets = ", sets: sets" if home == "sets" else ""
    study = f"study: {{base: claims, analysis: claims, variants: [full, global, cnn]{sets}}}\n"
    write_study(root, "mine", study + text)
    if sentence is None:
        assert check_study(root, "mine") == []
        return
    with pytest.raises(InputError, match=rf"^experiments/mine/params\.yaml: {sentence}"):
        check_study(root, "mine")


BESIDE_STUDY = """
study: {base: claims, analysis: claims, variants: [wide], beside: {study: claims, variants: [cnn]}}
ablation: {variants: {wide: {model: {width: 64}}}}
claims: {contrasts: {wide-cnn: {question: RQ4, ours: wide, theirs: cnn, confirmatory: false}}}
"""


def test_variants_of_another_study_take_part_in_contrasts(root: Path) -> None:
    write_study(root, "mine", BESIDE_STUDY)
    assert check_study(root, "mine") == []
    write_study(root, "mine", BESIDE_STUDY.replace("theirs: cnn", "theirs: full"))
    assert "there is no variant full" in check_study(root, "mine")[0]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[cnn]}", "[cmn]}", r"beside\.variants: .*full, global, cnn; got 'cmn'"),
        ("variants: [wide]", "variants: [wide, cnn]", r"beside\.variants: must not be .*'cnn'"),
        ("[cnn]}", "[]}", r"beside\.variants"),
        ("beside: {study: claims", "beside: {study: seeds", r"the study seeds, which has none; got 'cnn'"),
        ("beside: {study: claims", "beside: {study: missing", "no such study"),
        ("analysis: claims", "analysis: tuning, trials: {a: {}, b: {}}", "tuning with 2 trials"),
        (
            "ablation: {",
            "seeds: [0, 9]\nablation: {",
            r"seeds must be among .*\[0, 1, 2, 3, 4\].* also \[9\]",
        ),
        ("ablation: {", "ablation: {source: winter, ", r"ablation\.source must be .*'campus'.*'winter'"),
    ],
)
def test_what_cannot_be_compared_with_another_study_is_refused(
    root: Path, old: str, new: str, sentence: str
) -> None:
    write_study(root, "mine", BESIDE_STUDY.replace(old, new))
    with pytest.raises(InputError, match=sentence):
        check_study(root, "mine")


def test_a_study_is_compared_with_the_parameters_of_the_publication(root: Path) -> None:
    """Those of the other study may have been edited since."""
    confirmatory = BESIDE_STUDY.replace("confirmatory: false", "confirmatory: true")
    write_study(root, "mine", confirmatory.replace("wide: {model", "wide: {pretrain: null, model"))
    assert check_study(root, "mine") == []
    params, theirs = build(params_of(root, "mine"), SOME), params_of(root, "claims")
    check_published(params, theirs, SOME, Path("provenance.json"))
    theirs["ablation"]["scratch"]["steps"] += 1
    with pytest.raises(InputError, match=r"contrasts\.wide-cnn: both sides .*, got wide trained .*, cnn"):
        check_published(params, theirs, SOME, Path("provenance.json"))


def test_a_study_is_compared_with_what_is_tested_alike(root: Path) -> None:
    flip = read_yaml(root / "params.yaml")["evaluate"]["flip"]
    write_study(root, "mine", f"{BESIDE_STUDY}evaluate: {{flip: {str(not flip).lower()}}}\n")
    with pytest.raises(InputError, match=r"mine/params\.yaml: evaluate must be that of .*flip"):
        check_study(root, "mine")


def write_study(root: Path, name: str, text: str) -> None:
    path = root / "experiments" / name / "params.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_a_study_with_the_name_of_a_folder_of_the_default_run_is_refused(root: Path) -> None:
    write_study(root, "plots", (root / "experiments" / "seeds" / "params.yaml").read_text())
    with pytest.raises(InputError, match="got 'plots'"):
        check_study(root, "plots")
