"""The page's files, sent as they are; tests/product/test_browser.py looks at it in a browser."""

import re

import pytest

from qemu_bridge.gateway import page


def test_every_file_is_there_and_none_comes_from_another_host():
    for path, asset in page.assets().items():
        assert asset.content, path
        if not path.startswith("/docs/"):
            assert not re.search(rb"""(src|href|url|from|import)\s*[=(]?\s*["']?(https?:)?//""", asset.content), path


def test_what_the_page_names_is_served():
    for path, base in (("/", "/"), ("/docs", "/")):
        text = page.assets()[path].content.decode()
        for name in re.findall(r'(?:src|href)="([^"#.][^"]*)"', text):
            assert base + name in page.assets(), name
    assert all(
        f'id="{name}"' in page.assets()["/"].content.decode()
        for name in re.findall(r'\$\("([a-z-]+)"\)', page.assets()["/page.js"].content.decode())
    )


@pytest.mark.guest
def test_files_have_their_types_and_need_no_token(reader):
    for path, asset in page.assets().items():
        answer = reader.call("GET", path, token=False)
        assert (
            answer.status == 200 and answer.body == asset.content and answer.headers["content-type"] == asset.media_type
        )
