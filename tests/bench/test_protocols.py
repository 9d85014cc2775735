"""The same features under several protocols: the table has the counts of each."""

from bench.evaluation_set import TINY, generate, load
from bench.protocols import NAMES, score, table
from sttreid.retrieval import protocol


def test_protocols_count_what_their_rules_say(tmp_path):
    generate(TINY, tmp_path)
    data = load(tmp_path, False)
    results = dict(zip(NAMES, score(data), strict=True))
    assert all(results[name].protocol == protocol(name) for name in NAMES)
    gallery = len(data.identity) - data.junk.sum()
    assert results["mars-official"].gallery == results["market"].gallery == gallery
    assert results["minus-queries"].gallery == gallery - data.query.sum()
    assert results["no-distractors"].gallery == gallery - data.distractor.sum()
    assert results["mars-official"].queries == data.query.sum()
    assert results["no-distractors"].mAP >= results["mars-official"].mAP
    lines = table(list(results.values())).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert f"{100 * results['market'].mAP:.2f} | {100 * results['market'].rank1:.2f} |" in lines[3]
