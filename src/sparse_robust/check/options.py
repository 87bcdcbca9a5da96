"""What the user asks for, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .architectures import ARCHITECTURES
from .ranges import GREY_LEVELS, BoxChoice


@dataclass(frozen=True)
class Options:
    """How models are compared.

    Attributes:
        eps: of FGS, in the units of x.
        limit: only the first so many examples; None for all.
        batch: examples at once; fewer where memory runs out.
        classes: the labels in the order of the models' logits; None for 0, 1, 2, ...
        scale: what x is divided by; None to recognise it.
        box: what x stays in, in the units after the division; None to recognise it.
        architecture: of files that hold weights alone; None to go by their shapes.
        strong: whether stronger attacks are run beside those of the paper.
    """

    eps: float = 0.1
    limit: int | None = None
    batch: int = 500
    classes: tuple[int, ...] | None = None
    scale: float | None = None
    box: BoxChoice = None
    architecture: str | None = None
    strong: bool = False

    def __post_init__(self) -> None:
        """Reject what makes no sense.

        Raises:
            ValueError: naming the option.
        """
        if not 0 <= self.eps < math.inf:
            raise ValueError(f"eps must be at least 0 and finite, got {self.eps}")
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")
        if self.limit is not None and self.limit < 2:
            raise ValueError(f"examples must be at least 2, for intervals; got {self.limit}")
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise ValueError(f"scale must be above 0 and finite, got {self.scale}")
        if isinstance(self.box, tuple) and not -math.inf < self.box[0] < self.box[1] < math.inf:
            raise ValueError(f"box must be LOW,HIGH with LOW < HIGH, got {self.box[0]:g},{self.box[1]:g}")
        if self.architecture is not None and self.architecture not in ARCHITECTURES:
            raise ValueError(f"no architecture {self.architecture!r}; known are {', '.join(ARCHITECTURES)}")

    def check_eps(self, width: float) -> tuple[str, ...]:
        """What to say of eps on data that span ``width``.

        Raises:
            ValueError: if eps reaches from one end to the other, so that any image becomes any other.
        """
        if 0 < width <= self.eps:
            advice = (
                f"; if {self.eps:g} of 255 is meant, say --eps={self.eps / 255:.4g}" if width == 1 else ""
            )
            raise ValueError(
                f"eps {self.eps:g} is as wide as the range of x, {width:g}: any image is reached{advice}"
            )
        if 0 < self.eps < width / (2 * GREY_LEVELS):
            return (f"eps {self.eps:g} is less than half a grey level of x, which spans {width:g}",)
        if self.eps > width / 2:
            return (f"eps {self.eps:g} is more than half of the range of x: every image can be made grey",)
        return ()


__all__ = ["Options"]
