"""The HTML page of a report: self-contained, and nothing in it is taken for markup."""

import re
from html.parser import HTMLParser

import pytest

from aurefine.report.page import (
    Page,
    Paragraph,
    Picture,
    Preformatted,
    Section,
    Table,
    render_page,
)

HOSTILE = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=alert(1)>&\x1b[31m"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page_of(text):
    parts = [
        Paragraph(text), Paragraph(text, is_notice=True), Preformatted(text),
        Picture(b"\x89PNG", text), Table([[text, text]], [text, text]), Table([["a", text]]),
    ]  # fmt: skip
    return render_page(Page(text, text, [Section(text, parts)], text))


def test_texts_from_files_stay_texts():
    html = page_of(HOSTILE)
    tags = Tags(html)
    assert "script" not in [tag for tag, _ in tags.found]
    images = [attributes for tag, attributes in tags.found if tag == "img"]
    assert len(images) == 1
    assert images[0]["src"].startswith("data:image/png;base64,")
    assert set(images[0]) == {"alt", "src"}
    assert "\x1b" not in html
    assert tags.open == []


def test_page_asks_for_nothing_and_forbids_scripts():
    html = page_of("plain")
    assert not re.search(r'(?:src|href)\s*=\s*(?!"data:)', html)
    assert "url(" not in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize("text", ["\udcff\udcfe", "a\x00b", "ä€𝄞", ""])
def test_any_text_can_be_written(text):
    page_of(text).encode("utf-8")
