# How the containers of lab/compose.yaml take turns: files on the shared volume, so that nothing but the traffic under
# test crosses the firewall. To be read by the other scripts.    HOSTS: all hosts, WAIT_SECONDS: patience with each
# WITHOUT: flow types left out
without=
for type in ${WITHOUT:-}; do without="$without --without $type"; done
turns=/reports/journals/turns

say() { touch "$turns/$1"; }

wait_for() { # wait_for FILE: until somebody has said it
    waited=0
    until [ -e "$turns/$1" ]; do
        waited=$((waited + 1))
        [ $waited -lt $((WAIT_SECONDS * 10)) ] || { echo "nobody says $1" >&2; return 1; }
        sleep 0.1
    done
}

all_said() { # all_said WORD: until every host has said it
    for other in $HOSTS; do wait_for "$1.$other" || return 1; done
}

stay() { # with --exit-code-from the first container that ends would end them all
    trap 'exit 0' TERM INT
    while :; do sleep 3600 & wait $!; done
}
