#!/bin/bash
# docs/tutorial.md, in its order: somebody with a copy of a gateway's rules, in which the media over UDP is missing. The staging firewall is
# stories/machines.sh's.
set -eu
. "$(dirname "$0")/../story.sh"
grep -v 'MMS over UDP: media' "$source/scenarios/rules/kb189416.nft" > rules.nft
cp rules.nft before.nft
documented 'wmlab doctor'
documented 'wmlab demo'
documented 'wmlab run wmlab-demo/demo.yaml'
contains "the demo's ruleset is mended" "$(cat "$OUTPUT")" "2 flows: 2 as expected"
documented 'wmlab init rules.nft -o site.yaml'
documented 'wmlab check site.yaml'
documented 'wmlab run site.yaml'
contains "one flow to begin with" "$(cat "$OUTPUT")" "1 flow: 1 as expected"
documented "sed -i 's/# - { id: unicast-udp/- { id: unicast-udp/' site.yaml"
documented 'wmlab list site.yaml'
documented 1 'wmlab run site.yaml --report text --report html:report.html'
contains "red, with the rule" "$(cat "$OUTPUT")" "rule: rules.nft:13: policy drop"
contains "and the page" "$(cat report.html)" "blocked at media"
documented 1 'wmlab run site.yaml --suggest fix.patch'
contains "the patch is proven" "$(cat "$OUTPUT")" "proven"
documented 'patch -p0 < fix.patch'
documented 'wmlab run site.yaml --coverage'
contains "green" "$(cat "$OUTPUT")" "2 flows: 2 as expected"
documented 'wmlab run site.yaml --baseline before.nft --ruleset rules.nft --report text --report markdown:report.md'
contains "the gate: the change repairs" "$(cat "$OUTPUT")" "repaired"
documented 1 'wmlab audit site.yaml'
documented 'wmlab run site.yaml --baseline before.nft --ruleset rules.nft --live'
documented 'wmlab run site.yaml --bundle evidence.zip'
documented 'wmlab replay evidence.zip'
contains "the evidence holds" "$(cat "$OUTPUT")" "comes to the same report"
the_end
