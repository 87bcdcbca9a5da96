"""Common networks, exported as PyTorch does by default, compute what PyTorch computes: logits and gradients.

Each is its family's own code from torchvision, as shallow and narrow as that allows; the default exports of
the full networks hold the same operators.
"""

import logging
import warnings
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import convnext, densenet, efficientnet, mobilenetv3, resnet, vgg

from sparse_robust.check import load_model

SIDE = 32


def randomised(network: nn.Module) -> nn.Module:
    """In evaluation mode, with running statistics and weights that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=generator)
        elif value.is_floating_point():
            value.add_(torch.randn(value.shape, generator=generator), alpha=0.05)
    return network.eval().requires_grad_(False)


def efficient() -> nn.Module:
    block = partial(efficientnet.MBConvConfig, width_mult=0.25, depth_mult=0.1)
    blocks = [block(1, 3, 1, 32, 16, 1), block(6, 3, 2, 16, 24, 2), block(6, 5, 2, 24, 40, 2)]
    return efficientnet.EfficientNet(blocks, dropout=0.2, num_classes=4)


def mobile_3() -> nn.Module:
    block = partial(mobilenetv3.InvertedResidualConfig, dilation=1, width_mult=0.5)
    blocks = [block(16, 3, 16, 16, True, "RE", 2), block(16, 3, 64, 24, True, "HS", 2)]
    return mobilenetv3.MobileNetV3(blocks, last_channel=32, num_classes=4)


def convnext_() -> nn.Module:
    blocks = [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 1)]
    return convnext.ConvNeXt(blocks, num_classes=4)


def mobile_2() -> nn.Module:
    return models.MobileNetV2(4, 0.25, [[1, 16, 1, 1], [6, 24, 2, 2]])


def vgg_bn() -> nn.Module:
    """Without the two layers of 4096 before the last, which would be 120 million weights."""
    features = vgg.make_layers([8, "M", 8, "M"], batch_norm=True)
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(8 * 49, 4))


def vit() -> nn.Module:
    return models.VisionTransformer(
        image_size=SIDE, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=24, num_classes=4
    )


NETWORKS = {
    "vgg11_bn": vgg_bn,
    "resnet18": lambda: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], 4, width_per_group=64),
    "resnet50": lambda: resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], 4, width_per_group=8),
    "mobilenet_v2": mobile_2,
    "mobilenet_v3": mobile_3,
    "convnext": convnext_,
    "shufflenet": lambda: models.ShuffleNetV2([2, 2, 2], [8, 16, 24, 32, 32], num_classes=4),
    "densenet": lambda: densenet.DenseNet(4, (2, 2), 8, num_classes=4),
    "squeezenet": lambda: models.squeezenet1_0(num_classes=4),
    "efficientnet": efficient,
    "vit": vit,
}


class Head(nn.Module):
    """A linear classifier followed or preceded by something."""

    def __init__(self, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.linear, self.after = before, nn.Linear(3 * 64, 4), after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.linear(self.before(x).flatten(1)))


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        left, right = x.split(2, dim=1)
        return torch.cat([right * 2, left + torch.zeros(2)], 1)


OPERATORS = {
    **{
        kind.__name__: partial(Head, nn.Identity(), kind())
        for kind in (nn.GELU, nn.PReLU, nn.SELU, nn.Hardswish)
    },
    "LayerNorm": partial(Head, nn.LayerNorm(8), nn.ELU()),
    "GroupNorm": partial(Head, nn.GroupNorm(3, 3), nn.CELU()),
    "LocalResponseNorm": partial(Head, nn.LocalResponseNorm(2), nn.Mish()),
    "Split": partial(Head, nn.Identity(), Halves()),
    "InstanceNorm": partial(Head, nn.InstanceNorm2d(3), nn.Softsign()),
    "AdaptiveMaxPool": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
    "ReflectionPad": lambda: nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 4, 12), nn.Flatten()),
    "AvgPool": lambda: nn.Sequential(nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(3, 4, 5), nn.Flatten()),
}


def compare(network: nn.Module, x: Tensor, path) -> None:
    """Logits, gradients and number of weights of the file at ``path`` against the network's own."""
    model = load_model(path)
    assert model.verify is not None
    model.verify(x)
    results = []
    for function in (model.logits, network):
        z = x.clone().requires_grad_()
        logits = function(z)
        results.append((logits.detach(), torch.autograd.grad((logits * torch.arange(1.0, 5)).sum(), z)[0]))
    (logits, gradient), (wanted, slope) = results
    assert wanted.std() > 0
    torch.testing.assert_close(logits, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
    torch.testing.assert_close(gradient, slope, rtol=1e-3, atol=1e-4 * float(slope.abs().max()))


def export(network: nn.Module, x: Tensor, folder) -> None:
    shapes = ({0: torch.export.Dim("n")},)
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (x,), dynamic_shapes=shapes)
        torch.export.save(program, folder / "m.pt2")
        torch.onnx.export(program, f=folder / "m.onnx", verbose=False)
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_common_network_is_what_pytorch_computes(name, tmp_path):
    torch.manual_seed(0)
    network = randomised(NETWORKS[name]())
    x = torch.rand(3, 3, SIDE, SIDE)
    export(network, x[:2], tmp_path)
    compare(network, x, tmp_path / "m.onnx")
    compare(network, x, tmp_path / "m.pt2")


@pytest.mark.parametrize("name", OPERATORS)
def test_a_common_operator_is_what_pytorch_computes(name, tmp_path):
    torch.manual_seed(0)
    network = randomised(OPERATORS[name]())
    x = torch.rand(3, 3, 8, 8)
    export(network, x[:2], tmp_path)
    compare(network, x, tmp_path / "m.onnx")
    compare(network, x, tmp_path / "m.pt2")
