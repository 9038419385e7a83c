"""One graphics device for all tests of the viewer, and made-up memory to draw with it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import SyntheticSource

from viewer.bookmarks import Bookmarks
from viewer.desk import Desk
from viewer.device import adapter_name, request_adapter, request_device
from viewer.input import Eye
from viewer.live import Feed
from viewer.offscreen import choose_camera, load_scene
from viewer.questions import Questions
from viewer.raymarch import Renderer
from viewer.settings import Settings

OUT = Path(__file__).resolve().parents[1] / "out"
REFERENCES = Path(__file__).parent / "references"


def rmse(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Root of the mean squared difference of two pictures, 1 for black against white."""
    return float(np.sqrt(np.mean((one.astype(np.float64) - other) ** 2)) / 255)


class Pictures:
    """Compares pictures with references; keeps what differs in tests/out."""

    @staticmethod
    def rmse(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
        return rmse(one, other)

    @staticmethod
    def check(picture: npt.NDArray[np.uint8], name: str, tolerance: float = 0.02) -> None:
        """Fail unless `picture` is within `tolerance` of the reference `name`."""
        OUT.mkdir(exist_ok=True)
        Image.fromarray(picture).save(OUT / f"{name}.png")
        path = REFERENCES / f"{name}.png"
        assert path.exists(), f"no reference; look at {OUT / name}.png and copy it to {path}"
        reference = np.asarray(Image.open(path).convert("RGB"))
        assert reference.shape == picture.shape
        difference = rmse(picture, reference)
        if difference > tolerance:
            amplified = np.clip(4 * np.abs(picture.astype(np.int16) - reference), 0, 255).astype(np.uint8)
            Image.fromarray(amplified).save(OUT / f"{name}-difference.png")
        assert difference <= tolerance, f"differs by {difference:.4f}; see {OUT / name}-difference.png"


@pytest.fixture(scope="session")
def device():
    return request_device()


@pytest.fixture(scope="session")
def is_software() -> bool:
    return "llvmpipe" in adapter_name(request_adapter())


@pytest.fixture
def source() -> SyntheticSource:
    return SyntheticSource()


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def desk(device, source, tmp_path) -> Desk:
    """What panels share, over made-up memory, with nobody to ask."""
    scene = load_scene(source, device)
    eye = Eye(choose_camera(Renderer(scene)))
    feed, questions = Feed(source, lambda: None), Questions(None, lambda: None)
    return Desk(
        source, scene, feed, eye, questions, Settings(), Bookmarks("synthetic", tmp_path / "b.toml"), lambda: None
    )
