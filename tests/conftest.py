"""What every test may ask for: real neighbours, and the development data where it exists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from deploy.stack import Stack
from tests.yunet import YuNet

# How long an example takes to make or to run says how busy the machine is, not whether the code is right.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A mosquitto and a mongod for the whole run; tests use node names and databases of their own."""
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A mosquitto and a mongod of the test's own, to kill and start again."""
    with Stack(tmp_path / "stack") as running:
        yield running


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of development data; the test is skipped where there is none."""
    folder = os.environ.get("GB_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GB_DATA does not name the folder of development data")
    return Path(folder)


@pytest.fixture(scope="session")
def judge(data: Path) -> YuNet:
    """The face detector of others, where it lies beside the development data."""
    model = data.parent / "peers" / "yunet_n_640_640.onnx"
    if not model.exists():
        pytest.skip(f"{model} is not there")
    return YuNet(model)
