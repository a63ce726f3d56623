"""Networks as files that other programs read: ONNX and torch.export."""

from zenfront.pipeline.formats.onnx_file import onnxruntime, require_onnx, write_onnx
from zenfront.pipeline.formats.pt2_file import write_pt2

__all__ = ["onnxruntime", "require_onnx", "write_onnx", "write_pt2"]
