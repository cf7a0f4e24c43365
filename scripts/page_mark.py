"""Marks a screenshot with the page that it shows: `scripts/page_mark.py write|check PICTURE.png < page.html`.

The mark is a digest of the page's words, in a text chunk of the PNG. `check` fails if the page has other words now, so that a test
finds an old picture without drawing it again. Left out is what differs from run to run: times, numbers of processes, incidents and events,
the demo's directory, the host, the bars, raw events, and the proposal of learn, which is below the picture.
"""
import hashlib
import html
import pathlib
import re
import socket
import struct
import sys
import zlib

KEY = b"Page"


def digest(page):
    """A digest of what the page shows."""
    page = re.sub(r"<(style|script|figure)\b.*?</\1>", " ", page, flags=re.S)
    page = re.sub(r'<details class="raw">.*?</details>', " ", page, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page)).rsplit("What learn would propose", 1)[0]
    text = re.sub(r"/tmp/portcullis-demo-\w+", "/srv", re.sub(r"pid \d+", "pid", text))
    text = re.sub(r"incident [0-9a-f]{16}", "incident", re.sub(r" -o \S+", " -o PAGE", text))
    text = re.sub(r"\b[0-9a-f]{16}-\d+\b", "EVENT", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[ T][\d:.]+Z?", "TIME", text)
    # One time or two: the demo may run over the end of a second.
    text = re.sub(r"TIME\s+to\s+TIME", "TIME", text)
    text = re.sub(rf"\b{re.escape(socket.gethostname())}\b", "web1", text)
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest().encode()


def chunks(data):
    """The chunks of a PNG: kind and content."""
    at = 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def main():
    word, path = sys.argv[1], pathlib.Path(sys.argv[2])
    wanted, data = KEY + b"\0" + digest(sys.stdin.read()), path.read_bytes()
    marks = [content for kind, content in chunks(data) if kind == b"tEXt" and content.startswith(KEY + b"\0")]
    if word == "check":
        sys.exit(None if marks == [wanted] else f"{path} shows another page than the one there is now: make pictures")
    out = data[:8]
    for kind, content in chunks(data):
        if content in marks:
            continue
        for kind, content in ([(b"tEXt", wanted)] if kind == b"IEND" else []) + [(kind, content)]:
            out += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(out)


main()
