"""The commands that README.md, docs/**/*.md and the recipes of docs/ci tell people to type.

In Markdown they are the lines of blocks fenced as sh or console, and what stands in `backquotes` and begins with the name of a
program. In a recipe they are what the CI system runs."""
import pathlib
import re

import yaml

FENCES = {"sh", "console", "text", "yaml"}
OURS = ("wmlab", "server_sim", "client_sim", "encoder_sim")
PROGRAM = re.compile(
    "(sudo )?(" + "|".join(OURS) + r"|docker|docker-compose|kubectl|sysctl|modprobe|apt-get|cmake|cpack|git|ip|\./\S+|tests/\S+\.(sh|py))"
    r" (?!\S+,)\S"
)
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}(_[A-Z]+)?\b|\bN\b|\.\.\.|\[")  # `wmlab run --keep SCENARIO`: a form, not a command; so is `wmlab judge`


def tidy(command):
    command = re.sub(r"\s+#\s.*$", "", command)  # what a comment says about it
    return re.sub(r"\s+", " ", command).strip()


def joined(lines):
    """Lines with those that a backslash continues, each with the number of its first."""
    whole, start = "", 0
    for number, line in lines:
        start = start or number
        if line.rstrip().endswith("\\"):
            whole += line.rstrip()[:-1] + " "
            continue
        yield start, whole + line
        whole, start = "", 0


def markdown(path, problems):
    """Pairs of line number and command, and pairs of line number and form."""
    commands, forms = [], []
    language, block, text = None, [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = re.match(r"\s*```(.*)$", line)
        if fence and language is None:
            language, block = fence.group(1), []
            if language not in FENCES:
                problems.append(f"{path}:{number}: a block fenced as `{language}`: one of {', '.join(sorted(FENCES))} is needed")
        elif fence:
            if language == "sh":
                commands += [(n, tidy(c)) for n, c in joined(block) if c.strip() and not c.strip().startswith("#")]
            if language == "console":
                prompted = ((n, re.match(r"([a-z]*\$) +(.*)", c.strip())) for n, c in joined(block))
                commands += [(n, (m.group(1) + " " if m.group(1) != "$" else "") + tidy(m.group(2))) for n, m in prompted if m]
            language = None
        elif language is not None:
            block.append((number, line))
        else:
            if re.match(r" {4}[$./]", line):
                problems.append(f"{path}:{number}: an indented command: put it between ```sh and ```")
            text.append((number, line))
    for number, line in text:
        for span in re.findall(r"`([^`]+)`", line):
            if PROGRAM.match(span):
                (forms if PLACEHOLDER.search(span) or span.count(" ") == 1 else commands).append((number, tidy(span)))
    return commands, forms


def recipe(path):
    if path.name == "Jenkinsfile":
        text = path.read_text()
        for step in re.finditer(r"\bsh\s+('''(.*?)'''|'([^'\n]*)')", text, re.DOTALL):
            yield text[: step.start()].count("\n") + 1, tidy((step.group(2) or step.group(3)).replace("\\\n", " "))
        return

    def scripts(node, key=""):
        if isinstance(node, dict):
            for name, value in node.items():
                yield from scripts(value, name)
        elif isinstance(node, list):
            for value in node:
                yield from scripts(value, key)
        elif key in ("run", "script", "before_script", "after_script"):
            yield 0, tidy(str(node))

    yield from scripts(yaml.safe_load(path.read_text()))


def everything(source):
    """{command: where}, {form: where}, problems"""
    commands, forms, problems = {}, {}, []
    root = pathlib.Path(source)
    for path in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        for found, kept in zip(markdown(path, problems), (commands, forms)):
            for number, text in found:
                kept.setdefault(text, f"{path.relative_to(root)}:{number}")
    for path in sorted((root / "docs/ci").iterdir()):
        for number, text in recipe(path):
            commands.setdefault(text, f"{path.relative_to(root)}" + (f":{number}" if number else ""))
    return commands, forms, problems
