"""Export: the forms in which tuned encoders leave the library, each with its proof."""

from siamrec.models.export._onnx import OnnxEncoder
from siamrec.models.export._parity import SAMPLE_TEXTS, ParityReport, Thresholds
from siamrec.models.export.exporter import EXPORTERS, Exporter, export

__all__ = [
    "EXPORTERS",
    "SAMPLE_TEXTS",
    "Exporter",
    "OnnxEncoder",
    "ParityReport",
    "Thresholds",
    "export",
]
