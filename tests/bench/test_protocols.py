"""One set of features under every protocol: the table has what each counts."""

from bench.protocols import NAMES, score, table
from bench.trial import TINY, generate, load
from sttreid.retrieval import protocol


def test_the_protocols_count_what_they_say(tmp_path):
    generate(TINY, tmp_path)
    trial = load(tmp_path, False)
    results = dict(zip(NAMES, score(trial), strict=True))
    assert all(results[name].protocol == protocol(name) for name in NAMES)
    there = len(trial.identity) - trial.junk.sum()
    assert results["mars-official"].gallery == results["market"].gallery == there
    assert results["minus-queries"].gallery == there - trial.query.sum()
    assert results["no-distractors"].gallery == there - trial.distractor.sum()
    assert results["mars-official"].queries == trial.query.sum()
    assert results["no-distractors"].mAP >= results["mars-official"].mAP
    lines = table(list(results.values())).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert f"{100 * results['market'].mAP:.2f} | {100 * results['market'].rank1:.2f} |" in lines[3]
