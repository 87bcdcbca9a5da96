"""Models side by side: what is measured, how it is compared, and the command as a user meets it."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats
from torch import Tensor, nn

from sparse_robust.__main__ import main
from sparse_robust.check import (
    Comparison,
    Examples,
    Interval,
    Measured,
    Model,
    ModelError,
    Options,
    compare,
    load_model,
    measure,
)
from sparse_robust.check.command import box, labels
from sparse_robust.check.report import mean, proportion
from sparse_robust.metrics import exact_radius
from sparse_robust.models import LeNet5, LeNet300100, LinearClassifier

D, K = 20, 3


@pytest.fixture
def examples() -> Examples:
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.rand(200, 4, 5, generator=generator), torch.randn(K, D, generator=generator)
    y = (x.flatten(1) - 0.5) @ weight.mT
    return Examples(x, y.argmax(1), (0.0, 1.0))


@pytest.fixture
def weight() -> Tensor:
    """Of the labels' own classifier (without its bias), so that it is often right."""
    generator = torch.Generator().manual_seed(0)
    torch.rand(200, 4, 5, generator=generator)
    return torch.randn(K, D, generator=generator)


def save(path: Path, **tensors: Tensor) -> Path:
    save_file({name.replace("__", "."): value.contiguous() for name, value in tensors.items()}, path)
    return path


@pytest.fixture
def files(examples, weight, tmp_path) -> tuple[Path, Path, Path]:
    """A dense and a pruned linear model, and data for them."""
    bias = -weight.sum(1) / 2
    dense = save(tmp_path / "dense.safetensors", fc__weight=weight, fc__bias=bias)
    pruned = weight * (weight.abs() > 0.5)
    pruned = save(tmp_path / "pruned.safetensors", fc__weight=pruned, fc__bias=-pruned.sum(1) / 2)
    data = tmp_path / "test.npz"
    np.savez(data, x=examples.x.numpy(), y=examples.y.numpy())
    return dense, pruned, data


def test_a_linear_model_is_measured_exactly(files, examples, weight):
    """The dense model makes the labels; radius and FGS have closed forms."""
    found = measure(load_model(files[0]), examples, Options(eps=0.05, batch=64))
    bias = -weight.sum(1) / 2
    flat = examples.x.flatten(1)
    exact = exact_radius(weight.unsqueeze(0), bias.unsqueeze(0), flat, examples.y, q=2)[0]
    torch.testing.assert_close(found.radius, 1.02 * exact, rtol=1e-3, atol=1e-4)
    assert found.correct.all()
    logits = flat @ weight.mT + bias
    lead = logits.scatter(1, examples.y[:, None], -torch.inf).softmax(1)
    direction = (lead @ weight - weight[examples.y]).sign()
    attacked = (flat + 0.05 * direction).clamp(0, 1) @ weight.mT + bias
    assert torch.equal(found.resisted, attacked.argmax(1) == examples.y)
    assert 0 < found.resisted.sum() < 200
    assert found.sparsity == 0
    assert found.silent is None  # its only layer reads the input


def test_activation_sparsity_is_that_of_the_last_layers_input(tmp_path):
    torch.manual_seed(0)
    model = LeNet300100([0], inputs=D, classes=K)
    model.hidden_2.weight.data[0, :40] = 0
    model.hidden_2.bias.data[0, :40] = -1
    path = save(tmp_path / "m", **{name: value[0] for name, value in model.state_dict().items()})
    x = torch.rand(50, D)
    y = load_model(path).logits(x).argmax(1)
    found = measure(load_model(path), Examples(x, y, (0.0, 1.0)), Options(batch=20))
    activations = model.activations(x.unsqueeze(0))[-1][0]
    torch.testing.assert_close(found.silent, (activations == 0).double().mean(1))
    assert found.silent.min() >= 0.4
    assert found.sparsity == pytest.approx(40 * 300 / (300 * D + 100 * 300 + K * 100))


@pytest.mark.parametrize(
    ("model", "architecture"),
    [
        (LinearClassifier([0], 784, 10), "linear"),
        (LinearClassifier([0], 784, 2), "linear"),
        (LeNet300100([0]), "lenet-300-100"),
        (LeNet5([0]), "lenet-5"),
    ],
)
def test_checkpoints_of_this_package_are_recognised(model, architecture, tmp_path):
    state = {name: value[0] for name, value in model.state_dict().items()}
    masks = {f"mask/{name}": value != 0 for name, value in state.items() if name.endswith("weight")}
    path = save(tmp_path / "checkpoint", **state, **masks)
    found = load_model(path)
    assert found.format == f"safetensors, {architecture}"
    x = torch.rand(4, 28, 28)
    torch.testing.assert_close(found.logits(found.arrange(x)), model(x.unsqueeze(0))[0])


