#!/usr/bin/env bash
# vanish.sh BIN_DIR [SEED [SESSIONS]]: peers of every protocol that vanish at random moments, hundreds of them, of server_sim, encoder_sim
# and client_sim; each process goes on or ends as it should, and its journal tells every conversation to its end.
bin=$1 seed=${2:-17} sessions=${3:-300}
. "$(dirname "$0")/common.sh"
for address in 127.0.0.2 127.0.0.3; do ip address add $address/8 dev lo 2>/dev/null || true; done
make_clip
python3 "$(dirname "$0")/vanish.py" "$bin" "$work" "$seed" "$sessions"
