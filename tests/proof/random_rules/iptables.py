"""Random rulesets as iptables-save writes them."""
from random_rules.lab_site import *

REJECTS = ["icmp-net-unreachable", "icmp-host-unreachable", "icmp-port-unreachable", "icmp-proto-unreachable", "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited"]
BASES = {"raw": {"PREROUTING": -300, "OUTPUT": -300}, "mangle": {"PREROUTING": -150, "INPUT": -150, "FORWARD": -150, "OUTPUT": -150, "POSTROUTING": -150},
         "nat": {"PREROUTING": -100, "INPUT": 100, "OUTPUT": -100, "POSTROUTING": 100}, "filter": {"INPUT": 0, "FORWARD": 0, "OUTPUT": 0}}


class Generator:
    def __init__(self, rng, flows):
        self.rng, self.packets = rng, packets(flows)
        self.serial, self.marks, self.chains, self.bases = 0, [], {}, []  # table -> chain -> (base, rules)

    def chance(self, part):
        return self.rng.random() < part

    def generate(self):
        rng = self.rng
        tables = [table for table, part in (("raw", 0.3), ("mangle", 0.35), ("nat", 0.35), ("filter", 1)) if self.chance(part)]
        for table in tables:
            self.chains[table] = {}
            for name, priority in BASES[table].items():
                policy = "ACCEPT"
                if table == "filter" and name in ("FORWARD", "INPUT"):
                    policy = "DROP" if self.chance(0.55) else "ACCEPT"
                elif table != "nat" and self.chance(0.04):
                    policy = "DROP"
                base = Base(f"{table}/{name}", name.lower(), priority, policy, "nat" if table == "nat" else "filter")
                self.bases.append(base)
                self.chains[table][name] = (base, [])
        for table in tables:
            for name in list(BASES[table]):
                base, rules = self.chains[table][name]
                if table == "nat":
                    if name in ("PREROUTING", "POSTROUTING"):
                        rules += [self.nat_rule(name) for _ in range(rng.randint(0, 2))]
                elif name == "FORWARD" and table == "filter":
                    if self.chance(0.25):
                        rules += self.late_rules(base)
                    elif self.chance(0.65):
                        rules.append(rng.choice((self.state("-m conntrack --ctstate RELATED,ESTABLISHED"), self.state("-m state --state ESTABLISHED"), self.state("-m conntrack ! --ctstate NEW"),
                                                 Rule([Match("-m conntrack --ctdir REPLY", lambda p: None)], "ACCEPT", "accept"))))
                    self.fill(table, base, rules, rng.randint(3, 12), 0)
                    if self.chance(0.2):
                        rules.append(Rule([], *rng.choice((("DROP", "drop"), ("REJECT --reject-with icmp-admin-prohibited", "reject"), ("ACCEPT", "accept")))))
                elif self.chance(0.5 if name in ("PREROUTING", "FORWARD") else 0.2):
                    self.fill(table, base, rules, rng.randint(1, 4), 0)
        return self.write()

    @staticmethod
    def state(text):
        return Rule([Match(text, lambda p: p["state"] == "established" if p.get("state") else None)], "ACCEPT", "accept")

    def late_rules(self, base):
        """Connections begin; what comes then is another matter."""
        rng, found = self.rng, [Rule([Match("-m conntrack --ctstate NEW", lambda p: p["state"] == "new" if p.get("state") else None)], "ACCEPT", "accept")]
        for _ in range(rng.randint(0, 3)):
            target = rng.choice([p for p in self.packets if p["proto"] == "tcp"])
            matches = [match for match in (self.match_interface(base, target), self.match_address("saddr", target)) if self.chance(0.4)]
            flags = rng.choice(("--tcp-flags PSH PSH", "--tcp-flags SYN,ACK ACK", "--tcp-flags SYN SYN", "! --syn"))
            matches += [Match("-p tcp", lambda p: p["proto"] == "tcp"), Match(f"-m tcp {flags}", lambda p: None)]
            found.append(Rule(matches, *rng.choice((("DROP", "drop"), ("REJECT", "reject"), ("REJECT --reject-with tcp-reset", "reject"), ("ACCEPT", "accept"), ("DROP", "drop")))))
        return found

    def user_chain(self, table, base, depth):
        self.serial += 1
        name = self.rng.choice(("chain", "in-out_", "DMZ.")) + str(self.serial)
        rules = []
        self.fill(table, base, rules, self.rng.randint(1, 4), depth + 1)
        if self.chance(0.25):
            rules.append(Rule([], *self.rng.choice((("DROP", "drop"), ("ACCEPT", "accept")))))
        self.chains[table][name] = (base, rules)
        return name

    def fill(self, table, base, rules, count, depth):
        for _ in range(count):
            rules.append(self.rule(table, base, depth))

    def rule(self, table, base, depth):
        rng = self.rng
        target = rng.choice(self.packets)
        matches = self.matches(base, target)
        kinds = {"accept": 40 if base.policy == "DROP" else 18, "drop": 14, "jump": 12 if depth < 3 else 0, "goto": 6 if depth < 3 else 0, "return": 4, "none": 3, "log": 3,
                 "reject": 10 if table == "filter" else 0, "mark": 8 if table == "mangle" else 0, "notrack": 10 if table == "raw" else 0}
        if not matches:
            kinds.update(accept=1, drop=1, reject=0)
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "reject":
            if any(" tcp" in match.text and "!" not in match.text for match in matches if match.text.startswith("-p")) and self.chance(0.35):
                return Rule(matches, "REJECT --reject-with tcp-reset", kind)
            return Rule(matches, rng.choice(["REJECT"] + [f"REJECT --reject-with {name}" for name in REJECTS]), kind)
        if kind in ("jump", "goto"):
            return Rule(matches, ("" if kind == "jump" else "-g ") + self.user_chain(table, base, depth), kind)
        if kind == "log":
            return Rule(matches, rng.choice(('LOG --log-prefix "wm lab "', "LOG --log-level 6", "NFLOG --nflog-group 5")), "none")
        if kind == "mark":
            self.marks.append(rng.choice((1, 2, 16)))
            return Rule(matches, rng.choice((f"CONNMARK --set-mark {self.marks[-1]}", f"MARK --or-mark {self.marks[-1]}", f"MARK --set-mark {self.marks[-1]}", f"MARK --set-xmark {self.marks[-1]:#x}/0xffffffff")), "none")
        if kind == "notrack":
            return Rule(matches, rng.choice(("NOTRACK", "CT --notrack")), "none")
        return Rule(matches, {"accept": "ACCEPT", "drop": "DROP", "return": "RETURN", "none": ""}[kind], kind)

    def matches(self, base, target):
        rng = self.rng
        found = []

        def about():
            return target if self.chance(0.85) else rng.choice(self.packets)
        if self.chance(0.35):
            found.append(self.match_interface(base, about()))
        for key, part in (("saddr", 0.35), ("daddr", 0.35)):
            if self.chance(part):
                found.append(self.match_address(key, about()))
        if self.chance(0.6):
            found += self.match_port(about())
        if self.chance(0.25):
            found.append(self.match_other(base, about(), found))
        found = [match for match in found if match]
        if any("," in match.text and match.text.startswith(("-s", "-d")) for match in found):
            found = [match for match in found if not match.text.startswith(("! -s", "! -d"))]
        if self.chance(0.2):
            rng.shuffle(found) if not any(match.text.startswith("-p") for match in found) else None
        return found

    def match_interface(self, base, target):
        if base.hook in ("prerouting", "input"):
            way = "in"
        elif base.hook in ("postrouting", "output"):
            way = "out"
        else:
            way = self.rng.choice(("in", "out"))
        flag, right = {"in": "-i", "out": "-o"}[way], target[way]
        other = self.rng.choice([name for name in ("inside", "outside", "dmz") if name != right])
        return self.rng.choice((Match(f"{flag} {right}", lambda p: p[way] == right), Match(f"{flag} {right}", lambda p: p[way] == right),
                                Match(f"! {flag} {other}", lambda p: p[way] != other), Match(f"{flag} {right[:2]}+", lambda p: p[way][:2] == right[:2])))

    def match_address(self, key, target):
        rng = self.rng
        flag, right = {"saddr": "-s", "daddr": "-d"}[key], target[key]
        value = number(right)
        other = rng.choice([a for _, a in HOSTS.values() if a != right])
        style = rng.randrange(7)
        if style < 2:
            return Match(f"{flag} {right}" + rng.choice(("", "/32")), lambda p: p[key] == right)
        if style == 2:
            length = rng.choice((8, 16, 24, 28, 31))
            mask = 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF
            return Match(f"{flag} {address(value & mask)}/{length}", lambda p: number(p[key]) & mask == value & mask)
        if style == 3:
            return Match(f"! {flag} {other}/32", lambda p: p[key] != other)
        if style == 4:
            first, last = value - rng.choice((0, 1, 5)), value + rng.choice((0, 1, 20)) + 1
            return Match(f"-m iprange --{'src' if key == 'saddr' else 'dst'}-range {address(first)}-{address(last)}", lambda p: None)
        if style == 5:
            return Match(f"{flag} {right},{other}", lambda p: None)  # two rules in one line
        return Match(f"{flag} {right}/24", lambda p: p[key].rpartition(".")[0] == right.rpartition(".")[0])

    def match_port(self, target):
        rng = self.rng
        protocol = target["proto"]
        key = "dport" if target["dport"] != 40000 else "sport"
        port = target[key]
        head = Match(f"-p {protocol}", lambda p: p["proto"] == protocol)

        def match(text, holds):
            return [head, Match(text, lambda p: holds(p[key]))]
        module = f"-m {protocol} " if self.chance(0.8) else ""
        style = rng.randrange(9)
        if style < 3:
            return match(f"{module}--{key} {port}", lambda n: n == port)
        if style < 5:
            first, last = rng.choice(((port, port + 5), (max(1, port - 7), port), (max(1, port - 9), max(1, port - 1)), (port + 1, port + 30), (1024, 5000), rng.choice(RANGES[:3])))
            return match(f"{module}--{key} {first}:{last}", lambda n: first <= n <= last)
        if style == 5:
            return match(f"{module}! --{key} {port}", lambda n: n != port)
        if style == 6:
            ports = rng.sample(PORTS, 3) + ([port] if self.chance(0.5) else [])
            ports = list(dict.fromkeys(ports))
            negated = self.chance(0.15)
            return match(f"-m multiport {'! ' if negated else ''}--{key}s {','.join(map(str, ports))}", lambda n: (n in ports) != negated)
        if style == 7:
            return match(f"-m multiport --{key}s 20:25,{port}:{port + 3}", lambda n: 20 <= n <= 25 or port <= n <= port + 3)
        return [head]

    def match_other(self, base, target, found):
        rng = self.rng
        tracked = base.priority != -300
        style = rng.randrange(10)
        if style == 7:
            return Match(rng.choice(("-m addrtype --dst-type UNICAST", "-m pkttype --pkt-type unicast", "-m addrtype ! --dst-type LOCAL")), lambda p: None)
        if style == 8 and tracked and self.marks:
            return Match(f"-m connmark --mark {rng.choice(self.marks):#x}", lambda p: None)
        if style == 9 and base.hook == "forward" and any(match.text == f"-p {target['proto']}" for match in found):
            return Match(f"-m {target['proto']} --sport 1:65535 --dport {max(1, target['dport'] - 3)}:{target['dport'] + 3}", lambda p: max(1, target["dport"] - 3) <= p["dport"] <= target["dport"] + 3)
        if style == 0 and tracked:
            return Match(rng.choice(("-m conntrack --ctstate NEW", "-m state --state NEW")), lambda p: p["state"] == "new" if p.get("state") else None)
        if style == 1 and tracked:
            return Match("-m conntrack --ctstate ESTABLISHED", lambda p: p["state"] == "established" if p.get("state") else None)
        if style == 2 and tracked:
            return Match(rng.choice(("-m conntrack --ctstate UNTRACKED", "-m conntrack --ctstate DNAT", "-m conntrack --ctdir ORIGINAL", "-m conntrack --ctstate NEW,UNTRACKED")), lambda p: None)
        if style == 3 and self.marks:
            return Match(f"-m mark --mark {rng.choice(self.marks):#x}", lambda p: None)
        if style == 4:
            return Match("-m comment --comment \"said by hand\"", lambda p: True)
        if style == 5 and any(match.text == "-p tcp" for match in found):
            return Match(rng.choice(("-m tcp --syn", "-m tcp ! --syn", "-m tcp --tcp-flags SYN,RST SYN", "-m tcp --tcp-flags ACK ACK")), lambda p: None)
        if style == 6:
            return Match(rng.choice(("-m limit --limit 9000/sec --limit-burst 9000", "-m ttl --ttl-gt 10", "-m length --length 20:900")), lambda p: None)
        return None

    def nat_rule(self, chain):
        rng = self.rng
        target = rng.choice([p for p in self.packets if p["state"] == "new"])
        if chain == "PREROUTING":
            match = f"-d {target['daddr']}/32 " if self.chance(0.7) else ""
            match += f"-p {target['proto']} -m {target['proto']} --dport {target['dport']}"
            other = rng.choice([a for _, a in HOSTS.values()])
            verdict = rng.choice((f"DNAT --to-destination {target['daddr']}", f"DNAT --to-destination {target['daddr']}:9", f"DNAT --to-destination {other}", "REDIRECT",
                                  "REDIRECT --to-ports 9", f"DNAT --to-destination {rng.choice(NOWHERE)}", "ACCEPT"))
        else:
            match = f"-s {target['saddr']}/32" + (f" -o {target['out']}" if self.chance(0.5) else "")
            verdict = rng.choice(("MASQUERADE", "MASQUERADE", f"SNAT --to-source {ZONES[target['out']][1]}.1", f"SNAT --to-source {ZONES[target['out']][1]}.250", "ACCEPT"))
        return Rule([Match(match, lambda p: None)], verdict, "accept" if verdict == "ACCEPT" else "nat")

    def write(self):
        lines, counted, translating, rules = [], [], [], {}
        if self.chance(0.7):
            lines.append("# Generated by iptables-save v1.8.9 on Thu Jan  1 00:00:00 2026")
        for table, chains in self.chains.items():
            lines.append(f"*{table}")
            begin = len(counted)
            counted.append(f"*{table}")
            for name, (base, _) in chains.items():
                is_base = name in BASES[table]
                line = f":{name} {base.policy if is_base else '-'} [0:0]"
                lines.append(line)
                counted.append(line)
                if is_base:
                    base.policy_line = len(lines)
            for name, (base, _) in chains.items():
                if name in BASES[table]:
                    counted.append(f"-A {name} -m comment --comment E:{base.id}")
            order = list(chains.items())
            if self.chance(0.3):
                self.rng.shuffle(order)
            for name, (base, of_chain) in order:
                for rule in of_chain:
                    matches = " ".join(match.text for match in rule.matches)
                    target = rule.verdict if rule.verdict.startswith("-g ") or not rule.verdict else f"-j {rule.verdict}"
                    lines.append(" ".join(part for part in (f"-A {name}", matches, target) if part))
                    rule.line = len(lines)
                    rules[rule.line] = (rule, base)
                    matches = matches.replace('-m comment --comment "said by hand"', "").strip()
                    counted.append(" ".join(part for part in (f"-A {name}", matches, f"-m comment --comment L{rule.line}", target) if part))
            lines.append("COMMIT")
            counted.append("COMMIT")
            if table == "nat":
                translating += counted[begin:] + [""]
        return Ruleset("iptables", "\n".join(lines) + "\n", "\n".join(counted) + "\n", "\n".join(translating), rules, self.bases)
