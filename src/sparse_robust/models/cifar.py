"""The two networks for CIFAR-10 (paper, section 4.2): the VGG-like net and ResNet-32."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cifar_layers import BatchNorm, Convolution, Dropout, Maps
from .layers import ReplicaLinear

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the pixels of CIFAR-10's training images, red, green and blue: models subtract and divide themselves."""

# channels of each convolution and what follows its ReLU: a dropout probability, "pool", or nothing
_VGG: tuple[tuple[int, float | str | None], ...] = (
    *((64, 0.3), (64, "pool")),
    *((128, 0.4), (128, "pool")),
    *((256, 0.4), (256, 0.4), (256, "pool")),
    *((512, 0.4), (512, 0.4), (512, "pool")),
    *((512, None), (512, None), (512, "pool")),
)


class ImageClassifier(nn.Module):
    """R classifiers of 32 x 32 colour images in [0, 1], ``[R, N, *D] -> [R, N, K]``; *D may be flat."""

    average: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def normalised(self, x: Tensor) -> Maps:
        """``x`` [R, N, *D] -> R tensors [N, 3, 32, 32] of mean 0 and deviation 1.

        The channels of a pixel lie side by side where convolutions are fastest so: on a CPU, and on a GPU in
        training, in half precision; float32 convolutions of a GPU prefer one channel after another.
        """
        images = (x.reshape(*x.shape[:2], 3, 32, 32) - self.average) / self.deviation
        if self.training or not x.is_cuda:
            return [z.contiguous(memory_format=torch.channels_last) for z in images.unbind()]
        return list(images.unbind())

    def use_dropout(self, share: float) -> None:
        """Drop with ``share`` of the probabilities that the architecture names; at most 1."""
        for layer in self.modules():
            if isinstance(layer, Dropout):
                layer.rate.fill_(layer.base * share)


class VGGLike(ImageClassifier):
    """R VGG-like nets of Neklyudov et al. 2017, ``[R, N, *D] -> [R, N, K]``.

    13 convolutions of 3 x 3 in five groups, each with batch normalisation and ReLU, maximum over 2 x 2 after
    each group; then 512 hidden units, normalised likewise, and the readout. Dropout as in their published
    code: .3 after the first convolution, .4 inside groups two to four, .5 before each linear layer. The
    paper counts 12 convolutional layers, and cites this net, which has 13; which one it left out, or did
    not count, it does not say.

    Args:
        seeds: one seed per replica; replica r depends on ``seeds[r]`` alone.
        narrow: divides every number of channels and hidden units, for tests.
        classes: K.
    """

    def __init__(self, seeds: Sequence[int], narrow: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.convolutions, self.norms, self.dropouts = nn.ModuleList(), nn.ModuleList(), nn.ModuleDict()
        channels = 3
        for number, (width, then) in enumerate(_VGG):
            filters = width // narrow
            self.convolutions.append(Convolution(seeds, channels, filters, f"convolution_{number}"))
            self.norms.append(BatchNorm(len(seeds), filters))
            if isinstance(then, float):
                self.dropouts[str(number)] = Dropout(then, number)
            channels = filters
        self.before_hidden, self.before_readout = (Dropout(0.5, len(_VGG) + i) for i in range(2))
        self.hidden = ReplicaLinear(seeds, channels, channels, "hidden")
        self.hidden_norm = BatchNorm(len(seeds), channels)
        self.readout = ReplicaLinear(seeds, channels, classes, "readout")

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """``x`` [R, N, *D] -> logits [R, N, K]; ``noise`` int32 [R, 2] for dropout in training."""
        maps = self.normalised(x)
        for number, (_, then) in enumerate(_VGG):
            maps = [z.relu() for z in self.norms[number](self.convolutions[number](maps))]
            if then == "pool":
                maps = [functional.max_pool2d(z, 2) for z in maps]
            elif then is not None:
                maps = self.dropouts[str(number)](maps, noise)
        maps = self.before_hidden([z.flatten(1) for z in maps], noise)
        maps = self.hidden_norm(list(self.hidden(torch.stack(maps)).unbind()))
        maps = self.before_readout([z.relu() for z in maps], noise)
        logits: Tensor = self.readout(torch.stack(maps))
        return logits


class Block(nn.Module):
    """Two normalised convolutions beside a shortcut; where the image shrinks, the shortcut skips pixels.

    The shortcut has no parameters (option A of He et al. 2016): new channels are zero on it.
    """

    def __init__(self, seeds: Sequence[int], channels: int, filters: int, name: str) -> None:
        super().__init__()
        self.stride = 1 if channels == filters else 2
        self.grown = filters - channels
        self.first = Convolution(seeds, channels, filters, f"{name}/first", self.stride)
        self.first_norm = BatchNorm(len(seeds), filters)
        self.second = Convolution(seeds, filters, filters, f"{name}/second")
        self.second_norm = BatchNorm(len(seeds), filters)

    def forward(self, maps: Maps) -> Maps:
        """[N, C, H, W] -> [N, O, H/s, W/s] for each replica."""
        inner = self.first_norm(self.first(maps))
        outer = self.second_norm(self.second([z.relu() for z in inner]))
        return [(self.shortcut(z) + y).relu() for z, y in zip(maps, outer, strict=True)]

    def shortcut(self, z: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, O, H/s, W/s]."""
        if self.stride == 1:
            return z
        return functional.pad(z[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grown))


class ResNet32(ImageClassifier):
    """R ResNets of He et al. 2016 for CIFAR-10 with n = 5, ``[R, N, *D] -> [R, N, K]``.

    One convolution with 16 filters, three stages of five blocks with 16, 32 and 64, the mean over all pixels,
    readout: 31 convolutions and one linear layer, as the paper counts.

    Args:
        seeds: one seed per replica; replica r depends on ``seeds[r]`` alone.
        narrow: divides every number of channels, for tests.
        classes: K.
    """

    def __init__(self, seeds: Sequence[int], narrow: int = 1, classes: int = 10) -> None:
        super().__init__()
        channels = 16 // narrow
        self.stem = Convolution(seeds, 3, channels, "stem")
        self.stem_norm = BatchNorm(len(seeds), channels)
        self.blocks = nn.ModuleList()
        for stage, width in enumerate((16, 32, 64)):
            for number in range(5):
                filters = width // narrow
                self.blocks.append(Block(seeds, channels, filters, f"stage_{stage}/block_{number}"))
                channels = filters
        self.readout = ReplicaLinear(seeds, channels, classes, "readout")

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """``x`` [R, N, *D] -> logits [R, N, K]; ``noise`` is not used: there is no dropout."""
        maps = [z.relu() for z in self.stem_norm(self.stem(self.normalised(x)))]
        for block in self.blocks:
            maps = block(maps)
        logits: Tensor = self.readout(torch.stack([z.mean((2, 3)) for z in maps]))
        return logits
