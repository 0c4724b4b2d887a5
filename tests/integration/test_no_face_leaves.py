"""Privacy from end to end: a real agent over crowds, and somebody else's face detector at each way out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import cv2
import msgspec
import numpy as np
import pytest

from agent import wire
from agent.boxes import letterbox
from agent.mqtt.client import BrokerSettings, connect
from agent.page import token
from agent.show.privacy import shrink
from deploy.stack import Stack, free_port
from tests.yunet import YuNet

from .box import now_ms, until
from .test_agent import node_name, running
from .test_box_orders import listening
from .test_rtsp_out import server, size_of

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg: sudo apt-get install ffmpeg")
PICTURES = 12
SIZE = (480, 640)  # height, width
LEAST_FACES = 20
EACH = 10  # pictures of a way out that are judged
LEFT = 0.02


def crowds(data: Path, folder: Path) -> Path:
    """Write some pictures of crowds into a folder, all of one size as a camera's are."""
    folder.mkdir()
    paths = sorted((data / "masks" / "val" / "images").iterdir())
    for path in paths[:: len(paths) // PICTURES][:PICTURES]:
        canvas = letterbox(cv2.imread(str(path)), SIZE)[0]
        cv2.imwrite(str(folder / f"{path.stem}.png"), canvas)
    return folder


def config(folder: Path, stack: Stack, node: str, source: Path, page: int, rtsp: str) -> Path:
    """Write the config of a box whose pictures may leave, blurred, by every way that there is."""
    path = folder / "agent.toml"
    path.write_text(
        f'node = "{node}"\nstate_dir = "{folder / "state"}"\n[broker]\nurl = "{stack.mqtt_url}"\n'
        f'[page]\nlisten = "127.0.0.1:{page}"\n'
        f'[camera.cam0]\nsource = "{source}"\nloop = true\nmodel = "mask"\nrtsp_out = "{rtsp}"\n'
    )
    return path


def decoded(jpeg: bytes) -> np.ndarray:
    """Return a JPEG's picture (H,W,3)."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


async def by_page(port: int, key: str) -> list[np.ndarray]:
    """Return pictures of the box's own page."""
    url = f"http://127.0.0.1:{port}/api/cameras/cam0/preview"
    images = []
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as client, client.get(url) as response:
        assert response.status == 200
        parts = aiohttp.MultipartReader.from_response(response)
        while len(images) < EACH:
            part = await parts.next()
            assert isinstance(part, aiohttp.BodyPartReader)
            images.append(decoded(await part.read()))
    return images


async def by_centre(url: str, node: str) -> list[np.ndarray]:
    """Return pictures of the preview that the centre asks for."""
    images = []
    async with connect(BrokerSettings.parse(url)) as client:
        await client.subscribe(wire.topic(node, "live"))
        for number in range(EACH):
            order = wire.Command(
                f"watching-{number}", "watch", now_ms() + 60_000, "operator", "cam0", 20.0, True, "ada"
            )
            await client.publish(wire.topic(node, "cmd"), msgspec.json.encode(order))
            async for message in client.messages:
                if jpeg := wire.decode_live(message.payload).jpeg:
                    images.append(decoded(jpeg))
                    break
    return images


def of_film(film: Path) -> Iterator[np.ndarray]:
    """Yield each tenth picture that an RTSP server took."""
    capture = cv2.VideoCapture(str(film))
    number = 0
    while capture.grab():
        if number % 10 == 0:
            yield capture.retrieve()[1]
        number += 1
    capture.release()


async def test_no_way_out_shows_more_than_two_in_a_hundred_faces(
    data: Path,
    judge: YuNet,
    stack: Stack,
    tmp_path: Path,
) -> None:
    """Preview over the centre, snapshot, the box's page and RTSP: YuNet finds at most 2 % of the faces that
    are in what the camera saw, and each way stands in the box's log as blurred.
    """
    source = crowds(data, tmp_path / "crowds")
    before = sum(judge.faces(shrink(cv2.imread(str(path)))) for path in source.iterdir())
    assert before >= LEAST_FACES
    node = node_name()
    page = free_port()
    rtsp = f"rtsp://127.0.0.1:{free_port()}/crowd"
    film = tmp_path / "film.mkv"
    path = config(tmp_path, stack, node, source, page, rtsp)
    taker = server(rtsp, film)
    try:
        async with listening(stack.mqtt_url, node) as box:
            with running(path):
                await until(
                    lambda: any(one.cameras[0].state == "ok" for one in box.states if one.cameras), 120
                )
                await until(lambda: token.read(tmp_path / "state"), 60)
                ways = {"page": await by_page(page, token.read(tmp_path / "state"))}
                ways["preview"] = await by_centre(stack.mqtt_url, node)
                ways["snapshot"] = [decoded((await box.order("snapshot", "cam0")).jpeg) for _ in range(3)]
                await until(lambda: size_of(film) > 40_000, 120)
    finally:
        taker.kill()
        taker.wait()
    ways["rtsp"] = list(of_film(film))
    left = {way: sum(judge.faces(image) for image in images) for way, images in ways.items()}
    assert min(len(images) for images in ways.values()) >= 3
    seen_each = before / PICTURES
    allowed = {way: LEFT * seen_each * len(images) for way, images in ways.items()}
    assert {way: count for way, count in left.items() if count > allowed[way]} == {}
    log = json.loads((tmp_path / "state" / "pictures.json").read_text())
    assert {entry["way"] for entry in log} == set(ways)
    assert {entry["manner"] for entry in log} == {"blurred"}


async def test_off_lets_nothing_out_by_any_way(data: Path, stack: Stack, tmp_path: Path) -> None:
    """With `preview = "off"` a recording too gives no snapshot, no picture on the page and none to a watcher;
    its log of pictures stays empty.
    """
    source = crowds(data, tmp_path / "crowds")
    node = node_name()
    page = free_port()
    path = config(tmp_path, stack, node, source, page, "")
    path.write_text(path.read_text().replace('rtsp_out = ""', 'preview = "off"'))
    async with listening(stack.mqtt_url, node) as box:
        with running(path):
            await until(lambda: any(one.cameras[0].state == "ok" for one in box.states if one.cameras), 120)
            await until(lambda: token.read(tmp_path / "state"), 60)
            for verb in ("snapshot", "empty"):
                answer = await box.order(verb, "cam0")
                assert (answer.jpeg, "lets no picture leave" in answer.error) == (b"", True)
            headers = {"Authorization": f"Bearer {token.read(tmp_path / 'state')}"}
            async with aiohttp.ClientSession(headers=headers) as client:
                for way in ("preview", "empty"):
                    url = f"http://127.0.0.1:{page}/api/cameras/cam0/{way}"
                    async with client.get(url) as response:
                        assert response.status == 404
    assert not (tmp_path / "state" / "pictures.json").exists()
