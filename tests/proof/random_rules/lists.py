"""Rulesets whose rules lack a value: of a set, a list, a range or a define, in all the ways in which such are written. A patch may put the value
there, where that opens nothing else: the set may be another rule's, too, and may take no ranges.
"""
import dataclasses
import re

from random_rules import lab_site

ZONES = lab_site.ZONES
HOSTS = {"media": ("inside", "10.10.0.10"), "second": ("inside", "10.10.0.11"), "third": ("inside", "10.10.0.20"), "player": ("outside", "10.20.0.10"),
         "guest": ("outside", "10.20.0.11"), "studio": ("outside", "10.20.0.12"), "far": ("outside", "10.20.0.40"), "relay": ("dmz", "10.30.0.10")}
PORTS = [22, 80, 443, 554, 1755, 1756, 1757, 3000, 3001, 3010, 5000, 7007, 8080]


@dataclasses.dataclass
class Wanted:
    """What a rule is to let through. The lists hold addresses and (first, last) ports."""
    protocol: str
    sources: list
    destinations: list
    ports: list
    interfaces: bool = False
    written: dict = None  # how a list is to be written, where not by chance: part -> text


def probes(rng, rules, foreign):
    """One for each way that a rule is there for, as far as there is room, and some that are to be stopped."""
    name = {address: host for host, (_, address) in HOSTS.items()}
    found, taken = [], set()
    for rule in rules:
        ways = [(s, d, first if rng.random() < 0.5 else last) for s in rule.sources for d in rule.destinations for first, last in rule.ports]
        rng.shuffle(ways)
        for source, destination, port in ways[:10]:
            if (rule.protocol, source, destination, port) not in taken:
                taken.add((rule.protocol, source, destination, port))
                found.append(lab_site.Probe(f"f{len(found)}", rule.protocol, name[source], name[destination], port))
    for protocol, source, destination, port in foreign:
        if (protocol, source, destination, port) not in taken and not any(
                r.protocol == protocol and source in r.sources and destination in r.destinations and any(a <= port <= b for a, b in r.ports) for r in rules):
            found.append(lab_site.Probe(f"n{len(found)}", protocol, name[source], name[destination], port))
    return found


def text_of(value):
    return value if isinstance(value, str) else str(value[0]) if value[0] == value[1] else f"{value[0]}-{value[1]}"


