"""A model as ONNX gives the features of the model, for any number of clips."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sttreid.catalogue.onnx import INPUT, OUTPUT, export_onnx
from sttreid.model.network import Network
from tests.sections import CLASSES, FRAMES, HEIGHT, MODEL, WIDTH, small_clips

REASON = "needs the packages onnx, onnxscript and onnxruntime"
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("onnxscript", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)
TOLERANCE = 1e-4  # of features of length 1


def trained(**changes: Any) -> Network:
    """A network whose norms have statistics, so that no feature is trivial."""
    torch.manual_seed(0)
    network = Network(replace(MODEL, **changes), FRAMES, HEIGHT, WIDTH, CLASSES).train()
    network(small_clips())
    return network.eval()


@pytest.mark.parametrize("changes", [{"standardise": True}, {"stt": False, "gt": False}])
def test_onnxruntime_computes_the_model_s_features_for_any_number_of_clips(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    network, path = trained(**changes), tmp_path / "model.onnx"
    export_onnx(network, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # one file: the weights are inside
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for number in (1, 2, 5):
        clips = small_clips(number, seed=number)
        (features,) = session.run([OUTPUT], {INPUT: clips.numpy()})
        with torch.no_grad():
            expected = network.encode(clips).numpy()
        assert expected.std(axis=0).max() > 10 * TOLERANCE or number == 1
        np.testing.assert_allclose(features, expected, rtol=0, atol=TOLERANCE)
