"""Images and labels that fit a network's shapes in another convention only: asked about, never measured."""

import pytest
import torch
from torch import Tensor, nn

from sparse_robust.check import Examples, Model, ModelError, Options, measure
from sparse_robust.check.readings import STANDARDS

GENERATOR = torch.Generator().manual_seed(0)
GREY, COLOUR = torch.rand(80, 6, 6, generator=GENERATOR), torch.rand(80, 3, 6, 6, generator=GENERATOR)


def classifier(x: Tensor) -> nn.Linear:
    """A linear one of the flattened images ``x``, whose classes are about as frequent."""
    torch.manual_seed(0)
    linear = nn.Linear(x[0].numel(), 4).requires_grad_(False)
    linear.bias.copy_(-x.flatten(1).mean(0) @ linear.weight.mT)
    return linear


def standardised(x: Tensor) -> Tensor:
    _, means, deviations = STANDARDS[1 if x.ndim == 3 else 3]
    shape = (1, 1, 1) if x.ndim == 3 else (1, 3, 1, 1)
    mean, deviation = (torch.tensor(part).reshape(shape) for part in (means, deviations))
    return (x - mean) / deviation


CONVENTIONS = {
    "inverted": (GREY, lambda x: 1 - x, "light and dark exchanged: store 1 - x"),
    "from -1 to 1": (GREY, lambda x: 2 * x - 1, r"store 2 \* x - 1 in the .npz and say --box=-1,1"),
    "transposed": (GREY, lambda x: x.mT, r"rows and columns exchanged: store x.swapaxes\(1, 2\)"),
    "standardised as MNIST": (GREY, standardised, "MNIST's mean and deviation: store .*--box=-0.4242,2.821"),
    "standardised as ImageNet": (COLOUR, standardised, "ImageNet's mean and deviation: store"),
    "transposed, in colour": (COLOUR, lambda x: x.mT, r"store x.swapaxes\(2, 3\)"),
    "channels last": (COLOUR, lambda x: x.movedim(1, -1), "store x with channels last"),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_another_convention_is_asked_about(name):
    """The network knows images in that convention; the .npz holds them plainly."""
    x, convention, advice = CONVENTIONS[name]
    known = convention(x)
    linear = classifier(known)
    y = linear(known.flatten(1)).argmax(1)
    model = Model("m", "none", {}, lambda z: (linear(z.flatten(1)), None), (x[0].numel(),))
    with pytest.raises(ModelError, match=advice):
        measure(model, Examples(x, y, (0.0, 1.0), scale=1.0), Options())
    if name not in ("from -1 to 1", "standardised as MNIST", "standardised as ImageNet"):
        right = measure(model, Examples(known.contiguous(), y, (0.0, 1.0), scale=1.0), Options())
        assert right.correct.all()


@pytest.mark.parametrize("images", [GREY, COLOUR])
def test_images_as_the_network_knows_them_are_no_question(images):
    linear = classifier(images)
    y = linear(images.flatten(1)).argmax(1)
    model = Model("m", "none", {}, lambda z: (linear(z.flatten(1)), None))
    assert measure(model, Examples(images, y, (0.0, 1.0), scale=1.0), Options()).correct.all()


def test_a_chosen_box_that_the_network_does_not_know_is_said():
    linear = classifier(GREY)
    y = linear(GREY.flatten(1)).argmax(1)
    model = Model("m", "none", {}, lambda z: (linear(z.flatten(1)), None))
    found = measure(model, Examples(2 * GREY - 1, y, (-1.0, 1.0)), Options())
    assert any("100% of the same in [0, 1]: is x in the units that it reads?" in note for note in found.notes)
    other = Model("m", "none", {}, lambda z: (linear((z.flatten(1) + 1) / 2), None))
    right = measure(other, Examples(2 * GREY - 1, y, (-1.0, 1.0)), Options())
    assert not any("units" in note for note in right.notes)


def test_what_the_user_has_chosen_is_no_question():
    linear = classifier(GREY)
    model = Model("m", "none", {}, lambda z: (linear(z.flatten(1)), None))
    y = linear(GREY.mT.flatten(1)).argmax(1)
    chosen = measure(model, Examples(GREY, y, (0.0, 1.0)), Options())
    assert chosen.correct.sum() == int((linear(GREY.flatten(1)).argmax(1) == y).sum())


@pytest.mark.parametrize("shift", [1, 3])
def test_labels_in_another_order_are_asked_about(shift):
    """Counted from another class on; ``--classes`` as the message names them gives the right number."""
    linear = classifier(GREY)
    model = Model("m", "none", {}, lambda z: (linear(z.flatten(1)), None))
    right = linear(GREY.flatten(1)).argmax(1)
    y = (right + shift) % 4
    named = ",".join(str((i + shift) % 4) for i in range(4))
    with pytest.raises(ModelError, match=f"and 100% with the labels in another order: say --classes={named}"):
        measure(model, Examples(GREY, y, (0.0, 1.0), scale=1.0), Options())
    assert measure(model, Examples(GREY, right, (0.0, 1.0), classes=4), Options()).correct.all()


def test_logits_with_axes_of_length_one_are_those_of_a_table():
    linear = classifier(GREY)
    y = linear(GREY.flatten(1)).argmax(1)
    found, wanted = (
        measure(Model("m", "none", {}, evaluate), Examples(GREY, y, (0.0, 1.0)), Options())
        for evaluate in (
            lambda z: (linear(z.flatten(1))[..., None, None], None),
            lambda z: (linear(z.flatten(1)), None),
        )
    )
    assert torch.equal(found.resisted, wanted.resisted)
    assert torch.equal(found.radius, wanted.radius)
