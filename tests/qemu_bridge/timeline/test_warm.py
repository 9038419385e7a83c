"""What is kept of first boots: found only where nothing differs, whole or not at all, and never more than the limit."""

import dataclasses
import os
import shutil
import time
from pathlib import Path

import pytest

from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.machine.config import MachineConfig, find_qemu
from qemu_bridge.machine.gpu import GpuShare
from qemu_bridge.timeline import warm


@pytest.fixture
def config(tmp_path):
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(b"kernel")
    return MachineConfig(name="one", kernel=kernel, append="quiet")


def keep(config) -> dict[str, str]:
    parts, draft = warm.parts_of(config, find_qemu()), warm.make_draft()
    with open(draft / warm.RAM, "wb") as file:
        file.truncate(config.memory)
        os.pwrite(file.fileno(), os.urandom(8192), 1 << 20)
    (draft / warm.DEVICES).write_bytes(os.urandom(100))
    (draft / warm.CONSOLE).write_text("glassbox: ready\n")
    warm.keep(draft, parts, ((1 << 20, 32),))
    shutil.rmtree(draft, ignore_errors=True)
    return parts


CHANGES = {
    "memory": {"memory": 96 << 20},
    "vCPUs": {"smp": 2},
    "machine type": {"machine": "q35"},
    "accelerator": {"accelerator": "kvm"},
    "command line": {"append": "quiet panic=1"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_boot_is_found_again_under_another_name_and_a_difference_is_told(name, own_cache, config):
    keep(config)
    moment, _ = warm.find_kept(warm.parts_of(dataclasses.replace(config, name="two"), find_qemu()))
    assert moment is not None and moment.copy.size == config.memory
    changed = warm.parts_of(dataclasses.replace(config, **CHANGES[name]), find_qemu())
    assert warm.find_kept(changed) == (None, f"what is kept differs in {name}")


def test_a_kernel_or_a_qemu_that_was_replaced_is_another(own_cache, config, tmp_path):
    parts = keep(config)
    (tmp_path / "new").write_bytes(b"kernel")
    (tmp_path / "new").rename(config.kernel)
    assert warm.find_kept(warm.parts_of(config, find_qemu()))[1] == "what is kept differs in kernel"
    assert warm.find_kept(parts | {"QEMU": "another"})[1] == "what is kept differs in QEMU"
    assert warm.find_kept(parts | {"CPU": "another"})[1] == "what is kept differs in CPU"
    assert warm.find_kept(parts | {"image": "another"})[1] == "no boot of it was kept yet"


@pytest.mark.parametrize("name", [warm.RAM, warm.DEVICES, warm.RECORD])
def test_what_was_cut_short_is_not_found_and_is_replaced_by_the_next(name, own_cache, config):
    parts = keep(config)
    (path,) = own_cache.iterdir()
    with open(path / name, "r+b") as file:
        file.truncate((path / name).stat().st_size // 2)
    moment, reason = warm.find_kept(parts)
    assert moment is None and "damaged" in reason
    assert warm.find_kept(keep(config))[0] is not None and [*own_cache.iterdir()] == [path]


def test_a_whole_state_stays_when_the_same_is_kept_again_and_one_with_other_ram_goes(own_cache, config):
    keep(config)
    (path,) = own_cache.iterdir()
    before = (path / warm.RECORD).read_bytes()
    keep(config)
    assert (path / warm.RECORD).read_bytes() == before
    with open(path / warm.RAM, "r+b") as file:
        os.pwrite(file.fileno(), b"another", 1 << 20)
    keep(config)
    assert (path / warm.RECORD).read_bytes() != before


def test_a_kernel_behind_a_link_that_was_built_again_is_another(own_cache, config, tmp_path):
    link = tmp_path / "newest"
    link.symlink_to(config.kernel)
    linked = dataclasses.replace(config, kernel=link)
    assert keep(linked)["kernel"] == warm.parts_of(config, find_qemu())["kernel"]
    config.kernel.write_bytes(b"another kernel")
    assert warm.find_kept(warm.parts_of(linked, find_qemu()))[1] == "what is kept differs in kernel"


def test_a_state_larger_than_all_may_be_is_not_kept_and_the_rest_stays(own_cache, config, monkeypatch):
    parts = keep(config)
    monkeypatch.setattr(warm, "LIMIT", sum(512 * path.stat().st_blocks for path in own_cache.glob("*/*")))
    (warm.make_draft() / warm.RECORD).write_bytes((own_cache / warm._path(parts).name / warm.RECORD).read_bytes())
    draft = warm.make_draft()
    (draft / warm.RAM).write_bytes(os.urandom(warm.LIMIT + 4096))
    (draft / warm.DEVICES).write_bytes(b"x")
    with pytest.raises(HostError, match="less --memory"):
        warm.keep(draft, parts | {"vCPUs": "9"}, ())
    assert warm.find_kept(parts)[0] is not None
    assert [path.name for path, _ in warm._iter_kept()] == [warm._path(parts).name], "a draft is not kept yet"


def test_a_cache_in_which_others_may_write_is_closed_and_a_link_in_its_place_is_refused(own_cache, config, tmp_path):
    keep(config)
    own_cache.chmod(0o777)
    keep(config)
    assert own_cache.stat().st_mode & 0o077 == 0
    own_cache.rename(tmp_path / "elsewhere")
    own_cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="XDG_CACHE_HOME"):
        warm.find_kept(warm.parts_of(config, find_qemu()))


def test_what_was_not_used_for_longest_goes_first(own_cache, config, monkeypatch):
    old, used = keep(config), keep(dataclasses.replace(config, smp=2))
    for parts, age_s in ((old, 100), (used, 200)):
        os.utime(own_cache / warm._path(parts).name / warm.RECORD, (time.time() - age_s,) * 2)
    assert warm.find_kept(used)[0] is not None
    size = sum(512 * path.stat().st_blocks for path in (own_cache / warm._path(old).name).iterdir())
    monkeypatch.setattr(warm, "LIMIT", 5 * size // 2)
    new = keep(dataclasses.replace(config, smp=3))
    assert [warm.find_kept(parts)[0] is not None for parts in (old, used, new)] == [False, True, True]


def test_a_machine_with_state_elsewhere_is_refused(config):
    for change in ({"net": "lab"}, {"gpu": GpuShare(1.0, 1 << 20)}, {"learned": (Path("x.so"),)}):
        with pytest.raises(UsageError, match="leave out --warm"):
            warm.parts_of(dataclasses.replace(config, **change), find_qemu())