class Generator:
    def __init__(self, rng):
        self.rng, self.serial = rng, 0
        self.defines, self.sets, self.behind = [], [], []

    def chance(self, part):
        return self.rng.random() < part

    def name(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    def wanted(self):
        rng = self.rng
        zones = rng.sample(["inside", "outside", "outside", "dmz"], 2)
        while zones[0] == zones[1]:
            zones = rng.sample(["inside", "outside", "outside", "dmz"], 2)
        ends = [[address for zone, address in HOSTS.values() if zone == of] for of in zones]
        ports = [(port, port) for port in rng.sample(PORTS, rng.choice((1, 2, 2, 3)))]
        if self.chance(0.3):
            first = rng.choice((2000, 4000, 6000))
            ports.append((first, first + rng.choice((1, 10, 200))))
        pick = lambda end: rng.sample(end, min(len(end), rng.choice((1, 2, 2, 3))))
        return Wanted(rng.choice(("tcp", "tcp", "udp")), pick(ends[0]), pick(ends[1]), ports, self.chance(0.4))

    def generate(self, dialect):
        """(flows, ruleset text): what the rules were to let through, and rules that lack some of it."""
        rng = self.rng
        rules = [self.wanted() for _ in range(rng.randint(1, 3))]
        written = []
        for rule in rules:
            one = dataclasses.replace(rule, sources=list(rule.sources), destinations=list(rule.destinations), ports=list(rule.ports))
            for part in rng.sample(("sources", "destinations", "ports"), rng.choice((0, 1, 1, 1, 2))):
                values = getattr(one, part)
                if len(values) > 1:
                    values.remove(rng.choice(values))
                elif part == "ports" and values[0][1] > values[0][0]:  # a range that ends too early
                    values[0] = (values[0][0], values[0][1] - 1)
            written.append(one)
        if self.chance(0.35):  # nearly the same of another port: what is given to one is nothing for the other
            first = written[0]
            other = dataclasses.replace(first, ports=[(9000, 9000)], written={})
            rules.append(other)
            for part, prefix in (("sources", "hosts"), ("destinations", "servers")):
                if dialect == "nft" and self.chance(0.6):
                    first.written = first.written or {}
                    first.written[part] = other.written[part] = self.named(part, getattr(first, part))
            written.insert(rng.randint(0, 1), other)
        foreign = [(rng.choice(("tcp", "udp")), *self.two_zones(), rng.choice(PORTS)) for _ in range(2)]
        flows = probes(rng, rules, foreign)
        return flows, (self.nft if dialect == "nft" else self.iptables)(written)

    def two_zones(self):
        while True:
            one, two = self.rng.sample(sorted(HOSTS), 2)
            if HOSTS[one][0] != HOSTS[two][0]:
                return HOSTS[one][1], HOSTS[two][1]

    # --- nftables

    def braces(self, values, indent="    "):
        """The values, as they may be written between braces, on one line or on several."""
        rng, words = self.rng, [text_of(value) for value in values]
        style = rng.randrange(7)
        if style == 0:
            return "{" + ",".join(words) + "}"
        if style == 1:
            return "{ " + ", ".join(words) + ", }"
        if style == 2:
            return "{\n" + ",\n".join(f"{indent}  {word}" for word in words) + f"\n{indent}}}"
        if style == 3:
            return "{\n" + "\n".join(f"{indent}  {word},  # of old, {number}" for number, word in enumerate(words)) + f"\n{indent}}}"
        if style == 4:
            return "{ " + f",\n{indent}    ".join(words) + " }"
        return "{ " + ", ".join(words) + " }"

    def named(self, part, values):
        rng, ports = self.rng, part == "ports"
        ranges = any("-" in text_of(value) for value in values)
        kind = "inet_service" if ports else "ipv4_addr"
        if self.chance(0.3):
            name = self.name("PORTS" if ports else "HOSTS")
            self.defines.append(f"define {name} = {self.braces(values, '')}")
            return f"${name}"
        name = self.name("ports" if ports else rng.choice(("hosts", "friends-", "net_")))
        head = [f"type {kind}" if ports or self.chance(0.8) else "typeof ip saddr"]
        if ranges or self.chance(0.3):
            head.append("flags interval")
            if self.chance(0.3):
                head.append("auto-merge")
        if self.chance(0.15):
            head.append('comment "who may, and what"')
        style = rng.randrange(8)
        if style == 0:
            define = self.name("LIST")
            self.defines.append(f"define {define} = {self.braces(values, '')}")
            elements = f"elements = ${define}"
        elif style == 1:
            elements = ""
            self.behind.append(f"add element inet site {name} {self.braces(values, '')}")
        elif style == 2 and not ports:
            words = []
            for value in values:
                self.defines.append(f"define {self.name('HOST')} = {value}")
                words.append(f"$HOST{self.serial}")
            elements = f"elements = {self.braces(words)}"
        else:
            elements = f"elements = {self.braces(values)}"
        if self.chance(0.25) and "#" not in elements and "\n" not in elements:
            self.sets.append(f"  set {name} {{ {'; '.join(head + [elements] if elements else head)}; }}")
        else:
            self.sets.append("\n".join([f"  set {name} {{"] + [f"    {line}" for line in head + [elements] if line] + ["  }"]))
        return f"@{name}"

    def operand(self, rule, part):
        values = getattr(rule, part)
        if rule.written and part in rule.written:
            return rule.written[part]
        if len(values) == 1 and self.chance(0.6):
            if self.chance(0.3) and part != "ports":
                name = self.name("ONE")
                self.defines.append(f"define {name} = {values[0]}")
                return f"${name}"
            return text_of(values[0])
        return self.named(part, values) if self.chance(0.45) else self.braces(values, "      ")

    def nft(self, rules):
        rng, lines = self.rng, []
        for rule in rules:
            parts = []
            zone = {name: next(z for z, (_, net) in ZONES.items() if end[0].startswith(net + ".")) for name, end in (("iifname", rule.sources), ("oifname", rule.destinations))}
            if rule.interfaces:
                parts += [f'{key} "{ZONES[zone[key]][0]}"' for key in rng.choice((["iifname"], ["iifname", "oifname"]))]
            ends = [f"ip saddr {self.operand(rule, 'sources')}", f"ip daddr {self.operand(rule, 'destinations')}"]
            ports = f"{rule.protocol} dport {self.operand(rule, 'ports')}"
            parts += ends + [ports] if self.chance(0.8) else [ports] + ends
            if self.chance(0.15):
                parts.insert(0, "ct state new")
            if self.chance(0.25):
                parts.append(rng.choice(("counter", 'log prefix "stream, ok "', "counter packets 0 bytes 0")))
            end = "accept" + (' comment "dport, of { old }"' if self.chance(0.15) else "")
            lines.append("    " + " ".join(parts + [end]) + ("  # see above" if self.chance(0.15) else ""))
        chain = []
        if self.chance(0.3):
            zone = "outside"
            chain = ["  chain streams {"] + lines + ["  }"]
            lines = ["    jump streams"]
        last = rng.choice(([], [], ["    counter drop"], ['    log prefix "stopped "', "    drop"], ["    reject with icmp type admin-prohibited"]))
        text = [line for line in self.defines] + ["table inet site {"] + self.sets + chain
        text += ["  chain forward {", "    type filter hook forward priority filter; policy drop;", "    ct state established,related accept"] + lines + last + ["  }", "}"]
        return "\n".join(text + self.behind) + "\n"

    # --- iptables

    def iptables(self, rules):
        rng, lines = self.rng, []
        for rule in rules:
            ends = [(s, d) for s in rule.sources for d in rule.destinations]
            if self.chance(0.35):
                ends = [(",".join(rule.sources), ",".join(rule.destinations))]
            words = [text_of(value).replace("-", ":") for value in rule.ports]
            lists = [words] if len(words) > 1 or self.chance(0.2) else []
            for source, destination in ends:
                head = f"-A FORWARD -s {source} -d {destination}" if "," in source + destination else f"-A FORWARD -s {source}/32 -d {destination}/32"
                if rule.interfaces:
                    zone = next(z for z, (_, net) in ZONES.items() if rule.sources[0].startswith(net + "."))
                    head += f" -i {ZONES[zone][0]}"
                for words_of_one in lists or [[word] for word in words]:
                    ports = (f"-m multiport --dports {','.join(words_of_one)}" if lists else
                             f"{'-m ' + rule.protocol + ' ' if self.chance(0.7) else ''}--dport {words_of_one[0]}")
                    more = rng.choice(("", "", "", " -m conntrack --ctstate NEW", ' -m comment --comment "ports, of old"'))
                    lines.append(f"{head} -p {rule.protocol} {ports}{more} -j ACCEPT")
        last = rng.choice(([], ["-A FORWARD -j DROP"], ['-A FORWARD -j LOG --log-prefix "stopped "'], ["-A FORWARD -j REJECT --reject-with icmp-admin-prohibited"]))
        return "\n".join(["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]
                         + lines + last + ["COMMIT"]) + "\n"


def ports_in(text):
    """Every port that the ruleset speaks of, and its neighbours."""
    found = set()
    for word in re.findall(r"(?<![\d./])\d{1,5}(?![\d.])", text):
        if 0 < int(word) < 65535:
            found.update((int(word) - 1, int(word), int(word) + 1))
    return sorted(found - {0})
