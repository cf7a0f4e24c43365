"""Draws what `scripts/demo` prints, on standard input, as a picture of a terminal, on standard output: docs/demo.svg.

The output is the demo's own. Only what differs from run to run gets a fixed value (time, process numbers, the temporary
directory), so that a picture changes only when the product does. Long lines are wrapped.
"""
import html
import re
import sys
import textwrap

WIDTH, LINE, LEFT, TOP = 104, 19, 16, 46
COLOURS = {"WENT AHEAD": "#e5c07b", "BLOCKED": "#e06c75"}
# Of each part of the demo, the pages that show most, and of the events the first.
PAGES = ("/index.php", "do=shell", "do=connect", "do=static")


def lines(text):
    """The lines of the picture: the headings, some pages, and the first two events of each part."""
    events = 0
    keep = False
    for line in text.splitlines():
        if line.startswith("\033[1m"):
            events = 0
            yield ""
            yield line.replace("\033[1m", "").replace("\033[0m", "")
        elif line.startswith("  shop.example") and any(page in line for page in PAGES):
            yield line
        elif re.match(r"\d{4}-\d\d-\d\d ", line):
            events += 1
            keep = events <= 2
            if keep:
                yield re.sub(r"^\S+ \S+", "2026-11-28 14:03:07", line)
        elif line.startswith("    ") and keep:
            yield re.sub(r"/tmp/portcullis-demo-\w+", "/srv", re.sub(r"pid \d+", "pid 1734", line))
        elif line.startswith("In audit "):
            yield ""
            yield line


def wrapped(line):
    """The line in pieces that fit into the picture, the later ones indented as the first and by four columns more."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, drop_whitespace=False) if len(line) > WIDTH else [line]


def row(number, line):
    """One line of text, with the verdict in its colour."""
    is_heading = line.startswith(("$", "In audit:", "In enforce,", "Events"))
    text = html.escape(line)
    for word, colour in COLOURS.items():
        text = text.replace(f" {word} ", f' <tspan fill="{colour}" font-weight="bold">{word}</tspan> ')
    style = ' font-weight="bold" fill="#ffffff"' if is_heading else ""
    return f'<text x="{LEFT}" y="{TOP + LINE * number}"{style} xml:space="preserve">{text}</text>'


def main():
    shown = [piece for line in ["$ make demo", *lines(sys.stdin.read())] for piece in wrapped(line)]
    if sum(" BLOCKED " in line for line in shown) != 2:
        sys.exit("picture: this is not the demo's output")
    width, height = LEFT * 2 + round(WIDTH * 8.43), TOP + LINE * len(shown)
    dots = "".join(f'<circle cx="{20 + 20 * i}" cy="16" r="6" fill="{c}"/>' for i, c in enumerate(("#e06c75", "#e5c07b", "#98c379")))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">\n'
        "<title>The output of make demo: in audit a shell and a connection are logged, in enforce they are blocked</title>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>\n{dots}\n'
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#abb2bf">\n'
    )
    svg += "\n".join(row(number, line) for number, line in enumerate(shown) if line) + "\n</g>\n</svg>\n"
    sys.stdout.buffer.write(svg.encode())


main()
