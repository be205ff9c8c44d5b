"""Random rulesets in the nftables language."""
import re

from random_rules.lab_site import *

REJECTS = ["reject", "reject with icmp type net-unreachable", "reject with icmp type host-unreachable", "reject with icmp type port-unreachable",
           "reject with icmp type admin-prohibited", "reject with icmp type host-prohibited", "reject with icmpx type port-unreachable", "reject with icmpx type admin-prohibited",
           "reject with tcp reset"]


class Table:
    def __init__(self, family, name):
        self.family, self.name, self.sets, self.maps, self.chains = family, name, [], [], []


class Chain:
    def __init__(self, name, base, rules, is_base):
        self.name, self.base, self.rules, self.is_base = name, base, rules, is_base
        self.inline = False  # written without a name where it is jumped to


def tracked(base):
    return not (base.hook == "prerouting" and base.priority == -300)


class Generator:
    def __init__(self, rng, flows):
        self.rng, self.packets = rng, packets(flows)
        self.tables, self.bases, self.serial, self.marks = [], [], 0, []
        self.flat = self.chance(0.2)  # commands, not blocks
        self.definitions = {}

    def chance(self, part):
        return self.rng.random() < part

    def name(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    def generate(self):
        rng = self.rng
        priorities = rng.sample([-150, -10, 0, 5, 20, 100], rng.choice((1, 1, 2, 3)))
        for index, priority in enumerate(priorities):
            table = Table(rng.choice(("inet", "inet", "ip")), self.name("filter"))
            self.tables.append(table)
            strict = index == 0 and self.chance(0.6) or self.chance(0.15)
            self.base(table, "forward", priority, "drop" if strict else "accept", rng.randint(3, 12) if index == 0 else rng.randint(1, 5))
        for hook, priority, part in (("prerouting", rng.choice((-300, -150, -90)), 0.35), ("postrouting", rng.choice((-10, 50, 150)), 0.25), ("input", 0, 0.25), ("output", 0, 0.1)):
            if self.chance(part):
                table = rng.choice(self.tables)
                self.base(table, hook, priority, "drop" if self.chance(0.12) else "accept", rng.randint(1, 4))
        if self.chance(0.35):
            table = Table("ip", self.name("nat"))
            self.tables.append(table)
            if self.chance(0.7):
                self.base(table, "prerouting", -100, "accept", rng.randint(1, 3), "nat")
            if self.chance(0.6):
                self.base(table, "postrouting", 100, "accept", rng.randint(1, 2), "nat")
        return self.write()

    # --- chains

    def base(self, table, hook, priority, policy, count, type_="filter"):
        base = Base(f"{table.family}/{table.name}/{hook}", hook, priority, policy, type_)
        self.bases.append(base)
        chain = Chain(hook, base, [], True)
        if type_ == "nat":
            chain.rules = [self.nat_rule(table, hook) for _ in range(count)]
        else:
            if hook == "forward" and self.chance(0.25):
                chain.rules += self.late_rules(table, base)
            elif hook == "forward" and self.chance(0.65):
                chain.rules += self.answers_rules(table, base)
            self.fill(table, chain, count, 0)
            if self.chance(0.2):
                verdict = self.rng.choice(["drop", "counter drop", "log prefix \"end \" drop", "accept"] + (["reject"] if hook == "forward" else []))
                chain.rules.append(Rule([], verdict, next(kind for kind in ("accept", "drop", "reject") if kind in verdict)))
        table.chains.append(chain)

    def user_chain(self, table, base, depth):
        chain = Chain(self.name("chain"), base, [], False)
        self.fill(table, chain, self.rng.randint(1, 4), depth + 1)
        if self.chance(0.25):
            chain.rules.append(Rule([], self.rng.choice(("drop", "accept", "reject" if base.hook == "forward" else "drop")), ""))
            chain.rules[-1].kind = chain.rules[-1].verdict
        table.chains.append(chain)
        return chain

    def fill(self, table, chain, count, depth):
        for _ in range(count):
            if self.chance(0.1):
                chain.rules.append(self.verdict_map(table, chain.base, depth))
            else:
                chain.rules.append(self.rule(table, chain.base, depth))

    def late_rules(self, table, base):
        """Connections begin; what comes then is another matter."""
        rng, found = self.rng, [Rule([Match("ct state new", lambda p: p["state"] == "new" if p.get("state") else None)], "accept", "accept")]
        for _ in range(rng.randint(0, 3)):
            target = rng.choice([p for p in self.packets if p["proto"] == "tcp"])
            matches = [Match(rng.choice(("tcp flags & psh == psh", "tcp flags & (syn | ack) == ack", "ct state established", "tcp flags & syn == syn")), lambda p: None)]
            matches += [match for match in (self.match_address(table, base, target), self.match_interface(table, base, target)) if self.chance(0.4)]
            kind = rng.choice(("drop", "reject", "accept", "drop"))
            verdict = kind if kind != "reject" else rng.choice(("reject", "reject with tcp reset", "reject with icmp type admin-prohibited"))
            if "tcp reset" in verdict:
                matches.insert(0, Match("meta l4proto tcp", lambda p: p["proto"] == "tcp"))
            found.append(Rule(matches, verdict, kind))
        return found

    def answers_rules(self, table, base):
        def state(text, states):
            return Rule([Match(text, lambda p: p["state"] in states if p.get("state") else None)], "accept", "accept")
        style = self.rng.randrange(6)
        if style == 0:
            return [Rule([], "", "vmap", [(Match("ct state established", lambda p: None), "accept", "accept"), (Match("ct state related", lambda p: None), "accept", "accept"),
                                          (Match("ct state invalid", lambda p: None), "drop", "drop")])]
        if style == 1:
            return [Rule([Match("ct state invalid", lambda p: False if p.get("state") else None)], "drop", "drop"), state("ct state { established, related }", ("established",))]
        if style == 2:
            return [state("ct state established", ("established",))]
        if style == 3:
            return [Rule([Match("ct direction reply", lambda p: None)], "accept", "accept")]  # the answers only
        if style == 4:
            return [state("ct state != new", ("established",))]
        return [state("ct state established,related", ("established",))]

    # --- rules

    def rule(self, table, base, depth):
        rng = self.rng
        target = rng.choice(self.packets)
        matches = self.matches(table, base, target, rng.choice((0, 1, 1, 2, 2, 3, 3, 4)) if self.chance(0.5) else rng.randint(1, 3))
        statements = []
        if self.chance(0.15):
            statements.append(rng.choice(("counter", "log prefix \"wmlab \"", "counter log level info")))
        if self.chance(0.06):
            matches.append(Match("limit rate 10000/second burst 5000 packets", lambda p: True))
        elif self.chance(0.05):
            matches.append(Match("limit rate over 10000/second burst 5000 packets", lambda p: False))
        if not matches:
            kind = rng.choice(("none", "none", "jump" if depth < 3 else "none", "mark", "return") if self.chance(0.9) else ("accept", "drop"))
        elif base.hook == "prerouting" and base.priority == -300 and self.chance(0.3):
            kind = "notrack"
        else:
            kind = rng.choices(("accept", "drop", "reject", "jump", "goto", "return", "none", "mark"),
                               (40 if base.policy == "drop" else 18, 14, 10 if base.hook in ("forward", "input", "output") else 0, 12 if depth < 3 else 0, 6 if depth < 3 else 0, 4, 5, 4))[0]
        verdict = kind
        if kind == "reject":
            verdict = rng.choice([one for one in REJECTS if table.family == "inet" or "icmpx" not in one])
            if verdict == "reject with tcp reset":
                matches = [match for match in matches if self.protocol_in(match) != "udp" and "l4proto" not in match.text and "ip protocol" not in match.text]
                matches.insert(0, Match("meta l4proto tcp", lambda p: p["proto"] == "tcp"))
        elif kind in ("jump", "goto"):
            chain = self.user_chain(table, base, depth)
            verdict = f"{kind} {chain.name}"
            chain.inline = not self.flat and self.chance(0.15) and not any(rule.inline for rule in chain.rules)  # nft reads few levels
            rule = Rule(matches, " ".join(statements + [verdict]), kind)
            rule.inline = chain if chain.inline else None
            return rule
        elif kind == "mark":
            mark = rng.choice((1, 2, 0x10))
            where = "ct" if self.chance(0.3) and tracked(base) else "meta"
            self.marks.append((where, mark))
            verdict, kind = f"{where} mark set {mark:#x}" + (" accept" if self.chance(0.1) else ""), "none"
            kind = "accept" if "accept" in verdict else kind
        elif kind == "notrack":
            kind = "none"
        elif kind == "none":
            verdict = ""
            statements = statements or ["counter"]
        return Rule(matches, " ".join(statements + [verdict]).strip(), kind)

    def verdict_map(self, table, base, depth):
        rng = self.rng
        target = rng.choice(self.packets)

        def verdict():
            kind = rng.choice(("accept", "drop", "accept", "return", "jump" if depth < 3 else "drop", "goto" if depth < 3 else "drop"))
            return (f"{kind} {self.user_chain(table, base, depth).name}" if kind in ("jump", "goto") else kind), kind
        style = rng.randrange(4)
        if style == 0:
            keys = [f"tcp dport {value}" for value in rng.sample(["80", "443", "1024-1755", "3001-3010", "5000", "7007", "22-23"], rng.randint(1, 4))]
            if self.chance(0.3):
                keys = [key.replace("tcp", "udp") for key in keys]
        elif style == 1:
            keys = [f"ip saddr {value}" for value in rng.sample(["10.10.0.10", "10.10.0.11", "10.20.0.0/28", "10.30.0.10"], rng.randint(1, 3))]
        elif style == 2 and base.hook == "forward":
            ways = [f'"{a}" . "{b}"' for a in ("inside", "outside", "dmz") for b in ("inside", "outside", "dmz") if a != b]
            keys = [f"iifname . oifname {value}" for value in rng.sample(ways, rng.randint(1, 4))]
        else:
            keys = [f"ip daddr . tcp dport {address_} . {port}" for address_ in {target["daddr"], "10.10.0.10"} for port in rng.sample(PORTS, 2) + [target["dport"]]]
            keys = list(dict.fromkeys(keys))
        alternatives = []
        for key in keys:
            text, kind = verdict()
            alternatives.append((Match(key, lambda p: None), text, kind))
        key_type = {0: "inet_service", 1: "ipv4_addr"}.get(style)
        named = self.name("map") if key_type and self.chance(0.3) else None
        if named:
            elements = ", ".join(f"{match.text.split(' ')[2]} : {text}" for match, text, _ in alternatives)
            flags = "flags interval" if "-" in elements or "/" in elements else None
            table.maps.append((named, f"type {key_type} : verdict", flags, f"elements = {{ {elements} }}"))
        before = self.matches(table, base, target, 1) if self.chance(0.3) else []
        rule = Rule([match for match in before if not self.protocol_in(match)], "", "vmap", alternatives)
        rule.named = named
        return rule

    def matches(self, table, base, target, count):
        makers = [self.match_interface, self.match_address, self.match_port, self.match_address, self.match_port, self.match_protocol, self.match_other]
        found, used = [], set()
        while len(found) < count:
            maker = self.rng.choice(makers)
            if maker in used and maker != self.match_address:
                count -= 1
                continue
            used.add(maker)
            match = maker(table, base, target if self.chance(0.8) else self.rng.choice(self.packets))
            if match:
                found.append(match)
        # One transport protocol in a rule: nft refuses two.
        protocols = [self.protocol_in(match) for match in found]
        first = next(filter(None, protocols), None)
        found = [match for match, protocol in zip(found, protocols) if protocol in (first, None)]
        names = [m.text.split(" ")[:2] for m in found]
        return [m for i, m in enumerate(found) if names[i] not in names[:i]]

    @staticmethod
    def protocol_in(match):
        if "{ tcp, udp }" in match.text:
            return "both"
        return next((protocol for protocol in ("tcp", "udp") if protocol in match.text), None)

    def match_interface(self, table, base, target):
        rng = self.rng
        way = "in" if base.hook in ("prerouting", "input") or (base.hook == "forward" and self.chance(0.55)) else "out"
        if base.hook == "output":
            way = "out"
        if base.hook == "postrouting":
            way = "out"
        right = target[way]
        others = [name for name in ("inside", "outside", "dmz") if name != right]
        key = rng.choice(("iifname", "iifname", "iif") if way == "in" else ("oifname", "oifname", "oif"))
        style = rng.randrange(7)
        if style < 4:
            return Match(f'{key} "{right}"', lambda p: p[way] == right)
        if style == 4:
            return Match(f'{key} != "{others[0]}"', lambda p: p[way] != others[0])
        if style == 5:
            return Match(f'{key} {{ "{right}", "{others[0]}" }}', lambda p: p[way] in (right, others[0]))
        return Match(f'{key[:1]}ifname "{right[:2]}*"', lambda p: p[way][:2] == right[:2])

    def match_address(self, table, base, target):
        rng = self.rng
        key = rng.choice(("saddr", "daddr"))
        right = target[key]
        other = rng.choice([a for _, a in HOSTS.values() if a != right])
        value = number(right)
        style = rng.randrange(12)
        if style == 10:
            return Match(f"ip {key} & 255.255.255.0 == {address(value & ~255)}", lambda p: number(p[key]) & ~255 == value & ~255)
        if style == 11 and not self.flat:
            name = self.name("ADDRESS")
            self.definitions[name] = rng.choice((right, other))
            return Match(f"ip {key} ${name}", lambda p: None)
        if style < 3:
            return Match(f"ip {key} {right}", lambda p: p[key] == right)
        if style == 3:
            length = rng.choice((8, 16, 24, 28, 31))
            mask = 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF
            return Match(f"ip {key} {address(value & mask)}/{length}", lambda p: number(p[key]) & mask == value & mask)
        if style == 4:
            first, last = value - rng.choice((0, 1, 5)), value + rng.choice((0, 1, 20)) + 1
            return Match(f"ip {key} {address(first)}-{address(last)}", lambda p: first <= number(p[key]) <= last)
        if style == 5:
            return Match(f"ip {key} {{ {right}, {other} }}", lambda p: p[key] in (right, other))
        if style == 6:
            return Match(f"ip {key} != {other}", lambda p: p[key] != other)
        if style == 7:
            return Match(f"ip {key} != {{ {other}, 192.0.2.0/24 }}", lambda p: p[key] != other)
        name = self.name("hosts")
        members = rng.sample([a for _, a in HOSTS.values()], 2) if self.chance(0.5) else [right, other]
        if self.chance(0.3) and number(members[0]) & ~3 != number(members[1]) & ~3:
            table.sets.append((name, "type ipv4_addr", "flags interval", f"elements = {{ {members[0]}, {address(number(members[1]) & ~3)}/30, 192.0.2.1-192.0.2.9 }}"))
            return Match(f"ip {key} @{name}", lambda p: p[key] == members[0] or number(p[key]) & ~3 == number(members[1]) & ~3)
        table.sets.append((name, "type ipv4_addr", None, f"elements = {{ {', '.join(members)} }}"))
        negated = self.chance(0.2)
        return Match(f"ip {key} {'!= ' if negated else ''}@{name}", lambda p: (p[key] in members) != negated)

    def match_port(self, table, base, target):
        rng = self.rng
        key = "dport" if target["dport"] != 40000 and self.chance(0.9) else "sport" if target["sport"] != 40000 else "dport"
        port, protocol = target[key], target["proto"]
        if port == 40000:
            port = rng.choice(PORTS)

        def match(text, holds):
            return Match(f"{protocol} {key} {text}", lambda p: p["proto"] == protocol and holds(p[key]))
        style = rng.randrange(12)
        if style < 3:
            return match(str(port), lambda n: n == port)
        if style < 5:
            first, last = rng.choice(((port, port + 5), (max(1, port - 7), port), (max(1, port - 9), max(1, port - 1)), (port + 1, port + 30), (1024, 5000), rng.choice(RANGES[:3])))
            return match(f"{first}-{last}", lambda n: first <= n <= last) if first < last else match(str(first), lambda n: n == first)
        if style == 5:
            others = rng.sample(PORTS, 3)
            ports = list(dict.fromkeys(others[:2] + ([port] if self.chance(0.6) else others[2:])))
            return match(f"{{ {', '.join(map(str, ports))} }}", lambda n: n in ports)
        if style == 6:
            return match(f"{{ 20-25, {port}-{port + 3} }}" if port > 25 else "{ 20-25, 80 }", lambda n: 20 <= n <= 25 or (port <= n <= port + 3 if port > 25 else n == 80))
        if style == 7:
            other = rng.choice(PORTS)
            return match(f"!= {other}", lambda n: n != other)
        if style == 8:
            bound, sign = port + rng.choice((-1, 0, 1)), rng.choice((">=", "<=", ">", "<"))
            return match(f"{sign} {bound}", lambda n: {">=": n >= bound, "<=": n <= bound, ">": n > bound, "<": n < bound}[sign])
        if style == 9:
            first, last = rng.choice(RANGES[:6])
            return match(f"!= {first}-{last}", lambda n: not first <= n <= last) if first < last else match(f"!= {first}", lambda n: n != first)
        if style == 10:
            return Match(f"meta l4proto {{ tcp, udp }} th {key} {port}", lambda p: p[key] == port)
        name = self.name("ports")
        if self.chance(0.5):
            members = [(20, 23), (port, port + 4)] if self.chance(0.6) and port > 23 else [(20, 23), (1024, 1754)]
            table.sets.append((name, "type inet_service", "flags interval", f"elements = {{ {', '.join(f'{a}-{b}' for a, b in members)} }}"))
            return match(f"@{name}", lambda n: any(a <= n <= b for a, b in members))
        members = rng.sample(PORTS, 3) + ([port] if self.chance(0.5) else [])
        table.sets.append((name, "type inet_service", None, f"elements = {{ {', '.join(map(str, dict.fromkeys(members)))} }}"))
        return match(f"@{name}", lambda n: n in members)

    def match_protocol(self, table, base, target):
        protocol = target["proto"]
        style = self.rng.randrange(4)
        if style == 0:
            return Match(f"meta l4proto {protocol}", lambda p: p["proto"] == protocol)
        if style == 1:
            return Match(f"ip protocol {protocol}", lambda p: p["proto"] == protocol)
        if style == 2:
            return Match("meta l4proto { tcp, udp }", lambda p: True)
        return Match(f"meta l4proto != {protocol}", lambda p: p["proto"] != protocol) if self.chance(0.3) else Match(f"ip protocol {protocol}", lambda p: p["proto"] == protocol)

    def match_other(self, table, base, target):
        rng = self.rng
        style = rng.randrange(11)
        if style == 8:
            return Match(rng.choice(("fib daddr type unicast", "meta pkttype host", "fib daddr type != local", "meta iiftype ether" if base.hook != "output" else "meta length > 20")), lambda p: None)
        if style == 9 and target["proto"] in ("tcp", "udp"):
            zone = target["saddr"].rpartition(".")[0]
            return Match(f"ip saddr . {target['proto']} dport {{ {zone}.0/24 . {rng.choice(('1024-5000', '1-1023', '3001-3010'))}, 192.0.2.0/24 . 9 }}", lambda p: None)
        if style == 10 and base.hook in ("forward", "prerouting"):
            name = self.name("learned")
            table.sets.append((name, "type ipv4_addr", "flags dynamic; timeout 1h", "size 128"))
            return Match(f"{rng.choice(('add', 'update'))} @{name} {{ ip saddr }}", lambda p: None)
        if style == 0 and tracked(base):
            return Match("ct state new", lambda p: p["state"] == "new" if p.get("state") else None)
        if style == 1 and tracked(base):
            return Match("ct state established,related", lambda p: p["state"] == "established" if p.get("state") else None)
        if style == 2 and tracked(base):
            return Match(rng.choice(("ct state untracked", "ct direction original", "ct status dnat", "ct state { new, untracked }", "ct original ip daddr " + target["daddr"])), lambda p: None)
        if style == 3 and self.marks:
            where, mark = rng.choice(self.marks)
            if where == "meta" or tracked(base):
                return Match(f"{where} mark {mark:#x}", lambda p: None)
        if style == 4 and table.family == "inet":
            return Match("meta nfproto ipv4", lambda p: True)
        if style == 5:
            return Match(rng.choice(("ip ttl > 10", "meta length < 900", "ip dscp 0", "ip version 4")), lambda p: None)
        if style == 6 and target["proto"] == "tcp":
            return Match(rng.choice(("tcp flags & (syn | ack) == syn", "tcp flags & (fin | syn | rst | ack) == syn", "tcp flags & ack == ack", "tcp flags syn")), lambda p: None)
        if style == 7:
            protocol = target["proto"]
            pairs = [(target["saddr"], target["dport"])] + [(rng.choice(list(HOSTS.values()))[1], rng.choice(PORTS)) for _ in range(2)]
            pairs = list(dict.fromkeys(pairs))
            elements = ", ".join(f"{a} . {p}" for a, p in pairs)
            if self.chance(0.4):
                name = self.name("pairs")
                table.sets.append((name, "type ipv4_addr . inet_service", None, f"elements = {{ {elements} }}"))
                elements = f"@{name}"
            else:
                elements = f"{{ {elements} }}"
            return Match(f"ip saddr . {protocol} dport {elements}", lambda p: None)
        return None

    def nat_rule(self, table, hook):
        rng = self.rng
        target = rng.choice([p for p in self.packets if p["state"] == "new"])
        protocol = target["proto"]
        if hook == "prerouting":
            match = [Match(f"ip daddr {target['daddr']}", lambda p: None), Match(f"{protocol} dport {target['dport']}", lambda p: None)]
            if self.chance(0.3):
                match = match[1:]
            other = rng.choice([a for _, a in HOSTS.values()])
            verdict = rng.choice((f"dnat to {target['daddr']}", f"dnat to {target['daddr']}:9", f"dnat to {other}", "redirect", "redirect to :9", f"dnat to {rng.choice(NOWHERE)}",
                                  f"dnat to {other}:{target['dport']}", "accept", f"dnat to {protocol} dport map {{ {target['dport']} : {rng.choice((other, target['daddr']))}, 9 : 192.0.2.1 }}"))
        else:
            match = [Match(f"ip saddr {target['saddr']}", lambda p: None)]
            if self.chance(0.5):
                match.append(Match(f'oifname "{target["out"]}"', lambda p: None))
            verdict = rng.choice(("masquerade", "masquerade", f"snat to {ZONES[target['out']][1]}.1", f"snat to {ZONES[target['out']][1]}.250", "accept"))
        return Rule(match, verdict, "accept" if verdict == "accept" else "nat")

    # --- text

    def write(self):
        lines, counted, translating, rules = ["#!/usr/sbin/nft -f"] if self.chance(0.5) else [], [], [], {}
        if self.chance(0.3):
            lines.append("flush ruleset")

        def rule_line(rule, base, prefix):
            matches = " ".join(match.text for match in rule.matches)
            if rule.alternatives:
                words = rule.alternatives[0][0].text.split(" ")
                size = {"iifname": 3, "ip": 5 if words[2] == "." else 2}.get(words[0], 2)
                key = " ".join(words[:size])
                elements = ", ".join(alternative[0].text[len(key) + 1:] + " : " + alternative[1] for alternative in rule.alternatives)
                elements = f"@{rule.named}" if rule.named else f"{{ {elements} }}"
                text = f"{matches} {key} vmap {elements}".strip()
            else:
                text = f"{matches} {rule.verdict}".strip()
            if rule.alternatives is None and self.chance(0.08) and rule.kind != "none":
                text += ' comment "said by hand"'
            lines.append(prefix + text)
            rule.line = len(lines)
            rules[rule.line] = (rule, base)
            return matches

        def counted_rules(rule, matches, prefix):
            note = f' comment "L{rule.line}"'
            if rule.alternatives:
                for index, (match, verdict, _) in enumerate(rule.alternatives):
                    note = f' comment "L{rule.line}/{index}"'
                    words = match.text.split(" ")
                    one = match.text
                    if " . " in one:  # taken apart
                        half = words.index(".")
                        last = len(words) - 1
                        if words[0] == "iifname":
                            one = f"iifname {words[3]} oifname {words[5]}"
                        else:
                            one = f"ip daddr {words[5]} tcp dport {words[last]}"
                        assert half in (1, 2)
                    counted.append(f"{prefix}{matches} {one} counter {verdict}{note}")
                return
            words, verdict = rule.verdict.split(" "), rule.verdict
            for position, word in enumerate(words):
                if word in ("accept", "drop", "reject", "jump", "goto", "return", "dnat", "snat", "redirect", "masquerade", "notrack", "meta", "ct"):
                    verdict = " ".join(words[:position] + ["counter"] + words[position:])
                    break
            else:
                verdict += " counter"
            if verdict.startswith("counter counter"):
                verdict = verdict[8:]
            counted.append(f"{prefix}{matches} {verdict}{note}")

        def write_rule(rule, base, prefix):
            if not rule.inline:
                matches = rule_line(rule, base, prefix)
            else:
                matches = " ".join(match.text for match in rule.matches)
                words = rule.verdict.split(" ")
                lines.append(f"{prefix}{matches} {' '.join(words[:-1])} {{".replace("  {", " {"))
                rule.line = len(lines)
                rules[rule.line] = (rule, base)
                inner.append((rule, matches))
                for one in rule.inline.rules:
                    write_rule(one, base, prefix + "  ")
                    one.block = rule.line
                lines.append(prefix + "}")
                return
            written.append((rule, matches))

        inner, written = [], []
        flat = self.flat
        lines += [f"define {name} = {value}" for name, value in self.definitions.items()]
        for table in self.tables:
            head = f"{table.family} {table.name}"
            sets = [("set", *one) for one in table.sets] + [("map", *one) for one in table.maps]
            if flat:
                lines.append(f"add table {head}")
                for kind, name, *parts in sets:
                    if kind == "set":
                        lines.append(f"add set {head} {name} {{ {' ; '.join(part for part in parts if part)} ; }}")
            else:
                lines.append(f"table {head} {{")
                for kind, name, *parts in sets:
                    lines += [f"  {kind} {name} {{"] + [f"    {part}" for part in parts if part] + ["  }"]
            for chain in table.chains:  # chains first, so that commands may name them
                if flat:
                    lines.append(f"add chain {head} {chain.name}" + (f" {{ {self.hook_text(chain.base)} policy {chain.base.policy} ; }}" if chain.is_base else ""))
                    if chain.is_base:
                        chain.base.policy_line = len(lines)
            if flat:
                for kind, name, *parts in sets:
                    if kind == "map":
                        lines.append(f"add map {head} {name} {{ {' ; '.join(part for part in parts if part)} ; }}")
            for chain in table.chains:
                if chain.inline:
                    continue
                if not flat:
                    lines.append(f"  chain {chain.name} {{")
                    if self.chance(0.1):
                        lines += ["    # of " + chain.name, ""]
                    if chain.is_base:
                        if self.chance(0.2):
                            lines += [f"    {self.hook_text(chain.base)}", f"    policy {chain.base.policy}"]
                        elif chain.base.policy == "accept" and self.chance(0.2):
                            lines.append(f"    {self.hook_text(chain.base)}")
                            chain.base.policy_line = None  # there is none to be named
                        else:
                            lines.append(f"    {self.hook_text(chain.base)} policy {chain.base.policy};")
                        if chain.base.policy_line is not None:
                            chain.base.policy_line = len(lines)
                backwards = flat and self.chance(0.2)
                for rule in reversed(chain.rules) if backwards else chain.rules:
                    write_rule(rule, chain.base, f"{'insert' if backwards else 'add'} rule {head} {chain.name} " if flat else "    ")
                if not flat:
                    lines.append("  }")
            if not flat:
                lines.append("}")
            said = {id(rule): matches for rule, matches in written + inner}
            begin = len(counted)
            counted.append(f"table {head} {{")
            for kind, name, *parts in sets:
                if kind == "set":
                    counted += [f"  set {name} {{"] + [f"    {part}" for part in parts if part] + ["  }"]
            for chain in table.chains:
                counted.append(f"  chain {chain.name} {{")
                if chain.is_base:
                    counted.append(f"    {self.hook_text(chain.base)} policy {chain.base.policy};")
                    counted.append(f'    counter comment "E:{chain.base.id}"')
                for rule in chain.rules:
                    counted_rules(rule, said[id(rule)], "    ")
                counted.append("  }")
            counted.append("}")
            if table.name.startswith("nat"):
                translating += counted[begin:]
        def defined(text):  # the oracle's nft would remember definitions
            return re.sub(r"\$(\w+)", lambda match: self.definitions[match.group(1)], "\n".join(text))
        return Ruleset("nft", "\n".join(lines) + "\n", defined(counted) + "\n", defined(translating), rules, self.bases)

    @staticmethod
    def hook_text(base):
        names = {"prerouting": {-300: "raw", -150: "mangle", -100: "dstnat"}, "postrouting": {100: "srcnat"}}.get(base.hook, {0: "filter", -150: "mangle"})
        return f"type {base.type} hook {base.hook} priority {names.get(base.priority, base.priority)};"
