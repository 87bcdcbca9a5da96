"""What attacks on linear models can at best achieve, in closed form (no box).

With logits w_k.x + b_k and class y = prediction, the boundary to class e is at distance
((w_y - w_e).x + b_y - b_e) / ||w_y - w_e||_q in l_p, 1/p + 1/q = 1.
"""

import torch
from torch import Tensor


def exact_radius(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, *, q: float) -> Tensor:
    """Distance to the decision boundary in the norm dual to l_q; 0 where x is misclassified already.

    Args:
        weight: [R, K, D], the weight vector of each logit.
        bias: [R, K].
        x: [N, D].
        y: [N], the classes.
        q: 2 for l_2 distances, 1 for l_inf distances.

    Returns:
        [R, N]; infinite where no other class can be reached (equal weight vectors).
    """
    logits = x @ weight.mT + bias.unsqueeze(1)  # [R, N, K]
    own = y.expand(logits.shape[:2]).unsqueeze(-1)
    gap = logits.gather(-1, own) - logits
    pairs = torch.linalg.vector_norm(weight.unsqueeze(2) - weight.unsqueeze(1), ord=q, dim=-1)  # [R, K, K]
    length = pairs[:, y]  # [R, N, K]
    distance = torch.where(length > 0, gap / length, torch.inf)
    distance.scatter_(-1, own, torch.inf)
    correct = logits.argmax(-1) == y
    return torch.where(correct, distance.amin(-1).clamp_min(0), 0.0)
