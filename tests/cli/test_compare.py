"""``sttreid compare`` in a real, tiny DVC repository: commits, experiments, the workspace, refusals."""

import json
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from sttreid.analysis import spread
from sttreid.cli import revisions
from sttreid.cli.commands import main
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json, write_table, write_text
from tests.analysis.contents import TARGETS
from tests.analysis.outcomes import default_results, publication, tiny, variants_results
from tests.tiny import CLAIMS

PIPELINE = {
    "stages": {
        "decode": {
            "foreach": ["unreal", *TARGETS],
            "do": {"cmd": "true", "params": ["decode"], "outs": ["artifacts/tracklets/${item}"]},
        },
        "pretrain": {
            "cmd": "true",
            "deps": ["artifacts/tracklets/unreal"],
            "params": ["loss", "compute"],
            "outs": ["artifacts/models/cross_domain/0/unreal.pt"],
        },
        "resolve": {"cmd": "true", "params": [{"params.yaml": None}], "outs": ["artifacts/configs"]},
        "evaluate": {
            "matrix": {"group": ["cross_domain", "ablation"]},
            "cmd": "true",
            "deps": ["artifacts/configs"],
            "outs": [f"artifacts/results/${{item.group}}/0.{suffix}" for suffix in ("json", "parquet")],
        },
    }
}
KEYS = {"a", "b", "params", "publication", "forced", "left_out", "notes", "differences"}


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def write_params(folder, **changes):
    write_text(folder / "params.yaml", yaml.safe_dump(tiny(**changes), sort_keys=False))


def write_run(folder, gain, **changes):
    """The parameters and the outputs of a run."""
    write_params(folder, **changes)
    write_json(folder / "artifacts/configs/evaluation.json", {"entropy": changes.get("loss__entropy")})
    write_json(folder / "metrics/cross_domain.json", {"params": f"p{changes.get('loss__entropy', 'usual')}"})
    groups = {"cross_domain": default_results({0: gain}), "ablation": variants_results({0: gain})}
    for group, found in groups.items():
        write_json(folder / f"artifacts/results/{group}/0.json", found.contents[0])
        write_table(folder / f"artifacts/results/{group}/0.parquet", found.queries)


