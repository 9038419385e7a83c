"""Made-up kernels and archives that the image tests feed to the builder."""

from __future__ import annotations

import bz2
import gzip
import http.server
import io
import lzma
import struct
import tarfile
from hashlib import sha512
from pathlib import Path

import lz4.block
import zstandard

ROOTFS_NAME = "tiny-rootfs.tar.gz"
BTF_HEADER = struct.pack("<HBBI", 0xEB9F, 1, 0, 24)
COMPRESSIONS = ("gzip", "xz", "lzma", "bzip2", "lz4", "zstd")


def make_vmlinux(*, pvh: bool = True, types: bool = True, release: str = "6.9.0-sample", size: int = 4096) -> bytes:
    """An ELF64 file of one PT_NOTE segment, which holds a note of another owner and, if `pvh`, Xen's entry."""
    notes = struct.pack("<III4s4s", 4, 4, 18, b"GNU\0", b"")
    notes += struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", 0x1000000) if pvh else b""
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = identity + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(notes), len(notes), 4)
    body = header + segment + notes + f"Linux version {release} (maker@host) #1".encode()
    return body.ljust(size, b"\x55") + (BTF_HEADER if types else b"")


def make_bzimage(content: bytes, compression: str = "gzip", release: str = "6.9.0-sample") -> bytes:
    """A bzImage of boot protocol 2.15 around `content`, with two setup sectors."""
    payload = _compress(content, compression) + struct.pack("<I", len(content))
    setup = bytearray(3 * 512)
    setup[0x1F1] = 2
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, 0x20F)
    struct.pack_into("<H", setup, 0x20E, 0x100)
    setup[0x300 : 0x300 + 64] = f"{release} (maker@host) #1 SMP".encode().ljust(64, b"\0")
    struct.pack_into("<II", setup, 0x248, 0x80, len(payload))
    return bytes(setup) + bytes(0x80) + payload + b"loader code"


def _compress(content: bytes, compression: str) -> bytes:
    match compression:
        case "gzip":
            return gzip.compress(content)
        case "xz":
            return lzma.compress(content, check=lzma.CHECK_CRC32)
        case "lzma":
            return lzma.compress(content, lzma.FORMAT_ALONE)
        case "bzip2":
            return bz2.compress(content)
        case "zstd":
            return zstandard.ZstdCompressor(level=19).compress(content)
        case "lz4":
            blocks = (content[start : start + (8 << 20)] for start in range(0, len(content), 8 << 20))
            packed = (lz4.block.compress(block, store_size=False) for block in blocks)
            return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(block)) + block for block in packed)
    return content


def make_tar(
    files: dict[str, bytes], links: dict[str, str] | None = None, extra: tuple[tarfile.TarInfo, ...] = ()
) -> bytes:
    """A tar.gz of plain `files`, symbolic `links` and `extra` members without content, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o755, 1_700_000_000
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            tar.addfile(make_member(name, tarfile.SYMTYPE, target))
        for member in extra:
            tar.addfile(member)
    return buffer.getvalue()


def make_member(name: str, kind: bytes, target: str = "", device: tuple[int, int] = (0, 0)) -> tarfile.TarInfo:
    """A tar member of `kind` without content."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, 0o644
    member.devmajor, member.devminor = device
    return member


def write_recipe(tmp_path: Path, rootfs: bytes, mirrors: list[str], name: str = "tiny", head: str = "") -> None:
    folder = tmp_path / "config" / "glassbox" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(
        f'description = "tiny"\nmirrors = {mirrors!r}\ncommand_line = "console=ttyS0  quiet"\n{head}\n'
        f'[rootfs]\nfile = "{ROOTFS_NAME}"\nsha512 = "{sha512(rootfs).hexdigest()}"\n'
        '[kernel]\nproviders = ["alpine"]\nfile = "netboot/vmlinuz"\n'
    )


def leftovers(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != "lock"]


class MirrorServer(http.server.ThreadingHTTPServer):
    """A mirror over HTTP that remembers what it was asked for and can cut its answers short."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.keep = folder, list[str](), 1.0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alpine/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: MirrorServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.server.folder / self.path.removeprefix("/alpine/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: int(len(content) * self.server.keep)])

    def log_message(self, *_: object) -> None:
        pass
