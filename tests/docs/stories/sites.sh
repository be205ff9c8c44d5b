#!/bin/bash
# docs/how-to/read-a-report.md, many-sites.md and kubernetes.md: a scenario to begin with, the patch, several scenarios; and pods, with a stand-in
# for kubectl (tests/where/kubectl.sh runs a scenario on such pods).
set -eu
. "$(dirname "$0")/../story.sh"
rulesets "$source/scenarios/rules/kb189416.nft"
cp "$work/no-media.nft" rules.nft
sed "s|ruleset:.*|ruleset: rules.nft|" "$source/tests/where/scenario.yaml" > site.yaml
documented 'wmlab init rules.nft -o new-site.yaml'
documented 'wmlab check new-site.yaml'
documented 1 'wmlab run site.yaml --suggest fix.patch'
patch -s -p0 < fix.patch
OUTPUT=$work/mended said 0 "$(wmlab run site.yaml --no-color > "$work/mended" 2>&1; echo $?)" "the patched ruleset"

elsewhere tests/lab/commands/watch_test.py 'Watch("site.yaml", "--watch"' 'wmlab run site.yaml --watch'

mkdir more
cp rules.nft more
for site in lyon oslo more/bergen; do cp site.yaml $site.yaml; done
documented 'wmlab run lyon.yaml oslo.yaml more/ --report json:all.json'
check "one report of all" "12 flows" "$(python3 -c 'import json; print(len(json.load(open("all.json"))["flows"]), "flows")')"
cat > sites.yaml <<'SCENARIO'
version: 1
name: Sites
zones: { inside: { subnet: 10.10.0.0/24 }, outside: { subnet: 10.20.0.0/16 } }
hosts: { media: { zone: inside, address: 10.10.0.10 } }
content: { lecture: { synthetic: audio } }
for_each:
  in: [ { name: lyon, address: 10.20.1.10 }, { name: oslo, address: 10.20.2.10 }, { name: rome, address: 10.20.3.10 } ]
  hosts: { "player-${site.name}": { zone: outside, address: "${site.address}" } }
  flows: [ { id: "udp-${site.name}", type: probe, protocol: udp, ports: 1755, from: "player-${site.name}", to: media } ]
SCENARIO
documented "wmlab run sites.yaml --tag site=lyon --tag 'site=os*'"
contains "two of three sites" "$(cat "$OUTPUT")" "2 flows: 2 as expected"

cp -r "$source/docs" .
cp site.yaml scenario.yaml
stand_in kubectl <<'KUBECTL'
#!/usr/bin/python3
import os, pathlib, sys, yaml
words = sys.argv[1:]
if words[:2] == ["create", "configmap"]:
    os.stat(words[3].removeprefix("--from-file="))
elif words[:2] == ["apply", "-f"]:
    for part in yaml.safe_load_all(open(words[2])):
        print(part["kind"].lower() + "/" + part["metadata"]["name"] + " created")
elif words[:1] == ["wait"]:
    print("job.batch/wmlab condition met")
elif words == ["logs", "job/wmlab"]:
    print("1 flow: 1 as expected, 0 not, 0 inconclusive; 1.0 s")
else:
    sys.exit("error: unknown command")
KUBECTL
documented 'kubectl create configmap wmlab-scenario --from-file=scenario.yaml'
documented 'kubectl apply -f docs/how-to/kubernetes.yaml'
documented 'kubectl wait --for=condition=complete job/wmlab --timeout=10m && kubectl logs job/wmlab'
the_end