@pytest.mark.parametrize("separator", [".", "/"])
def test_layers_are_found_by_their_shapes_in_any_order(separator, tmp_path):
    torch.manual_seed(0)
    layers = [nn.Linear(100, 10), nn.Linear(784, 300), nn.Linear(300, 100)]
    parts = {f"dense_{i}{separator}weight": layer.weight.data for i, layer in enumerate(layers)}
    parts |= {f"dense_{i}{separator}bias": layer.bias.data for i, layer in enumerate(layers)}
    save_file(parts, tmp_path / "m")
    found = load_model(tmp_path / "m")
    x = torch.rand(3, 784)
    wanted = layers[0](layers[2](layers[1](x).relu()).relu())
    torch.testing.assert_close(found.logits(x), wanted)


@pytest.mark.parametrize(
    ("tensors", "advice"),
    [
        ({"fc.weight": torch.zeros(784, 10), "fc.bias": torch.zeros(10)}, "it looks transposed"),
        ({"fc.weight": torch.zeros(10, 784), "fc.bias": torch.zeros(7)}, "7 biases"),
        ({"a.weight": torch.zeros(10, 9), "b.weight": torch.zeros(3, 10)}, r"no known network.*a \[10, 9\]"),
        ({"fc.weight": torch.zeros(4, 3, 5)}, "no known network"),
        ({"running_mean": torch.zeros(4)}, "neither a weight, a bias nor a mask"),
        ({"fc.bias": torch.zeros(4)}, "without a weight"),
        ({"fc.weight": torch.zeros(4, 3), "fc/weight": torch.zeros(4, 3)}, "a second time"),
    ],
)
def test_weights_of_no_known_network_are_one_clear_error(tensors, advice, tmp_path):
    save_file(tensors, tmp_path / "m")
    with pytest.raises(ModelError, match=advice):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("shape", "found", "arranged"),
    [
        (None, (28, 28), (28, 28)),
        ((784,), (28, 28), (784,)),
        ((1, 28, 28), (28, 28), (1, 28, 28)),
        ((28, 28), (28, 28, 1), (28, 28)),
        ((None, None), (28, 28), (28, 28)),
        ((3, 32, 32), (32, 32, 3), None),
        ((1, 28, 28), (784,), None),
        ((783,), (28, 28), None),
    ],
)
def test_inputs_are_arranged_only_where_nothing_can_be_mistaken(shape, found, arranged):
    model = Model("m", "none", {}, lambda x: (x, None), shape)
    x = torch.rand(2, *found)
    if arranged is None:
        with pytest.raises(ModelError, match="the model was trained on"):
            model.arrange(x)
    else:
        assert torch.equal(model.arrange(x), x.reshape(2, *arranged))


def measured(name: str, correct: list[int], resisted: list[int], radius: list[float]) -> Measured:
    values = (torch.tensor(correct).bool(), torch.tensor(resisted).bool(), torch.tensor(radius))
    return Measured(name, "none", 0.0, *values, None, ())


def test_intervals_are_those_of_the_textbook():
    share = proportion(torch.arange(100) < 90)
    z, p, n = stats.norm.ppf(0.975), 0.9, 100
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (share.mean, share.low, share.high) == pytest.approx((0.9, centre - reach, centre + reach))
    before, after = torch.rand(30), torch.rand(30)
    found = mean(after - before)
    expected = stats.ttest_rel(after.double(), before.double()).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-5)
    assert str(Interval(0.5, -0.00001, 1)) == "0.5000 [0.0000, 1.0000]"


def test_an_image_on_which_deepfool_failed_is_left_out_of_the_difference():
    first = measured("a", [1] * 20, [1] * 20, [*range(19), math.inf])
    second = measured("b", [1] * 20, [1] * 20, [math.inf, *range(2, 21)])
    (found,) = compare([first, second])
    assert found.differences["r_2"].mean == 1.0


@pytest.mark.parametrize("failures", [2, 3, 20])
def test_r_2_is_not_defined_where_deepfool_fails_on_more_than_a_tenth_of_the_images(failures):
    first = measured("a", [1] * 20, [1] * 20, [1.0] * 20)
    second = measured("b", [1] * 20, [1] * 20, [math.inf] * failures + [1.0] * (20 - failures))
    (found,) = compare([first, second])
    assert ("r_2" in found.differences) == (failures == 2)
    assert (second.unsound is None) == (failures == 2)


