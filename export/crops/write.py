"""Write a judge as one small .onnx file that takes any number of crops as bytes.

    crops uint8 (N,side,side,3) BGR ─▶ probabilities float (N,states)

What always holds: normalisation is inside, batch norms are folded into the convolutions before them, and the
written file has been compared with PyTorch on crops that nothing in it was made from.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from agent.look.judge import FORMAT, NOT_JUDGED, Judge
from export.crops.cut import STATES
from export.crops.learn import tensor
from export.crops.network import DEVIATION, MEAN, POOLED, SIDE, STRIDES, CropNetwork
from export.errors import TrainError

OPSET = 17
IR_VERSION = 8
ALIKE = 1e-4  # of a probability


def folded(network: CropNetwork) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weight and bias of each convolution with its batch norm in it."""
    parts = []
    for convolution, norm in zip(network.convolutions, network.norms, strict=True):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = convolution.weight * scale[:, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        parts.append((weight.detach().numpy(), bias.detach().numpy()))
    return parts


def graph(network: CropNetwork) -> onnx.GraphProto:
    """Return the graph of a network."""
    constants: dict[str, NDArray[np.float32]] = {
        "mean": np.asarray(MEAN, np.float32),
        "deviation": np.asarray(DEVIATION, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["bytes"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["map"]),
    ]
    last = "map"
    for place, (weight, bias) in enumerate(folded(network)):
        constants |= {f"weight{place}": weight, f"bias{place}": bias}
        pad = [weight.shape[2] // 2] * 4
        stride = [STRIDES[place]] * 2
        names = [last, f"weight{place}", f"bias{place}"]
        nodes.append(helper.make_node("Conv", names, [f"conv{place}"], pads=pad, strides=stride))
        last = f"relu{place}"
        nodes.append(helper.make_node("Relu", [f"conv{place}"], [last]))
        if place in POOLED:
            pooled = f"pool{place}"
            nodes.append(helper.make_node("MaxPool", [last], [pooled], kernel_shape=[2, 2], strides=[2, 2]))
            last = pooled
    constants |= {
        "last_weight": network.last.weight.detach().numpy(),
        "last_bias": network.last.bias.detach().numpy(),
    }
    nodes += [
        helper.make_node("ReduceMean", [last], ["mean_map"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["mean_map", "last_weight", "last_bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return helper.make_graph(
        nodes,
        "judge",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(STATES)])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )


def write_judge(network: CropNetwork, path: Path, metadata: dict[str, str]) -> float:
    """Write a judge, compare it with PyTorch, and return by how much a probability differs at most.

    Raises `TrainError` where the file says something else.
    """
    proto = helper.make_model(graph(network), opset_imports=[helper.make_opsetid("", OPSET)])
    proto.ir_version = IR_VERSION
    told = {"format": FORMAT, "names": json.dumps(STATES), **metadata}
    helper.set_model_props(proto, dict(sorted(told.items())))
    onnx.checker.check_model(proto)
    onnx.save(proto, path)
    crops = np.random.default_rng(11).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    names = [name for name in STATES if name != NOT_JUDGED]
    with torch.no_grad():
        right = network.eval()(tensor(crops)).softmax(1).numpy()
    differs = float(np.abs(Judge(path, names).probabilities(crops) - right).max())
    if differs > ALIKE:
        raise TrainError(f"{path}: differs from PyTorch by {differs:.2g}: do not use it")
    return differs
