"""A model as ONNX: clips [B, T, 3, H, W] -> features [B, D'], for programs without torch.

B is dynamic. T is not: the position embeddings of TT and GT are learned for T frames. Cut a longer tracklet
into clips of T frames, average their features and normalise the mean, as :func:`sttreid.embed` does.
"""

from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from sttreid.model.network import Network
from sttreid.runtime.files import write_bytes

INPUT, OUTPUT = "clips", "features"
OPSET = 18
PACKAGES = ("onnx", "onnxscript")


class _Encoder(nn.Module):
    """The test feature alone: ONNX knows tensors, no dataclasses."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """[B, T, 3, H, W] -> [B, D']."""
        return self.network.encode(clips)


def export_onnx(network: Network, path: Path) -> None:
    """Write a model as one ONNX file, in evaluation mode.

    Args:
        network: on the CPU; it is put into evaluation mode.
        path: of the file.

    Raises:
        ModuleNotFoundError: the package onnx or onnxscript is missing.
    """
    for package in PACKAGES:
        import_module(package)  # torch would say so only after a long trace
    encoder = _Encoder(network).eval()
    clips = torch.zeros(2, network.frames, 3, *network.image_size)
    batch = {"clips": {0: torch.export.Dim("batch")}}
    # strict: otherwise len() of a tensor makes the number of clips a constant
    graph = torch.export.export(encoder, (clips,), dynamic_shapes=batch, strict=True)
    program = torch.onnx.export(
        graph, input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, dynamo=True, verbose=False
    )
    assert program is not None  # it is None where torch writes the file itself
    write_bytes(path, program.model_proto.SerializeToString())
