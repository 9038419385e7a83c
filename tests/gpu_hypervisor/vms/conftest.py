"""A runtime folder of their own for process VMs, so that none of this user's is touched."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def own_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vms", numbered=True)
    folder.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield folder
    left = [path for path in folder.rglob("*") if not path.is_dir()]
    assert not left
