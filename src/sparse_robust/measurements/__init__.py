"""What is measured of models after each round; each measurement says its names and measures them."""

from .contract import Measurement, MetricName, Setting, Subject, exact_convolutions
from .registry import CLEAN, MEASUREMENTS

__all__ = ["CLEAN", "MEASUREMENTS", "Measurement", "MetricName", "Setting", "Subject", "exact_convolutions"]
