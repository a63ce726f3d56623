"""A network as a graph of operators that runs without its Python code: ONNX and torch.export."""
