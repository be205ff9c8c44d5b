"""The site that random rulesets stand in: zones, hosts, probes, and what all dialects' generators share."""
import dataclasses
import typing

ZONES = {"inside": ("inside", "10.10.0"), "outside": ("outside", "10.20.0"), "dmz": ("dmz", "10.30.0")}
HOSTS = {"media": ("inside", "10.10.0.10"), "second": ("inside", "10.10.0.11"), "player": ("outside", "10.20.0.10"), "studio": ("outside", "10.20.0.12"),
         "relay": ("dmz", "10.30.0.10")}
NOWHERE = ["10.10.0.250", "10.20.0.250", "10.30.0.250"]
PORTS = [22, 80, 135, 443, 1023, 1024, 1025, 1755, 3000, 3001, 3010, 3011, 5000, 5001, 7007, 8080]
RANGES = [(1, 1023), (1024, 5000), (3001, 3010), (80, 443), (1024, 65535), (5001, 8080), (1755, 1755), (32768, 60999)]


@dataclasses.dataclass
class Probe:
    id: str
    protocol: str
    source: str  # hosts
    destination: str
    port: int


def probes(rng, count=15):
    found, taken = [], set()
    while len(found) < count:
        source, destination = rng.sample(sorted(HOSTS), 2)
        protocol, port = rng.choice(("tcp", "tcp", "udp")), rng.choice(PORTS)
        if HOSTS[source][0] == HOSTS[destination][0] or (destination, protocol, port) in taken:
            continue
        taken.add((destination, protocol, port))
        found.append(Probe(f"f{len(found)}", protocol, source, destination, port))
    return found


def scenario(flows):
    lines = ["version: 1", "name: random", "zones:"]
    lines += [f"  {zone}: {{ subnet: {net}.0/24, interface: {interface} }}" for zone, (interface, net) in ZONES.items()]
    lines += ["hosts:"] + [f"  {host}: {{ zone: {zone}, address: {address} }}" for host, (zone, address) in HOSTS.items()]
    lines += ["defaults: { deadline: 400ms }", "flows:"]
    lines += [f"  - {{ id: {p.id}, type: probe, from: {p.source}, to: {p.destination}, protocol: {p.protocol}, ports: {p.port} }}" for p in flows]
    return "\n".join(lines) + "\n"


def packets(flows):
    """The packets that rules may be about: there, and back."""
    found = []
    for p in flows:
        (zone, address), (far_zone, far) = HOSTS[p.source], HOSTS[p.destination]
        there = {"in": ZONES[zone][0], "out": ZONES[far_zone][0], "saddr": address, "daddr": far, "proto": p.protocol, "sport": 40000, "dport": p.port, "state": "new"}
        back = {"in": there["out"], "out": there["in"], "saddr": far, "daddr": address, "proto": p.protocol, "sport": p.port, "dport": 40000, "state": "established"}
        found += [there, there, back]
    return found


def number(address):
    a, b, c, d = map(int, address.split("."))
    return a << 24 | b << 16 | c << 8 | d


def address(value):
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


@dataclasses.dataclass
class Match:
    """A condition: as it is written, and whether a packet fulfils it (None: it is not known here)."""
    text: str
    holds: typing.Callable[[dict], typing.Optional[bool]]


@dataclasses.dataclass
class Rule:
    matches: list
    verdict: str  # as it is written, with statements before it
    kind: str  # accept, drop, reject, jump, goto, return, none, nat, vmap
    alternatives: list = None  # of a verdict map: (condition, verdict as written, kind)
    line: int = 0
    block: int = 0  # the line that opens the nameless chain it is in
    inline: object = None  # the chain it jumps to, if that has no name
    named: str = None  # its verdict map, if that has a name


@dataclasses.dataclass
class Base:
    """A base chain: packets enter it by a hook."""
    id: str
    hook: str
    priority: int
    policy: str
    type: str = "filter"
    policy_line: int = 0  # None: it is not written


@dataclasses.dataclass
class Ruleset:
    dialect: str
    text: str  # the file for wmlab
    counted: str  # the same with counters, and comments that name lines, for the oracle
    translating: str  # of that, the tables that only translate
    rules: dict  # line -> (rule, base)
    bases: list

    def in_hook(self, hook, type_="filter"):
        return sorted((base for base in self.bases if base.hook == hook and base.type == type_), key=lambda base: base.priority)
