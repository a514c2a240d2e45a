"""`examples/serve.py`, asked over loopback by a client: predictions, and clear answers to what is not an image."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import pytest
from PIL import Image

from jaxnet import Model, Network, initialize_parameters_deep

from .images import png


pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("python_multipart", reason="python-multipart is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")


@pytest.fixture(scope="module")
def model():
    return Model(
        initialize_parameters_deep((48, 1), key=jax.random.key(0), init="he"), Network(), (4, 4, 3), ("cat", "dog")
    )


@pytest.fixture(scope="module")
def client(model):
    """A client of the example, served by a thread on a free port."""
    from examples.serve import app_of

    server = uvicorn.Server(uvicorn.Config(app_of(model), port=0, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join(60)


def asked(client, content, name="photo.jpg"):
    return client.post("/predict", files={"image": (name, content)})


@pytest.fixture
def photographs(tmp_path):
    """Files of both kinds, large enough for draft decoding."""
    paths = [tmp_path / f"{i}.{suffix}" for i, suffix in enumerate(("jpg", "png", "webp"))]
    for i, path in enumerate(paths):
        Image.effect_noise((90, 60), 40 + i).convert("RGB").save(path)
    return paths


def test_an_image_is_answered_as_by_the_model(client, model, photographs):
    for path in photographs:
        answer = asked(client, path.read_bytes())
        assert answer.status_code == 200 and answer.json() == model(path)._asdict()


def test_several_may_ask_at_a_time(client, model, photographs):
    content, expected = photographs[0].read_bytes(), model(photographs[0])._asdict()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: asked(client, content).json(), range(12)))
    assert answers == [expected] * 12


REFUSED = {
    "a text": b"not an image",
    "nothing": b"",
    "a format with programs": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "part of a PNG": png(4, 4)[:50],
    "more pixels than are read": png(2**13 + 1, 2**13),
    "a decompression bomb": png(2**15, 2**15),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_an_image_is_answered_in_words(name, client):
    answer = asked(client, REFUSED[name], "a.jpg")
    assert answer.status_code == 415
    assert answer.json() == {"detail": "a.jpg cannot be read as an image; expected a JPEG, PNG or WebP file"}


@pytest.mark.parametrize("request_of", [{"content": b"x"}, {"data": {"image": "text"}}, {"files": {"photo": b"x"}}])
def test_a_request_without_an_image_is_refused(request_of, client):
    assert client.post("/predict", **request_of).status_code == 422
