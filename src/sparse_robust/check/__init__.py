"""Anyone's dense and pruned models side by side: does robustness fall before accuracy does?

Model files are read as data. No pickle is opened and no program of a file's own is run: of torch.export
archives and ONNX files only listed operators are, and safetensors and Caffe files hold numbers alone.
"""

from .comparison import check
from .examples import Examples, read_examples
from .formats import load_model
from .measure import Measured, measure
from .model import Model, ModelError
from .options import Options
from .report import Comparison, Interval, compare

__all__ = [
    "Comparison",
    "Examples",
    "Interval",
    "Measured",
    "Model",
    "ModelError",
    "Options",
    "check",
    "compare",
    "load_model",
    "measure",
    "read_examples",
]
