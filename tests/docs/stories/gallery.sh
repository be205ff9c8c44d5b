#!/bin/bash
# docs/gallery.md: every example, as it is written there. Those that the README has too are stories/answers.sh's.
set -eu
. "$(dirname "$0")/../story.sh"
cp -r "$source/scenarios" .
number=0
at_once() { number=$((number + 1)); OUTPUT=$work/$number documented "$@" & }
at_once 'wmlab run scenarios/kb189416.yaml'
at_once "wmlab run scenarios/kb189416.yaml --coverage --only 'unicast*'"
at_once 'wmlab rules scenarios/kb189416.yaml'
at_once 'wmlab run scenarios/rollover.yaml'
wait
at_once 'wmlab run scenarios/msbd.yaml'
at_once 'wmlab run scenarios/http-distribution.yaml'
at_once 'wmlab run scenarios/multicast.yaml'
at_once 'wmlab run scenarios/broadcast-day.yaml'
wait
at_once 'wmlab run scenarios/web-proxies.yaml'
at_once 'wmlab run scenarios/mms-blocked.yaml --report html:report.html'
at_once 'wmlab run scenarios/dcom.yaml --pcap captures/'
at_once 1 'wmlab audit scenarios/mms-blocked.yaml --report html:audit.html'
wait
contains "the page" "$(head -c 100 report.html)" "<!DOCTYPE html>"
check "the captures" yes "$(ls captures/*.pcapng > /dev/null && echo yes)"
the_end
