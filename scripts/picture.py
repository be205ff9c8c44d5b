#!/usr/bin/env python3
"""Draws the picture of README.md: a real report of a real run, as a terminal shows it.   picture.py BIN [--check FILE] > docs/pictures/report.svg

The ruleset is scenarios/rules/kb189416.nft without the line that lets the media through. What a report says of the machine and of single
retries is left out. --check: FILE shows the same report as
a run does now, numbers aside; exit 1 where it does not."""
import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

SOURCE = pathlib.Path(__file__).resolve().parent.parent
COLUMNS, FONT, WIDTH, HEIGHT, MARGIN = 88, 14, 8.43, 20, 16
COLOURS = {"31": "#f97583", "32": "#85e89d", "33": "#ffd33d", "36": "#79b8ff", "2": "#9aa4b0"}
TEXT, GROUND = "#e6edf3", "#0d1117"


def report(bin_dir):
    """What the command prints on a terminal of so many columns."""
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        (directory / "site.nft").write_text("".join(line for line in (SOURCE / "scenarios/rules/kb189416.nft").read_text().splitlines(True)
                                                    if "MMS over UDP: media" not in line))
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, COLUMNS, 0, 0))
        command = [os.path.join(os.path.abspath(bin_dir), "wmlab"), "run", str(SOURCE / "scenarios/kb189416.yaml"), "--ruleset", "site.nft",
                   "--only", "unicast-*p"]
        environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
                                   env=environment | {"TERM": "xterm-256color"})
        os.close(theirs)
        text = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            if not more:
                break
            text += more
        assert process.wait() in (0, 1), process.returncode
        return text.decode().replace("\r", "").strip("\n").split("\n")


def pieces(line):
    """Pairs of style and words."""
    style = ()
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            codes = [code for code in part[2:-1].split(";") if code not in ("", "0")]
            style = tuple(codes) if codes else ()
        elif part:
            yield style, part


def plain(lines):
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines]


def without_the_machine(lines):
    kept, skips = [], False
    for line, words in zip(lines, plain(lines)):
        if re.match(r"\d{4}-\d\d-\d\dT", words) or words == "notes":
            skips = True
        elif not words:
            skips = False
        if not skips and (line.strip() or kept[-1].strip()):
            kept.append(line)
    return kept


def draw(lines):
    lines = without_the_machine(lines)
    command = "$ wmlab run scenarios/kb189416.yaml --ruleset site.nft --only 'unicast-*p'"
    lines = [f"\x1b[36m{command}\x1b[0m", *lines]
    width, height = round(COLUMNS * WIDTH + 2 * MARGIN), len(lines) * HEIGHT + 2 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
           f'aria-labelledby="t" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="{FONT}">',
           f'<title id="t">{html.escape("The report of a run: " + "; ".join(" ".join(line.split()) for line in plain(lines) if line.strip())[:400])}</title>',
           f'<rect width="{width}" height="{height}" rx="8" fill="{GROUND}"/>']
    for number, line in enumerate(lines):
        spans, column = "", 0
        for style, words in pieces(line):
            if words.strip():
                colour = next((COLOURS[code] for code in style if code in COLOURS), TEXT)
                lead = len(words) - len(words.lstrip())
                bold = ' font-weight="bold"' if "1" in style else ""
                spans += (f'<tspan x="{MARGIN + (column + lead) * WIDTH:.1f}" textLength="{len(words.strip()) * WIDTH:.1f}" fill="{colour}"{bold}>'
                          f"{html.escape(words.strip())}</tspan>")
            column += len(words)
        if spans:
            out.append(f'<text y="{MARGIN + (number + 1) * HEIGHT - 5}" xml:space="preserve">{spans}</text>')
    return "\n".join([*out, "</svg>", ""])


def words_of(svg):
    """The picture's text, numbers and times aside."""
    spans = re.findall(r"<tspan[^>]*>([^<]*)</tspan>", svg)
    # How often what is lost is sent is a matter of time: until the trace of its loss has been read.
    return re.sub(r"sent (once|N times)", "sent N times", re.sub(r"\d+(\.\d+)?", "N", " ".join(html.unescape(span) for span in spans)))


def main():
    svg = draw(report(sys.argv[1]))
    if len(sys.argv) < 4:
        sys.stdout.write(svg)
        return
    kept = pathlib.Path(sys.argv[3]).read_text()
    if words_of(kept) != words_of(svg):
        sys.exit(f"{sys.argv[3]} shows\n{words_of(kept)}\nand a run says now\n{words_of(svg)}\n"
                 f"picture.py {sys.argv[1]} > {sys.argv[3]} draws it anew")


main()
