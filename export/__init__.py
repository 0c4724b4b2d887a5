"""From labelled pictures to one .onnx file."""
