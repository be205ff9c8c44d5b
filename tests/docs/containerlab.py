"""Does what containerlab does with lab/wmlab.clab.yml, with namespaces for containers.   containerlab.py NODES deploy|destroy -t FILE

It knows the keys that the file uses, by containerlab's published schema (schemas/clab.schema.json of srl-labs/containerlab, commit
39ff2b7 of August 2026, with which the file agrees), and refuses all others. NODES/clab-LAB-NODE has a node's process id."""
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import yaml

NODE = {"kind", "image", "network-mode", "entrypoint", "cmd", "binds", "exec"}
nodes, action, topology = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[4])
lab = yaml.safe_load(topology.read_text())


def only(keys, known, where):
    unknown = set(keys) - known
    if unknown:
        sys.exit(f"{where}: {', '.join(sorted(unknown))}")


def inside(name, command):
    ran = subprocess.run(["nsenter", "--target", (nodes / name).read_text(), "--net", "--mount", "--", *command], capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{name}: {command}: {ran.stderr}")


only(lab, {"name", "topology"}, "the file")
only(lab["topology"], {"kinds", "nodes", "links"}, "topology")
if action == "destroy":
    for node in nodes.iterdir():
        os.kill(int(node.read_text()), signal.SIGKILL)
    sys.exit()

nodes.mkdir()
for name, node in lab["topology"]["nodes"].items():
    settings = lab["topology"]["kinds"][node["kind"]] | node
    only(settings, NODE, name)
    if settings["network-mode"] != "none" or settings["kind"] != "linux":
        sys.exit(f"{name}: {settings}")
    child = subprocess.Popen(["unshare", "--net", "--mount", "sleep", "100000"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while os.readlink(f"/proc/{child.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
        time.sleep(0.01)
    name = f"clab-{lab['name']}-{name}"
    (nodes / name).write_text(str(child.pid))
    inside(name, ["mount", "-t", "sysfs", "none", "/sys"])
    inside(name, ["ip", "link", "set", "lo", "up"])
    for bind in settings.get("binds", ()):
        file, target, _ = bind.split(":")
        # The root of a container is its own; here one file of it is.
        inside(name, ["sh", "-c", 'mount -t tmpfs none /mnt && cp "$0" "/mnt$1"', str((topology.parent / file).resolve()), target])
for link in lab["topology"]["links"]:
    only(link, {"endpoints"}, "a link")
    ends = [end.split(":") for end in link["endpoints"]]
    pids = [(nodes / f"clab-{lab['name']}-{end[0]}").read_text() for end in ends]
    inside(f"clab-{lab['name']}-{ends[0][0]}", ["ip", "link", "add", ends[0][1], "type", "veth", "peer", "name", ends[1][1], "netns", pids[1]])
    for end in ends:
        inside(f"clab-{lab['name']}-{end[0]}", ["ip", "link", "set", end[1], "up"])
for name, node in lab["topology"]["nodes"].items():
    for command in node.get("exec", ()):
        words = shlex.split(command)
        words = ["/mnt/ruleset" if word == "/ruleset" else word for word in words]
        inside(f"clab-{lab['name']}-{name}", words)
