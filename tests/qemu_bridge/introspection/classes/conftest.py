"""A guest with memory for files and large programs, on two releases."""

import pytest
from support import booted, find_or_build_image

from qemu_bridge.errors import ImageError


@pytest.fixture(scope="package", params=["of the session", "alpine-612"])
def roomy(request, image):
    if request.param == "alpine-612":
        try:
            image = find_or_build_image(request.param)
        except ImageError as error:
            pytest.skip(str(error))
    with booted("roomy", image, memory=256 << 20) as machine:
        yield machine
