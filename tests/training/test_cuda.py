"""On a CUDA device: two runs, and an interrupted one, give equal bytes. Skipped without such a device."""

from dataclasses import replace

import pytest
import torch

from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import checkpoint_folder
from sttreid.runtime.distributed import SINGLE
from sttreid.runtime.supervisor import supervise
from sttreid.training.loop import fit
from tests.sections import COMPUTE, small_network
from tests.training.runs import RECIPE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.fixture
def device():
    yield numerics.prepare(1, numerics.current())
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cuda_run_repeats_and_resumes_with_equal_bytes(store, tmp_path, device, precision):
    recipe = replace(RECIPE, compute=replace(COMPUTE, precision=precision))

    def run(path, stop=0):
        validations = []

        def interrupt(*_):
            validations.append(1)
            if len(validations) == stop:
                raise KeyboardInterrupt
            return {}

        network = small_network(dropout=0.2).to(device)
        with checkpoint_folder(path) as folder, supervise("test", folder, SINGLE) as observer:
            history = fit(network, store, recipe, 0, SINGLE, observer, interrupt)
        return network.state_dict(), history

    (first, one), (second, two) = run(tmp_path / "a"), run(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "c", stop=2)
    third, three = run(tmp_path / "c")
    assert one.equals(two)
    assert one.equals(three)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], third[name]) for name in first)