def commit(folder, *stages):
    """With DVC, of some stages or all, and with git."""
    with chdir(folder), Repo(str(folder)) as repo:  # DVC looks for stages in the working directory
        for stage in stages or [None]:
            repo.commit(stage, force=True)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "run")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Tag "base"; experiments "seed" (another seed) and "crippled"; tag "partial", without the ablation."""
    folder = tmp_path_factory.mktemp("checkout")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "test")
    git(folder, "config", "user.email", "test@localhost")
    Repo.init(str(folder)).close()
    for name in ("src/sttreid", "bench"):
        (folder / name).mkdir(parents=True)
    write_text(folder / "experiments/claims/params.yaml", yaml.safe_dump({"claims": CLAIMS}))
    write_text(folder / "dvc.yaml", yaml.safe_dump(PIPELINE, sort_keys=False))
    write_text(folder / ".gitignore", "/artifacts\n")
    for name in ("unreal", *TARGETS):
        write_text(folder / "artifacts/tracklets" / name, name)
    write_text(folder / "artifacts/models/cross_domain/0/unreal.pt", "weights")
    write_run(folder, 0.0)
    commit(folder)
    git(folder, "tag", "base")
    for name, gain, changes in (("seed", 0.03, {}), ("crippled", -0.2, {"loss__entropy": 0.0})):
        write_run(folder, gain, **changes)
        with chdir(folder), Repo(str(folder)) as repo:
            repo.experiments.save(name=name)
    write_run(folder, 0.01, loss__entropy=0.5)
    commit(folder, "decode", "pretrain", "resolve", "evaluate@cross_domain")
    git(folder, "tag", "partial")
    write_run(folder, 0.0)
    commit(folder)
    return folder


@pytest.fixture
def compared(checkout, monkeypatch, capsys):
    """Runs the command with the published spread and returns status, output and errors."""

    def run(*words, published=publication(0.02), inside=checkout):  # noqa: B008
        monkeypatch.chdir(inside)
        monkeypatch.setattr(spread, "published", lambda _: published)
        with pytest.raises(SystemExit) as end:
            main(["compare", *words])
        return end.value.code, *capsys.readouterr()

    return run


def differences(output, **values):
    found = json.loads(output)
    rows = [each for each in found["differences"] if all(each[key] == values[key] for key in values)]
    assert rows
    return rows


def test_another_seed_is_within_and_a_crippled_model_outside_what_another_seed_does(compared) -> None:
    for name, expected in (("seed", "within"), ("crippled", "outside")):
        status, output, errors = compared("base", name, "--json")
        assert (status, errors) == (0, "")
        rows = differences(output, variant=None)
        assert {row["verdict"] for row in rows} == {expected}
        assert {row["setting"] for row in rows} == {"in_domain", "cross_domain", "direct_transfer"}
        assert {row["verdict"] for row in differences(output, variant="vanilla")} == {expected}


def test_json_has_all_numbers_and_says_what_was_compared(compared) -> None:
    found = json.loads(compared("base", "crippled", "--json")[1])
    assert found.keys() == KEYS
    assert found["params"] == {"loss.entropy": {"a": 0.2, "b": 0.0}}
    assert found["a"].keys() == {"revision", "commit", "seeds", "numerics", "fingerprint"}
    assert [found[side]["fingerprint"] for side in "ab"] == ["pusual", "p0.0"]
    assert found["publication"].keys() == {"commit", "numerics"}
    row = found["differences"][0]
    keys = {"setting", "variant", "metric", "a", "b", "difference", "low", "high", "p", "sd", "margin"}
    assert row.keys() == keys | {"verdict", "detectable", "seeds_needed", "protocol", "text"}
    assert row["low"] < row["difference"] < row["high"] < -row["margin"] < 0


def test_text_fits_100_columns_and_markdown_is_a_table(compared) -> None:
    text = compared("base", "crippled")[1]
    assert max(map(len, text.splitlines())) <= 100
    assert "loss.entropy: 0.2 -> 0.0" in text
    lines = [line for line in compared("base", "crippled", "--md")[1].splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {5}
    assert len(lines) == 2 + 6 + 4  # the variant spatial is the same in both
    assert compared("base", "crippled", "--md", "--json")[0] == 2


def test_without_a_publication_there_is_no_verdict_but_an_interval(compared) -> None:
    output = compared("base", "seed", "--json", published=None)[1]
    assert {row["verdict"] for row in differences(output, variant=None)} == {"unknown"}
    assert json.loads(output)["publication"] is None


def test_the_workspace_is_the_second_run_by_default(compared, checkout) -> None:
    output = compared("base", "--json")[1]
    assert {row["verdict"] for row in differences(output)} == {"identical"}
    assert json.loads(output)["b"] == {
        "revision": "workspace",
        "commit": None,
        "seeds": [0],
        "numerics": "native",
        "fingerprint": "pusual",
    }
    assert "base" in compared("base", inside=checkout / "bench")[1]  # anywhere in the checkout


def test_results_of_other_parameters_are_left_out(compared) -> None:
    output = compared("base", "partial", "--json")[1]
    assert {row["variant"] for row in differences(output)} == {None}
    told = " ".join(json.loads(output)["left_out"])
    assert "evaluate@ablation" in told
    assert "dvc repro" in told


def test_parameters_that_have_not_run_are_an_error(compared, checkout) -> None:
    write_params(checkout, loss__entropy=0.7)
    try:
        status, _, errors = compared("base", "workspace")
    finally:
        git(checkout, "checkout", "-q", ".")
    assert status == 2
    assert "loss" in errors
    assert "dvc repro" in errors


def test_a_file_of_the_workspace_must_be_that_of_the_lock(compared, checkout) -> None:
    path = checkout / "artifacts/results/cross_domain/0.json"
    content = path.read_bytes()
    path.unlink()  # a link into the cache
    try:
        path.write_bytes(content + b"\n")
        status, _, errors = compared("base", "workspace")
        assert status == 2
        assert "artifacts/results/cross_domain/0.json" in errors
        path.unlink()
        assert compared("base", "workspace")[0] == 0  # the cache has it
    finally:
        path.write_bytes(content)


def test_results_that_the_cache_lacks_are_named_with_the_command_that_gets_them(compared, checkout) -> None:
    with Repo(str(checkout)) as repo:
        (file,) = [
            Path(repo.cache.local.oid_to_path(out["md5"]))
            for out in yaml.safe_load(show(checkout, "seed"))["stages"]["evaluate@cross_domain"]["outs"]
            if out["path"].endswith(".parquet")
        ]
    hidden = file.with_suffix(".hidden")
    file.rename(hidden)
    try:
        status, _, errors = compared("base", "seed")
    finally:
        hidden.rename(file)
    assert status == 2
    assert "artifacts/results/cross_domain/0.parquet" in errors
    assert "dvc fetch" in errors
    assert "dvc repro" in errors


def show(checkout, name):
    """dvc.lock of an experiment."""
    with Repo(str(checkout)) as repo:
        commit_ = revisions.resolve_rev(repo.scm, name)
    words = ["git", "show", f"{commit_}:dvc.lock"]
    return subprocess.run(words, cwd=checkout, check=True, capture_output=True).stdout


def test_other_data_are_refused_unless_it_is_forced(compared, checkout) -> None:
    lock = checkout / "dvc.lock"
    stages = yaml.safe_load(lock.read_text())["stages"]
    md5 = stages["decode@winter"]["outs"][0]["md5"]
    lock.write_text(lock.read_text().replace(md5, "f" * 32))
    try:
        status, output, errors = compared("base", "workspace")
        assert (status, output) == (2, "")
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1
        assert all(word in errors for word in ("winter", md5, "f" * 32))
        for form in ("--json", "--md"):
            status, output, _ = compared("base", "workspace", "--force", form)
            assert status == 0
            assert md5 in output
    finally:
        git(checkout, "checkout", "-q", ".")


def test_an_unknown_revision_is_refused(compared) -> None:
    status, _, errors = compared("base", "nowhere")
    assert status == 2
    assert "'nowhere'" in errors


def test_a_folder_without_dvc_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        revisions.read_outcomes(tmp_path, ["workspace"])


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("params.yaml", "seeds: [0]\n", "targets"),
        ("params.yaml", "{", "params.yaml"),
        ("dvc.lock", "", "dvc.lock"),
        (
            "dvc.lock",
            "schema: '2.0'\nstages: {other: {cmd: 'true'}}\n",
            "artifacts/results/cross_domain/0.parquet",
        ),
    ],
)
def test_what_cannot_be_read_at_a_revision_is_named(path, content, told, compared, checkout) -> None:
    (checkout / path).write_text(content)
    try:
        status, _, errors = compared("base", "workspace")
    finally:
        git(checkout, "checkout", "-q", ".")
    assert status == 2
    assert told in errors


def test_parameters_that_json_does_not_have_are_texts(compared, checkout) -> None:
    params = (checkout / "params.yaml").read_text()
    (checkout / "params.yaml").write_text(params + "extra: {since: 2026-11-30, most: .inf, 3: [.nan, 1.5]}\n")
    with (checkout / "dvc.lock").open() as file:
        assert "extra" not in file.read()
    try:
        for form in ("--json", "--md", None):
            status, output, _ = compared("base", "workspace", *([form] if form else []))
            assert status == 0
            assert "2026-11-30" in output
            if form == "--json":
                found = json.loads(output, parse_constant=pytest.fail)["params"]
                assert found["extra.since"] == {"b": "2026-11-30"}
                assert found["extra.most"] == {"b": "inf"}
                assert found["extra.3"] == {"b": ["nan", 1.5]}
    finally:
        git(checkout, "checkout", "-q", ".")


def test_an_md5_that_looks_like_a_number_stays_an_md5(compared, checkout) -> None:
    md5 = "12345678901234567890123456789e01"
    lock = checkout / "dvc.lock"
    stages = yaml.safe_load(lock.read_text())["stages"]
    lock.write_text(lock.read_text().replace(stages["decode@winter"]["outs"][0]["md5"], f"'{md5}'"))
    try:
        assert md5 in compared("base", "workspace")[2]
    finally:
        git(checkout, "checkout", "-q", ".")


def test_a_file_is_parsed_once_for_all_stages(checkout, monkeypatch) -> None:
    parsed = []
    real = revisions.parse_yaml
    monkeypatch.setattr(revisions, "parse_yaml", lambda *given: parsed.append(given[1]) or real(*given))
    revisions.read_outcomes(checkout, ["base"])
    assert len(parsed) == len(set(parsed)) > 1
