"""A number for the user's own network: probabilities, byte inputs, scales, and networks without an answer."""

import numpy as np
import pytest
import torch
from torch import nn

from sparse_robust.__main__ import main
from sparse_robust.check import Examples, Model, ModelError, Options, load_model, measure

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(60, 12, generator=GENERATOR)
WEIGHT = torch.randn(3, 12, generator=GENERATOR)
BODY = nn.Linear(12, 3).requires_grad_(False)
BODY.weight.copy_(WEIGHT)
BODY.bias.copy_(-WEIGHT.sum(1) / 2)
Y = BODY(X).argmax(1)


class Scaled(nn.Module):
    def forward(self, x):
        return (2 * x.sigmoid() - 1).clamp(-0.999, 0.999)


HEADS = {
    "none": nn.Identity(),
    "softmax": nn.Softmax(1),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "sigmoid, scaled and clipped": Scaled(),
    "softmax of a sigmoid": nn.Sequential(nn.Sigmoid(), nn.Softmax(1)),
    "logarithm of a softmax": nn.LogSoftmax(1),
}


def exported(path, network, kind, x=X):
    shapes = ({0: torch.export.Dim("n")},)
    if kind == "pt2":
        torch.export.save(torch.export.export(network.eval(), (x[:2],), dynamic_shapes=shapes), path)
    else:
        axes = {"x": {0: "n"}}
        torch.onnx.export(
            network.eval(),
            (x[:2],),
            path,
            dynamo=False,
            input_names=["x"],
            dynamic_axes=axes,
            opset_version=17,
        )
    return load_model(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("head", HEADS)
def test_the_same_classifier_has_the_same_robustness_with_any_head(head, kind, tmp_path):
    model = exported(tmp_path / "m.pt2", nn.Sequential(BODY, HEADS[head]), kind)
    plain = Model("plain", "none", {}, lambda x: (BODY(x), None))
    examples = Examples(X, Y, (0.0, 1.0))
    found, wanted = (measure(m, examples, Options(eps=0.05)) for m in (model, plain))
    assert torch.equal(found.resisted, wanted.resisted)
    torch.testing.assert_close(found.radius, wanted.radius, rtol=1e-4, atol=1e-5)
    assert any("is left out" in note for note in model.notes) == (
        head not in ("none", "logarithm of a softmax")
    )


@pytest.mark.filterwarnings("ignore")
def test_a_softmax_over_the_batch_is_refused(tmp_path):
    model = exported(tmp_path / "m.pt2", nn.Sequential(BODY, nn.Softmax(0)), "pt2")
    with pytest.raises(ModelError, match="another axis than the classes"):
        measure(model, Examples(X, Y, (0.0, 1.0)), Options())


class OfBytes(nn.Module):
    def forward(self, x):
        return BODY(x.float() / 255)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_a_network_that_takes_bytes_gets_bytes(kind, scale, tmp_path):
    levels = (X * 255).round()
    model = exported(tmp_path / "m.pt2", OfBytes(), kind, levels.to(torch.uint8))
    assert model.takes_bytes
    y = BODY(levels / 255).argmax(1)
    found = measure(model, Examples(levels / scale, y, (0.0, 255 / scale)), Options(eps=25 / scale))
    plain = Model("plain", "none", {}, lambda x: (BODY(x * scale / 255), None))
    wanted = measure(plain, Examples(levels / scale, y, (0.0, 255 / scale)), Options(eps=25 / scale))
    assert found.correct.all()
    assert torch.equal(found.resisted, wanted.resisted)
    torch.testing.assert_close(found.radius, wanted.radius, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("factor", "said"), [(255, "--scale=1 --box=0,255"), (1 / 255, "--scale=65025")])
def test_a_scale_at_which_the_model_is_much_better_is_asked_for(factor, said):
    model = Model("m", "none", {}, lambda x: (BODY(x / factor), None))
    with pytest.raises(ModelError, match=rf"say {said}"):
        measure(model, Examples(X, Y, (0.0, 1.0), scale=255.0), Options())
    measure(model, Examples(X, Y, (0.0, 1.0)), Options())  # the user has said it


def test_classes_name_every_logit():
    model = Model("m", "none", {}, lambda x: (BODY(x), None))
    with pytest.raises(ModelError, match="has 3 logits, --classes names 2"):
        measure(model, Examples(X, Y.clamp_max(1), (0.0, 1.0), classes=2), Options())


def test_a_constant_network_has_no_r_2_and_no_sound_exit(tmp_path, capsys):
    from safetensors.torch import save_file

    save_file({"a.weight": WEIGHT, "a.bias": BODY.bias}, tmp_path / "dense")
    save_file({"a.weight": WEIGHT * 0, "a.bias": BODY.bias}, tmp_path / "dead")
    np.savez(tmp_path / "d.npz", x=X.numpy(), y=Y.numpy())
    files = [str(tmp_path / name) for name in ("dense", "dead", "d.npz")]
    assert main(["check", *files[:2], "--data", files[2]]) == 3
    out = capsys.readouterr().out
    (row, *_) = (line for line in out.splitlines() if line.startswith("r_2"))
    assert row.split()[-1] == "n/a"
    assert "DeepFool failed on" in out
    assert "r_2 is not defined" in out
    assert "no better than always answering the most frequent label" in out


def test_no_gradient_is_said():
    model = Model("m", "none", {}, lambda x: (BODY(x) + 0 * x.sum(), None))
    still = Model("m", "none", {}, lambda x: (BODY(x.round()), None))
    examples = Examples(X, BODY(X.round()).argmax(1), (0.0, 1.0))
    assert not any("no gradient reaches" in note for note in measure(model, examples, Options()).notes)
    assert any("no gradient reaches" in note for note in measure(still, examples, Options()).notes)


def test_stronger_attacks_find_at_least_as_much():
    """A network with masked gradients: FGS sees none at the image, and steps from nearby do."""

    def masked(x):
        return BODY(x + 0.02 * (300 * x).sin()), None

    y = masked(X)[0].argmax(1)
    found = measure(Model("m", "none", {}, masked), Examples(X, y, (0.0, 1.0)), Options(eps=0.1, strong=True))
    assert found.stronger is not None
    assert (found.stronger.resisted <= found.resisted).all()
    assert (found.stronger.radius <= found.radius).all()
    assert found.stronger.resisted.sum() < found.resisted.sum()