def test_r_2_is_not_defined_beyond_the_diameter_of_the_box():
    near = measured("a", [1, 1], [1, 1], [1.0, 2.9])
    assert replace(near, diameter=2.0).unsound is None
    assert "beyond the diameter" in replace(near, diameter=1.9).unsound


FALL, NONE, RISE = Interval(-0.2, -0.3, -0.1), Interval(0.0, -0.1, 0.1), Interval(0.2, 0.1, 0.3)
DUST = Interval(-1e-6, -2e-6, -1e-7)


@pytest.mark.parametrize(
    ("accuracy", "r_inf", "r_2", "over_pruned", "verdict"),
    [
        (NONE, FALL, NONE, True, "m: robustness falls before accuracy; lower: r_inf"),
        (RISE, RISE, FALL, True, "robustness falls before accuracy; lower: r_2; higher: accuracy, r_inf"),
        (FALL, FALL, NONE, False, "m: accuracy and robustness fall; lower: accuracy, r_inf"),
        (FALL, NONE, NONE, False, "m: accuracy falls before robustness; lower: accuracy"),
        (NONE, RISE, NONE, False, "m: no fall of accuracy or robustness is seen; higher: r_inf"),
        (NONE, DUST, DUST, False, "m: no fall of accuracy or robustness is seen"),
    ],
)
def test_the_verdict(accuracy, r_inf, r_2, over_pruned, verdict):
    found = Comparison("m", {"accuracy": accuracy, "r_inf": r_inf, "r_2": r_2})
    assert found.over_pruned == over_pruned
    assert found.verdict().endswith(verdict)


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d\.\d{4}", line)]


def test_the_command_prints_models_side_by_side(files, capsys):
    dense, pruned, data = map(str, files)
    status = main(["check", dense, pruned, "--data", data, "--eps", "0.05", "--batch", "64"])
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split("  ")[0]: line for line in reversed(lines)}
    assert "200 images [4, 5]; 95 %" in lines[0]
    assert "eps 0.05, clipped to [0, 1]" in lines[1]
    assert lines[3].split() == ["dense.safetensors", "pruned.safetensors"]
    before, _, _, after, *_ = numbers(rows["accuracy"])
    assert before == 1.0
    differences = lines[lines.index("difference from dense.safetensors, same images") + 1 :]
    assert numbers(differences[0])[0] == pytest.approx(after - before, abs=1e-4)
    assert numbers(rows["sparsity"])[1] > 0
    assert status == 0
    assert lines[-1].startswith("pruned.safetensors: accuracy")


def test_the_exit_status_says_that_robustness_falls_first(files, examples, weight, tmp_path, capsys):
    """Two models that decide alike on the data; one of them reads a pixel that is the same in every image."""
    x = examples.x.flatten(1)
    x[:, 0] = 0.5
    data = tmp_path / "constant.npz"
    np.savez(data, x=x.numpy(), y=((x - 0.5) @ weight.mT).argmax(1).numpy())
    reading = weight + torch.eye(1, D) * torch.tensor([[-9.0], [0.0], [9.0]])
    fragile = save(tmp_path / "fragile", fc__weight=reading, fc__bias=-reading.sum(1) / 2)
    assert main(["check", str(files[0]), str(fragile), "--data", str(data), "--eps", "0.05"]) == 1
    out = capsys.readouterr().out
    assert "fragile: robustness falls before accuracy; lower: r_inf, r_2" in out
    assert "accuracy                                      +0.0000 [+0.0000, +0.0000]" in out


def test_models_of_one_file_name_are_told_apart_by_their_folders(files, tmp_path, capsys):
    dense, _, data = files
    other = tmp_path / "other" / dense.name
    other.parent.mkdir()
    other.write_bytes(dense.read_bytes())
    assert main(["check", str(dense), str(other), "--data", str(data), "--examples", "50"]) == 0
    out = capsys.readouterr().out
    assert f"{other}: no fall" in out
    assert "50 images" in out


