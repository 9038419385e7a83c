"""Other suites of Debian: apt with a configuration of its own, so that nothing is installed and the machine's lists stay as they are.

>>> apt = read_suites(("trixie", "trixie-backports"), Path("apt"), print)
>>> [path.name for path in download_packages(apt, "jq", "trixie", Path("apt"), print)][-1]
'jq_1.7.1-6+deb13u1_amd64.deb'

The mirror is the one that this machine fetches Debian from. apt checks the signatures of the lists, and with the checksums in
them every package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from .fetch import Progress, Unavailable
from .packages import run_apt

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ROW = re.compile(r"^'[^']+' (\S+\.deb) (\d+) SHA256:([0-9a-f]{64})$", re.MULTILINE)


def read_suites(suites: Sequence[str], folder: Path, progress: Progress) -> Path:
    """The configuration for apt (``APT_CONFIG``) with which it knows `suites` of Debian's main part and nothing else.

    It and the lists, some 10 MB a suite, are in `folder`. Nothing counts as installed. Raises `Unavailable` with the reason.
    """
    configuration = folder / "apt.conf"
    if configuration.exists():
        return configuration
    mirror = find_mirror()
    if not KEYRING.exists():
        raise Unavailable(f"there are no keys of Debian in {KEYRING} (package debian-archive-keyring)")
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = (f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in suites)
    (folder / "sources.list").write_text("".join(rows))
    (folder / "status").touch()
    draft = folder / "draft.conf"
    draft.write_text(
        f'Dir::State "{folder}";\nDir::State::lists "{folder}/lists";\nDir::State::status "{folder}/status";\n'
        f'Dir::Cache "{folder}";\nDir::Cache::archives "{folder}/archives";\n'
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferences "/dev/null";\nDir::Etc::preferencesparts "/dev/null";\n'
        'APT::Architecture "amd64";\nAPT::Architectures "amd64";\nAPT::Install-Recommends "false";\n'
        'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::ForceHash "SHA256";\nDebug::NoLocking "true";\n'
    )
    progress(f"reading the lists of {', '.join(suites)}")
    run_apt("apt-get", "update", "-qq", "--error-on=any", configuration=draft)
    return draft.rename(configuration)


def download_packages(apt: Path, wanted: str, suite: str, folder: Path, progress: Progress) -> list[Path]:
    """Packages `wanted` (their names, with spaces) of `suite` and all that they depend on, as files below `folder`, which is that of `read_suites`.

    `apt` is its configuration. What `suite` does not have comes from the others. Raises `Unavailable` with apt's reason.
    """
    install = ("install", "--yes", "-qq", "--target-release", suite, *wanted.split())
    rows = _ROW.findall(run_apt("apt-get", "--print-uris", *install, configuration=apt))
    if not rows:
        raise Unavailable(f"apt offers no package {wanted}")
    progress(f"downloading {len(rows)} packages ({sum(int(size) for _, size, _ in rows) / 1e6:.0f} MB) with apt-get")
    run_apt("apt-get", "--download-only", *install, configuration=apt)
    found = []
    for name, _, digest in rows:
        path = folder / "archives" / os.path.basename(name)
        if not path.is_file() or sha256(path.read_bytes()).hexdigest() != digest:
            raise Unavailable(f"apt left no package {name} with the checksum of its list")
        found.append(path)
    return found


def find_mirror() -> str:
    """The address that this machine fetches Debian from."""
    rows = run_apt("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages")
    if match := re.search(r"^Debian (\S+)$", rows, re.MULTILINE):
        return match[1]
    raise Unavailable("apt has no source of Debian here, or no lists yet (`apt-get update` as root fetches them)")
