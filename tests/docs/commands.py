#!/usr/bin/python3
"""Every command in README.md and docs is run.   commands.py BIN SOURCE [STORY...]

The stories type the commands; what is documented and typed by none is an error, and the other way round. Of forms
(`wmlab run --keep SCENARIO`) the options are looked up in the program's --help."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import extract

bin_dir, source = (os.path.abspath(argument) for argument in sys.argv[1:3])
stories = sorted((pathlib.Path(__file__).resolve().parent / "stories").glob("*.sh"))
stories = [story for story in stories if len(sys.argv) < 4 or story.stem in sys.argv[3:]]
commands, forms, problems = extract.everything(source)


def tell(story):
    with tempfile.NamedTemporaryFile("r") as typed:
        os.chmod(typed.name, 0o666)
        try:
            ran = subprocess.run([story, bin_dir, source], env=dict(os.environ, TYPED=typed.name), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=200)
            return story, ran.returncode, ran.stdout, set(typed.read().splitlines())
        except subprocess.TimeoutExpired as late:
            return story, "no end", (late.stdout or b"").decode(errors="replace"), set(typed.read().splitlines())


def unknown(form):
    """What a form names and the program's --help does not."""
    words = form.removeprefix("sudo ").split()
    if words[0] not in extract.OURS:
        if words[0].startswith("tests/") and not os.access(os.path.join(source, words[0]), os.X_OK):
            yield words[0]
        return
    subcommand = words[1:2] if words[0] == "wmlab" and words[1].isalpha() and words[1].islower() else []
    text = subprocess.run([os.path.join(bin_dir, words[0]), *subcommand, "--help"], capture_output=True, text=True)
    if text.returncode != 0:
        yield " ".join(words[:2])
    yield from (option for option in re.findall(r"(?<= )--[a-z][a-z-]*", form.split(" -- ")[0].split("'")[0])
                if not re.search(re.escape(option) + r"\b", text.stdout))


with concurrent.futures.ThreadPoolExecutor(len(stories)) as pool:
    told = list(pool.map(tell, stories))
typed = set().union(*(set(one[3]) for one in told))
for story, code, output, _ in told:
    print(f"-- {story.stem}\n{output}", end="")
    if code != 0:
        problems.append(f"story {story.stem}: exit code {code}")
if len(sys.argv) < 4:
    problems += [f"{where}: no story types `{command}`" for command, where in commands.items() if command not in typed]
problems += [f"a story types `{command}`, which is not documented" for command in sorted(typed - set(commands) - set(forms))]
problems += [f"{where}: `{form}`: no {name}" for form, where in forms.items() for name in unknown(form)]
print(f"-- {len(commands)} commands, {len(forms)} forms")
for problem in problems:
    print("WRONG", problem)
sys.exit(1 if problems else 0)
