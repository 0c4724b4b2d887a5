#!/bin/bash
# onnxruntime 1.31.1 on x86-64 (CPU provider), with a batch of no picture: a dimension of 0, which ONNX allows.
#
# Expected: an empty batch gives an empty result, as with one picture but without rows, and with graph
#           optimization as without it; MatMul follows numpy.matmul, whose broadcasting knows 0.
# Seen:     1. A network that adds a map and one that was doubled by Resize runs with a batch of 1, and with a
#              batch of 0 while graph optimization is off. With it on, a Reshape that the optimizer put in fails
#              ("cannot be reshaped", {0,64,8,8} to {0,-1,8,8,16}): Resize leaves the batch open, so the
#              optimizer does not know that both maps have the same shape. Declaring the shapes helps.
#           2. MatMul of a matrix (7,12) with (0,12,5) is refused ("right operand cannot broadcast on dim 0");
#              numpy gives (0,7,5).
#
# Needs Python 3.11 or newer and a package index. Exits 0 while this is so, 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6

venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OFF = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
ALL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def told(nodes, constants, shape, result, batch, level):
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, result)
    kept = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [port], [out], kept), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    try:
        return session.run(None, {"x": np.zeros((batch, *shape), np.float32)})[0].shape
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        return str(error).strip()[-110:]


doubled = [
    helper.make_node("Conv", ["x", "w"], ["a"]),
    helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
    helper.make_node("Conv", ["p", "w"], ["q"]),
    helper.make_node(
        "Resize", ["q", "", "s"], ["r"], mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    ),
    helper.make_node("Add", ["a", "r"], ["z"]),
    helper.make_node("Conv", ["z", "w"], ["y"]),
]
weights = {"w": np.zeros((64, 64, 1, 1), np.float32), "s": np.asarray([1, 1, 2, 2], np.float32)}
maps = {
    (batch, word): told(doubled, weights, (64, 8, 8), ["n", "c", "h", "w"], batch, level)
    for batch in (1, 0)
    for word, level in (("off", OFF), ("on", ALL))
}
product = {
    batch: told(
        [helper.make_node("MatMul", ["m", "x"], ["y"])],
        {"m": np.zeros((7, 12), np.float32)}, (12, 5), ["n", 7, 5], batch, OFF,
    )
    for batch in (1, 0)
}
for (batch, word), said in maps.items():
    print(f"maps, batch of {batch}, optimization {word}: {said}")
for batch, said in product.items():
    print(f"MatMul, batch of {batch}: {said}; numpy: {np.matmul(np.zeros((7, 12)), np.zeros((batch, 12, 5))).shape}")
still = (
    maps[1, "on"] == (1, 64, 8, 8)
    and maps[0, "off"] == (0, 64, 8, 8)
    and isinstance(maps[0, "on"], str)
    and product[1] == (1, 7, 5)
    and isinstance(product[0], str)
)
sys.exit(not still)
PYTHON
