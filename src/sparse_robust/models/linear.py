"""Linear classifiers (paper, section 3.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .layers import ReplicaLinear


class LinearClassifier(nn.Module):
    r"""R linear classifiers with biases, ``[R, N, *D] -> [R, N, K]``.

    With two classes there is one weight vector, as in the paper's binary case: f(x) = w.x + b and the
    logits are (-f/2, +f/2), so that the cross-entropy is the paper's softplus loss log(1 + exp(-y f))
    with y = -1 for class 0 and y = +1 for class 1. With K > 2 classes logit k is w_k.x + b_k.

    Args:
        seeds: one seed per replica; replica r depends on ``seeds[r]`` alone.
        inputs: the number of input coordinates, the product of ``*D``.
        classes: K, at least 2.

    Raises:
        ValueError: if there are fewer than two classes.
    """

    def __init__(self, seeds: Sequence[int], inputs: int, classes: int) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {classes}")
        self.classes = classes
        self.affine = ReplicaLinear(seeds, inputs, 1 if classes == 2 else classes, "affine")

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [R, N, *D] -> logits [R, N, K]."""
        scores: Tensor = self.affine(x.flatten(2))
        return torch.cat([-scores / 2, scores / 2], dim=-1) if self.classes == 2 else scores

    def on_support(self) -> tuple["LinearClassifier", Tensor]:
        """The same classifiers on the inputs that they read, and where those are.

        Logits are equal, gradients equal on the inputs kept and zero on those left out, so FGS and DeepFool
        find the same perturbation for less work. C&W finds a nearer one if any: Adam turns the rounding
        noise of a zero gradient into steps, so that on the whole model unread inputs wander.

        Returns:
            the smaller classifiers, with S inputs each, and the kept inputs [R, S]; -1 pads replicas
            that read fewer than S, under a weight of zero.
        """
        weight, bias = self.affine.weight.detach(), self.affine.bias.detach()
        read = (weight != 0).any(1)  # [R, D]
        width = max(int(read.sum(1).amax()), 1)
        index = (~read).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
        index = index.masked_fill(~read.gather(1, index), -1)
        small = LinearClassifier([0] * len(weight), width, self.classes).to(weight.device)
        kept = weight.gather(2, index.clamp_min(0).unsqueeze(1).expand(-1, weight.shape[1], -1))
        small.affine.weight.data = kept * (index >= 0).unsqueeze(1)
        small.affine.bias.data = bias.clone()
        return small.eval(), index

    def rows(self) -> tuple[Tensor, Tensor]:
        """The weight vectors [R, K, D] and biases [R, K] of the logits, whatever K."""
        weight, bias = self.affine.weight.detach(), self.affine.bias.detach().squeeze(1)
        if self.classes == 2:
            return torch.cat([-weight / 2, weight / 2], 1), torch.cat([-bias / 2, bias / 2], 1)
        return weight, bias
