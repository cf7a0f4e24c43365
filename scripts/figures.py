"""Puts the tables that `cargo bench` printed, on standard input, into docs/performance.md between its markers."""

import re
import sys

figures = sys.stdin.read().strip()
with open("docs/performance.md", encoding="utf-8") as file:
    text = file.read()
begin, end = "<!-- figures: make bench -->", "<!-- end of figures -->"
text = re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: f"{begin}\n\n{figures}\n\n{end}", text, flags=re.S)
with open("docs/performance.md", "w", encoding="utf-8") as file:
    file.write(text)
