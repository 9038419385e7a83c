"""What the package offers: images by name."""

import pytest

from qemu_bridge import images
from qemu_bridge.errors import UsageError


@pytest.mark.parametrize("name", ["nothing", "../alpine", "", "a/b"])
def test_unknown_image_is_the_callers_mistake(name: str) -> None:
    for function in (images.load_recipe, images.find_image, images.build_image):
        with pytest.raises(UsageError, match="alpine"):
            function(name)
