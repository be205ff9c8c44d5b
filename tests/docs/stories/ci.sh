#!/bin/bash
# docs/how-to/ci.md and the recipes of docs/ci: what the three CI systems type in a clone of the firewall's repository.
# That the package installs is tests/package/deb.sh's.
set -eu
. "$(dirname "$0")/../story.sh"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x
rulesets "$source/scenarios/rules/kb189416.nft"
mkdir -p origin/firewall
sed "s|ruleset:.*|ruleset: rules.nft|" "$source/tests/where/scenario.yaml" > origin/firewall/scenario.yaml
cp "$work/right.nft" origin/firewall/rules.nft
git -C origin init -q -b main
git -C origin add .
git -C origin commit -qm rules
for system in howto github gitlab jenkins; do
    git clone -q origin $system
    # The change under test breaks nothing.
    echo '# a remark' >> $system/firewall/rules.nft
    git -C $system commit -qam change
done
install='apt-get update && apt-get install -y --no-install-recommends ./ci/wmlab_*_amd64.deb git'
elsewhere tests/package/deb.sh "$install" "$install"
elsewhere tests/package/deb.sh "${install% git}" 'sudo apt-get update && sudo apt-get install -y --no-install-recommends ./base/ci/wmlab_*_amd64.deb'

howto() {
    documented 'git show origin/main:firewall/rules.nft > before.nft'
    documented 'wmlab run firewall/scenario.yaml --ruleset firewall/rules.nft --baseline before.nft --report junit:junit.xml --report markdown:report.md'
}
github() { # the base branch and the change lie beside each other
    git clone -q ../origin base
    mkdir change
    cp -r firewall change
    documented 'sudo wmlab run base/firewall/scenario.yaml --no-programs --ruleset change/firewall/rules.nft --baseline base/firewall/rules.nft --report github --report markdown:report.md --report junit:junit.xml --report sarif:wmlab.sarif'
}
gitlab() {
    export CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main
    documented 'git fetch origin "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME"'
    documented 'git show "FETCH_HEAD:firewall/rules.nft" > before.nft'
    documented 'wmlab run firewall/scenario.yaml --ruleset firewall/rules.nft --baseline before.nft --report text --report markdown:report.md --report junit:junit.xml'
}
jenkins() {
    export CHANGE_TARGET=main
    documented 'git show "origin/${CHANGE_TARGET:-main}:firewall/rules.nft" > before.nft'
    documented 'wmlab run firewall/scenario.yaml --ruleset firewall/rules.nft --baseline before.nft --report text --report markdown:report.md --report junit:junit.xml'
}
for system in howto github gitlab jenkins; do
    (cd $system && OUTPUT=$work/$system.output && $system) &
done
wait
for system in howto github gitlab jenkins; do
    for report in junit.xml report.md; do check "$system: $report" yes "$([ -s $system/$report ] && echo yes)"; done
done
check "the ruleset before the change" "$(cat origin/firewall/rules.nft)" "$(cat gitlab/before.nft)"
the_end
