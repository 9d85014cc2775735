import json
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from sttreid.runtime.errors import InputError
from sttreid.search.answers import write_csv, write_json
from sttreid.search.ranking import Outsider, search
from tests.search.galleries import gallery_of
from tests.search.test_calibration import fitted


@pytest.mark.parametrize("labels", [True, False])
def test_both_files_hold_all_answers(tmp_path: Path, labels: bool) -> None:
    gallery, calibration = gallery_of(labels=labels), fitted()
    found = search([0, Outsider("photo", gallery.embeddings[2])], gallery, 3, calibration=calibration)
    write_json(tmp_path / "r.json", found, gallery, calibration)
    write_csv(tmp_path / "r.csv", found, gallery)
    content = json.loads((tmp_path / "r.json").read_text())
    table = pd.read_csv(tmp_path / "r.csv")
    assert [one["query"]["name"] for one in content["queries"]] == ["cam1.mp4:1", "photo"]
    assert content["calibration"]["threshold"] == calibration.threshold
    assert content["model"]["sha256"] == gallery.model.sha256
    flat = [answer for one in content["queries"] for answer in one["answers"]]
    assert [answer["row"] for answer in flat] == table["row"].tolist()
    assert [answer["tracklet"]["name"] for answer in flat] == [gallery.names[row] for row in table["row"]]
    assert table["query"].tolist() == ["cam1.mp4:1"] * 3 + ["photo"] * 3
    assert [answer["probability"] for answer in flat] == pytest.approx(
        table["probability"].tolist(), abs=1e-6
    )
    assert flat[0]["tracklet"]["identity"] == ("p0" if labels else None)
    assert flat[0]["correct"] is (True if labels else None)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_memory_depends_on_the_answers_not_on_the_gallery(kind: str, tmp_path: Path) -> None:
    gallery = gallery_of(people=10_000)
    found = search(0, gallery, 3)
    assert len(gallery.names) == 20_000  # kept from now on
    tracemalloc.start()
    if kind == "json":
        write_json(tmp_path / "r", found, gallery)
    else:
        write_csv(tmp_path / "r", found, gallery)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # the objects of all rows take more than 10 MB


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    gallery = gallery_of()
    for write in (write_json, write_csv):
        with pytest.raises(InputError, match="cannot be written"):
            write(tmp_path / "file" / "r", search(0, gallery), gallery)
