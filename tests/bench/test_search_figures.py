from bench.footage import LINK_RATES
from bench.search_figures import link_table, speed_table, strangers

FOUND = {
    "model": "m.pt",
    "set": "campus",
    "queries": 412,
    "rank-1 of search": 0.5,
    "rank-1 of the evaluator": 0.25,
    "tracklets per second": 64.4,
    "boxes per second": 673.0,
    "frames per second": 129.0,
    "frames per second, decoding alone": 658.0,
    **{
        f"false-match rate {rate}": {
            "threshold": rate * 10,
            "open set": {
                "rates": (0.01, 0.05),
                "detection": (0.2, 0.3),
                "threshold_alarms": 0.4,
                "threshold_detection": 0.6,
                "rank1": 0.7,
            },
            "link": {"idf1": 0.123, "precision": 0.4, "recall": 0.5, "f1": 0.44},
            "strange": 0.19,
        }
        for rate in LINK_RATES
    },
}


def cells(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_tables_have_the_numbers_in_their_columns() -> None:
    assert [row[1] for row in cells(speed_table(FOUND))[1:]] == [
        "50.0 %",
        "25.0 %",
        "64 tracklets/s, 673 boxes/s, 129 frames/s",
        "658 frames/s",
    ]
    head, *rows = cells(link_table(FOUND))
    assert len(rows) == len(LINK_RATES)
    assert rows[0] == ["0.1 %", "0.010", "40 %", "60 %", "12.3 %", "40 %", "50 %", "44 %"]
    assert len(head) == len(rows[0])
    text = strangers(FOUND)
    assert "20 % at FAR 1 %" in text
    assert "30 % at FAR 5 %" in text
