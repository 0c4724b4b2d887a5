"""One memory in which all models compute, given back while none of them does.

    loading a model ─▶ first region, small: what stays as long as the model
    looking         ─▶ large regions: nothing of a look outlives it, so they can go whole

What always holds: what is free within a region is put together again, whatever sizes are asked for; a page of
it to which nothing was ever written is in no memory; a region in which a look computes is not given back. An
answer that is kept is copied.
Source: onnxruntime's `bfc_arena.cc`, and `memory.enable_memory_arena_shrinkage` of its run options.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime

from agent.see import model_file

FIRST = 1 << 16  # bytes of the first region,
REGION = 32 << 20  # and of each that is made after the arena was emptied
IR_VERSION = 8
OPSET = 17


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return how a session computes: in little memory, with threads that sleep while they wait."""
    _register()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # one block for all of a run is larger than its parts one by one
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


def empty() -> None:
    """Give back every region in which nothing is kept; regions are large from then on."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _nothing().run(None, {"x": np.zeros(1, np.float32)}, options)


@cache
def _register() -> None:
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    growth = {
        "max_mem": 0,  # no limit
        "arena_extend_strategy": 0,  # a region is doubled until it holds what is asked for
        "initial_chunk_size_bytes": FIRST,
        "initial_growth_chunk_size_bytes": REGION,
        "max_dead_bytes_per_chunk": -1,
    }
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(growth))


@cache
def _nothing() -> onnxruntime.InferenceSession:
    """Return a session that computes nothing: an arena is emptied at the end of a run."""
    content = model_file.smallest(IR_VERSION, OPSET)
    return onnxruntime.InferenceSession(content, session_options(1), providers=["CPUExecutionProvider"])
