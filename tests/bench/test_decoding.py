from bench.decoding import figures


def test_frames_and_store_stand_beside_both_bare_decoders() -> None:
    found = list(figures(length=8, rounds=1))
    assert [figure.against for figure in found[:4]] == [
        "bare decord",
        "bare PyAV",
        "bare PyAV",
        "bare decord",
    ]
    assert all(figure.ours and figure.ours > 0 for figure in found)
    assert [figure.unit for figure in found[4:]] == ["MB"] * 3
