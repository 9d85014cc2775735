"""Frames -> feature maps: a ResNet up to its third stage, the paper's "first three blocks" of ResNet-50.

Parameter names are torchvision's (conv1, bn1, layer1.0.conv1, ..., layer1.0.downsample.0), so an ImageNet
checkpoint loads unchanged.
"""

from typing import cast

from torch import Tensor, nn

EXPANSION = 4  # a bottleneck's output channels per inner channel, as in every ResNet-50


class Bottleneck(nn.Module):
    """1x1 -> 3x3 (stride here, as torchvision does) -> 1x1, plus the shortcut."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        out = inner * EXPANSION
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """[M, channels, h, w] -> [M, 4 * inner, h / stride, w / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return cast(Tensor, self.relu(self.bn3(self.conv3(x)) + shortcut))


class ResNetBackbone(nn.Module):
    """Frames -> feature maps [C, H/16, W/16], C = 16 * width; H/8 x W/8 with a last stride of 1."""

    def __init__(self, width: int, depths: tuple[int, int, int], last_stride: int) -> None:
        super().__init__()
        self.channels = 4 * EXPANSION * width
        self.stride = 8 * last_stride
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(width, width, depths[0], 1)
        self.layer2 = _stage(EXPANSION * width, 2 * width, depths[1], 2)
        self.layer3 = _stage(2 * EXPANSION * width, 4 * width, depths[2], last_stride)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[M, 3, H, W] -> [M, C, h, w]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return cast(Tensor, self.layer3(self.layer2(self.layer1(x))))


def _stage(channels: int, inner: int, depth: int, stride: int) -> nn.Sequential:
    blocks = [Bottleneck(channels, inner, stride)]
    blocks += [Bottleneck(inner * EXPANSION, inner, 1) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)