def test_classes_names_the_labels_in_the_order_of_the_logits(files, tmp_path, capsys):
    dense, _, data = files
    stored = np.load(data)
    np.savez(tmp_path / "renamed.npz", x=stored["x"], y=np.array([7, 1, 4])[stored["y"]])
    command = ["check", str(dense), "--data"]
    assert main([*command, str(data)]) == 0
    plain = capsys.readouterr().out
    assert main([*command, str(tmp_path / "renamed.npz"), "--classes", "7,1,4"]) == 0
    assert capsys.readouterr().out == plain
    assert main([*command, str(tmp_path / "renamed.npz")]) == 2
    assert "logits 0 to 2, labels go from 1 to 7; name the labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda z: z * torch.nan, "logits that are not finite"),
        (lambda z: z.softmax(1), "returns probabilities"),
        (lambda z: z[:, :1], "returns [200, 1] for 200 examples"),
        (lambda z: z[:9], "returns [9, 3] for 200 examples"),
        (lambda z: (z,), "returns tuple"),
        (lambda z: z.sigmoid(), "numbers in [0, 1] alone, as a sigmoid does"),
        (lambda z: -z, "classifies none of 200 images correctly"),
        (lambda z: z - z.mean(0), "save it in evaluation mode"),
        (lambda z: z.detach(), "no gradients reach the input"),
    ],
)
def test_outputs_that_are_no_logits_are_one_clear_error(change, advice, examples, weight):
    model = Model("m", "none", {}, lambda x: (change(x.flatten(1) @ weight.mT), None))
    with pytest.raises(ModelError) as refusal:
        measure(model, examples, Options(batch=200))
    assert advice in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--eps", "-1"], "eps must be at least 0"),
        (["--eps", "nan"], "eps must be at least 0"),
        (["--eps", "25"], "if 25 of 255 is meant, say --eps=0.09804"),
        (["--batch", "0"], "batch must be at least 1"),
        (["--examples", "-3"], "examples must be at least 2"),
        (["--scale", "0"], "scale must be above 0"),
        (["--box", "1,0"], "LOW < HIGH"),
        (["--box=-1,.5"], "leaves the box [-1, 0.5]"),
    ],
)
def test_options_that_make_no_sense(arguments, advice, files, capsys):
    dense, pruned, data = map(str, files)
    assert main(["check", dense, pruned, "--data", data, *arguments]) == 2
    assert advice in capsys.readouterr().err
    assert main(["check", dense, dense, "--data", data]) == 2
    assert "named twice" in capsys.readouterr().err
    assert main(["check", dense, "missing.onnx", "--data", data]) == 2
    assert "missing.onnx" in capsys.readouterr().err


def test_an_eps_below_half_a_grey_level_is_said(files, capsys):
    dense, _, data = map(str, files)
    assert main(["check", dense, "--data", data, "--eps", "0.001"]) == 0
    assert "eps 0.001 is less than half a grey level of x, which spans 1" in capsys.readouterr().out


def test_a_tilde_is_the_home_folder(files, tmp_path, monkeypatch, capsys):
    """As an option's value or between quotation marks, where shells leave it alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = ["check", "~/dense.safetensors", "--data", "~/test.npz", "--report", "~/report.html"]
    assert main(arguments) == 0
    assert (tmp_path / "report.html").exists()
    assert main(["check", "~nobody-of-this-name/m", "--data", "~/test.npz"]) == 2
    assert "~nobody-of-this-name/m: no home folder" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_told_before_anything_is_measured(files, tmp_path, capsys):
    dense, _, data = map(str, files)
    for report in (tmp_path, tmp_path / "nowhere" / "report.html"):
        assert main(["check", dense, "--data", data, "--report", str(report)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert f"--report {report}: a file in a folder that exists is needed" in captured.err


def test_a_full_disk_names_the_report(files, tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    report = tmp_path / "report.html"
    assert main(["check", str(files[0]), "--data", str(files[2]), "--report", str(report)]) == 2
    assert f"--report {report}: cannot be written (No space left on device)" in capsys.readouterr().err


def test_help_shows_an_example_and_the_exit_status(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["check", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "example: python -m sparse_robust check" in text
    assert "exit status" in text


@pytest.mark.parametrize("text", ["", "1", "1,1", "a,b", "0,99999999999999999999"])
def test_labels_that_make_no_sense(text, capsys):
    with pytest.raises(SystemExit):
        main(["check", "m", "--data", "d", f"--classes={text}"])
    assert "argument --classes" in capsys.readouterr().err
    assert labels("7,1") == (7, 1)


@pytest.mark.parametrize("text", ["", "1", "0,1,2", "a,b"])
def test_boxes_that_make_no_sense(text, capsys):
    with pytest.raises(SystemExit):
        main(["check", "m", "--data", "d", f"--box={text}"])
    assert "argument --box" in capsys.readouterr().err
    assert box("-1,1") == (-1.0, 1.0)
    assert box("none") == "none"
