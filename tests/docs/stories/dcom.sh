#!/bin/bash
# docs/how-to/use-the-simulators.md, DCOM, on one machine with the address 192.168.1.5.
set -eu
. "$(dirname "$0")/../story.sh"
one_machine
documented 'server_sim --reserved-ports "3001-3010 135" --print-registry > internet.reg'
server 'server_sim --reserved-ports "3001-3010 135"'
documented 'client_sim --admin media --processes 10'
documented 'client_sim --admin media --processes 10 --udp'
documented 'client_sim --endpoints media'
server 'encoder_sim --alias lecture --server media'
timeout 20 client_sim mms://media/lecture --duration 1 > "$work/alias" 2>&1 || { failed=1; echo "WRONG mms://media/lecture"; cat "$work/alias"; }
stop
server 'server_sim --registry internet.reg'
timeout 20 client_sim --endpoints media > "$work/endpoints" 2>&1 || { failed=1; echo "WRONG --registry internet.reg"; cat "$work/endpoints"; }
stop
the_end
