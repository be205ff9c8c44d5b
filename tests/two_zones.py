"""The site that most proofs and benchmarks are about, media inside and a player outside a firewall, and who runs wmlab there."""
import os

NOBODY = 65534
INTERFACES = ("inside", "outside")  # as the zones
PROBE_80 = "  - { id: one, type: probe, from: player, to: media, protocol: tcp, ports: [80] }\n"


def scenario(name, flows="", more="", interfaces=("fw-in", "fw-out"), hosts=""):
    """`more`: sections before the flows; `hosts`: lines besides the two."""
    return f"""version: 1
name: {name}
zones:
  inside:  {{ subnet: 10.10.0.0/24, interface: {interfaces[0]} }}
  outside: {{ subnet: 10.20.0.0/24, interface: {interfaces[1]} }}
hosts:
  media:  {{ zone: inside,  address: 10.10.0.10 }}
  player: {{ zone: outside, address: 10.20.0.10 }}
{hosts}{more}flows:
{flows}"""


def everyone():
    """Who a claim is tried as."""
    return ("root", "user") if os.getuid() == 0 else ("user",)


def become(who):
    """For subprocess.run(): as an ordinary user, where this is root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if who == "user" and os.getuid() == 0 else {}
