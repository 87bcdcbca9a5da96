"""The data of a comparison: what an .npz may hold, and how the units of x are told or asked for."""

import io
import zipfile

import numpy as np
import pytest
import torch

from sparse_robust.check import read_examples
from sparse_robust.check.ranges import ROUNDING, RangeError, scale_inputs
from sparse_robust.data import DataError

X, Y = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5), np.zeros(3, np.int64)


@pytest.mark.parametrize(
    ("arrays", "advice"),
    [
        ({"x": X}, "arrays x and y are needed, found x"),
        ({"x": X, "y": Y[:2]}, "x [N, *D] and y [N] are needed, found [3, 4, 5] and [2]"),
        ({"x": X[:, :0], "y": Y}, "x [N, *D] and y [N] are needed, found [3, 0, 5] and [3]"),
        (
            {"x": X, "y": np.eye(3, dtype=int)},
            "found [3, 4, 5] and [3, 3]; of one-hot labels, store y.argmax(1)",
        ),
        ({"x": X, "y": Y.astype(float)}, "found float64: y.astype('int64')"),
        ({"x": X.astype(int), "y": Y}, "found int64: x.astype('uint8') if these are bytes"),
        ({"x": X + np.nan, "y": Y}, "60 of its numbers are not"),
        ({"x": X * 200, "y": Y}, "as pixels of 0 to 255 do; say --scale=255"),
        ({"x": X[:1], "y": Y[:1]}, "at least 2 examples, found 1"),
        ({"x": np.array([[None], [3]]), "y": Y[:2]}, "x must be uint8 or floating point, found object"),
    ],
)
def test_bad_data_are_one_clear_error(arrays, advice, tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError) as refusal:
        read_examples(path)
    assert advice in str(refusal.value)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", b"hello"])
def test_what_is_no_npz_is_one_clear_error(content, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"numpy\.savez"):
        read_examples(path)


def written(path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_other_members_are_left_alone_and_names_are_escaped(tmp_path):
    path = tmp_path / "m.npz"
    written(path, {"x.npy": npy(X), "y.npy": npy(Y), "readme.txt": b"hello", "x": b"no array"})
    assert len(read_examples(path).x) == 3
    written(path, {"x.npy": b"no array", "y.npy": npy(Y)})
    with pytest.raises(DataError, match=r"no \.npz that can be read"):
        read_examples(path)
    written(path, {"\x1b[31mred\n.npy": npy(X)})
    with pytest.raises(DataError) as refusal:
        read_examples(path)
    assert r"\x1b[31mred\n" in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


def test_an_array_is_refused_by_its_header_before_it_is_unpacked(tmp_path):
    """A file of some hundred bytes that promises 4 GiB."""
    path = tmp_path / "m.npz"
    header = npy(np.zeros((2, 1), np.uint8))[:-2].replace(b"(2, 1), }  ", b"(2, 2147483648), }")
    written(path, {"x.npy": header, "y.npy": npy(Y[:2])})
    with pytest.raises(DataError, match="at most 268,435,456"):
        read_examples(path)


@pytest.mark.parametrize("dtype", [np.longdouble, np.float16, ">f4", ">f8", np.float64])
def test_any_floating_type_is_read(dtype, tmp_path):
    np.savez(tmp_path / "m.npz", x=X.astype(dtype), y=Y)
    expected = torch.from_numpy(X.astype(dtype).astype(np.float32))
    torch.testing.assert_close(read_examples(tmp_path / "m.npz").x, expected)


def test_labels_may_be_a_column(tmp_path):
    """As Keras stores those of CIFAR-10."""
    np.savez(tmp_path / "m.npz", x=X, y=np.array([[2], [0], [1]]))
    assert read_examples(tmp_path / "m.npz").y.tolist() == [2, 0, 1]


def test_bytes_are_divided_by_255_unless_told():
    stored = np.array([[0, 51], [255, 1]], np.uint8)
    scaled = scale_inputs(stored)
    torch.testing.assert_close(scaled.x, torch.tensor([[0, 0.2], [1, 1 / 255]]))
    assert (scaled.box, scaled.scale, scaled.notes) == ((0.0, 1.0), 255, ())
    assert scale_inputs(stored, scale=1).box == (0.0, 255.0)
    assert scale_inputs(stored, scale=1).x.amax() == 255


@pytest.mark.parametrize("off", [1e-7, 1e-4])
def test_pixels_off_the_box_by_rounding_are_clipped_and_said(off):
    stored = np.array([[0, 0.5], [1, 1 + off]]) - np.array([[off, 0], [0, 0]])
    scaled = scale_inputs(stored)
    assert (float(scaled.x.amin()), float(scaled.x.amax())) == (0.0, 1.0)
    assert "2 numbers of x" in scaled.notes[0]


@pytest.mark.parametrize(
    ("stored", "question"),
    [
        (np.array([[0, 1], [1, 1]], np.uint8), "say what x is to be divided by: --scale=1"),
        (np.array([[0, 16], [8, 1]], np.uint8), "--scale=16"),
        (np.array([[0, 254.3], [8, 1]]), "--scale=255 if the models read"),
        (np.array([[0, 1.2], [8, 1]]) / 255 / 8, "divided by 255 twice"),
        (np.array([[-2.1, 2.6], [0, 1]]), "--box=-2.1,2.6"),
        (np.array([[-0.4242, 2.821], [0, 1]]), "--box=-0.4242,2.821"),
        (np.full((2, 2), 0.5), "0.5 everywhere"),
        (np.array([[-1.0, 1.0], [0, 1]]), "--box=-1,1"),
        (np.array([[0, 1 + 2 * ROUNDING], [0, 1]]), "no image in [0, 1]"),
        (np.array([[0, 5000.0], [0, 1]]), "--box=0,5000"),
    ],
)
def test_units_that_cannot_be_told_are_one_question(stored, question):
    with pytest.raises(RangeError) as asked:
        scale_inputs(stored)
    assert question in str(asked.value)


def test_options_answer_the_question():
    standardised = np.array([[-2.1, 2.6], [0, 1]])
    assert scale_inputs(standardised, box="none").box is None
    assert scale_inputs(standardised, box=(-3, 3)).box == (-3.0, 3.0)
    with pytest.raises(RangeError, match=r"leaves the box \[-1, 1\]"):
        scale_inputs(standardised, box=(-1, 1))
    assert scale_inputs(np.array([[0, 254.3], [8, 1]]), scale=255).box == (0.0, 1.0)
    assert scale_inputs(np.array([[0, 1], [1, 1]], np.uint8), scale=1).box == (0.0, 255.0)
    with pytest.raises(RangeError, match="say --scale=1"):
        scale_inputs(np.array([[0, 255], [1, 1]], np.uint8), box=(0, 255))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": 1e-320}, "more than float32 holds"),
        ({"scale": 1e300}, "0 everywhere"),
        ({"box": (0, 1e39)}, "wider than float32 holds"),
    ],
)
def test_units_beyond_float32_are_refused(options, said):
    with pytest.raises(RangeError, match=said):
        scale_inputs(np.array([[0, 0.5], [1, 1]]), **options)


def test_a_box_lies_where_float32_numbers_do():
    """0.7 is no float32; clipped to the next one below, x would leave the box by 1e-8."""
    scaled = scale_inputs(np.array([[0.0, 0.7], [0.1, 0.2]]), box=(0.0, 0.7))
    assert scaled.box is not None
    assert scaled.box[1] == float(scaled.x.amax())
