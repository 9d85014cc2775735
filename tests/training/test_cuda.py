"""On a CUDA device: the same run twice, and a killed one, give the same bytes. Not run without one."""

from dataclasses import replace

import pytest
import torch

from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import kept
from sttreid.training.loop import fit
from tests.sections import COMPUTE, small_network
from tests.training.runs import RECIPE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.fixture
def device():
    yield numerics.prepare(1)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cuda_run_repeats_itself_and_goes_on_after_an_interruption(store, tmp_path, device, precision):
    recipe = replace(RECIPE, compute=replace(COMPUTE, precision=precision))

    def run(folder, stop=0):
        looked = []

        def look(_):
            looked.append(1)
            if len(looked) == stop:
                raise KeyboardInterrupt
            return {}

        network = small_network(dropout=0.2).to(device)
        with kept(folder) as scratch:
            history = fit(network, store, recipe, 0, look, "test", scratch)
        return network.state_dict(), history

    (first, one), (second, two) = run(tmp_path / "a"), run(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "c", stop=2)
    third, three = run(tmp_path / "c")
    assert one.equals(two)
    assert one.equals(three)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], third[name]) for name in first)
