#!/bin/bash
# Manual pages, completion and bill of materials as the build makes them.   generated.sh GENERATED BIN
set -eu
generated=$1 bin=$2
failed=0
say() { if eval "$2"; then echo "ok    $1"; else failed=1; echo "WRONG $1"; fi; }
words_of() { "$bin/$1" ${2:+"$2"} --help | grep -oE '^ +(-[a-z] \[ )?--[a-z][a-z-]*' | grep -oE -e '--[a-z-]+'; }

. "$generated/bash/wmlab"
complete_line() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); "_$1"; echo "${COMPREPLY[*]}"; }
say "bash: commands" '[ "$(complete_line wmlab do)" = doctor ]'
say "bash: options of a command" '[ "$(complete_line wmlab run --basel)" = --baseline ]'
PATH=$bin:$PATH
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
cat > "$site/site.yaml" << 'SCENARIO'
version: 1
zones: { inside: { subnet: 10.10.0.0/24 }, outside: { subnet: 10.20.0.0/24 } }
hosts: { media: { zone: inside, address: 10.10.0.10 }, mirror: { zone: inside, address: 10.10.0.11 }, player: { zone: outside, address: 10.20.0.10 } }
content: { lecture: { synthetic: audio } }
flows:
  - { id: unicast-udp, type: mms-udp, from: player, to: media, content: lecture, tags: [site=lyon] }
  - { id: unicast-tcp, type: mms-tcp, from: player, to: media, content: lecture }
  - { id: web, type: http, from: player, to: media, content: lecture, tags: [site=oslo] }
SCENARIO
say "bash: flows" '[ "$(complete_line wmlab run "$site/site.yaml" --only uni)" = "unicast-tcp unicast-udp" ]'
say "bash: all flows" '[ "$(complete_line wmlab run "$site/site.yaml" --only "")" = "unicast-tcp unicast-udp web" ]'
say "bash: tags" '[ "$(complete_line wmlab run "$site/site.yaml" --tag site=l)" = "site=lyon" ]'
say "bash: tags, as bash splits them" '[ "$(complete_line wmlab run "$site/site.yaml" --tag site =; complete_line wmlab run "$site/site.yaml" --tag site = o)" = "lyon oslo
oslo" ]'
say "bash: hosts" '[ "$(complete_line wmlab exec "$site/site.yaml" m)" = "media mirror" ]'
say "bash: zones" '[ "$(complete_line wmlab run "$site/site.yaml" --attach i)" = inside ]'
say "bash: no scenario, no names" '[ -z "$(complete_line wmlab run "$site/none.yaml" --only uni)" ]'
say "bash: codes" '[ "$(complete_line wmlab explain drop)" = dropped ]'
say "bash: formats" '[ "$(complete_line wmlab run --report ju)" = junit ]'
say "bash: help of a command" '[ "$(complete_line wmlab help rep)" = replay ]'
if command -v zsh > /dev/null; then say "zsh: it can be read" 'zsh -n "$generated/zsh/_wmlab"'; fi
if command -v fish > /dev/null; then say "fish: it can be read" 'fish -n "$generated/fish/wmlab.fish"'; fi
for kind in flows hosts zones tags; do
    say "zsh: $kind" 'grep -q "_wmlab_$kind" "$generated/zsh/_wmlab"'
    say "fish: $kind" 'grep -q "__wmlab_names $kind" "$generated/fish/wmlab.fish"'
done
for command in run exec judge check list rules audit explain doctor; do
    known=" $(complete_line wmlab $command --) "
    for option in $(words_of wmlab $command); do
        case $known in *" $option "*) ;; *) failed=1; echo "WRONG bash: $command $option is not completed" ;; esac
        grep -q -e "seen_subcommand_from $command\" -l ${option#--}" "$generated/fish/wmlab.fish" || [ $option = --help ] || { failed=1; echo "WRONG fish: $command $option"; }
    done
done
for program in server_sim client_sim encoder_sim; do
    known=" $(complete_line $program --) "
    for option in $(words_of $program); do
        case $known in *" $option "*) ;; *) failed=1; echo "WRONG bash: $program $option is not completed" ;; esac
        grep -q -e "'$option\[" "$generated/zsh/_wmlab" || { failed=1; echo "WRONG zsh: $program $option"; }
    done
done
for page in wmlab server_sim client_sim encoder_sim; do say "manual page $page" '[ "$(head -c 3 "$generated/man/$page.1")" = .TH ]'; done
say "bill of materials" 'python3 -c "
import json, sys
bill = json.load(open(sys.argv[1]))
names = {one[\"name\"] for one in bill[\"packages\"]}
ids = {one[\"SPDXID\"] for one in bill[\"packages\"]} | {\"SPDXRef-DOCUMENT\"}
assert bill[\"spdxVersion\"] == \"SPDX-2.3\" and \"wmlab\" in names and any(name.startswith(\"libnftables\") for name in names), names
assert all(one[\"relatedSpdxElement\"] in ids and one[\"spdxElementId\"] in ids for one in bill[\"relationships\"])
" "$generated/wmlab.spdx.json"'
exit $failed
