#!/bin/bash
# docs/how-to/use-the-simulators.md, multicast, on one machine with the address 192.168.1.5.
set -eu
. "$(dirname "$0")/../story.sh"
one_machine
server 'server_sim --content lecture.wmv --station lecture.wmv=239.1.2.3:8080,ttl=5,interface=192.168.1.5 --nsc-out lecture.nsc'
for station in lecture.nsc http://192.168.1.5/lecture.wmv.nsc 239.1.2.3:8080; do
    documented "client_sim $station --duration 3"
done
stop

the_end
