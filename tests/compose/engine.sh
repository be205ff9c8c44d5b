# A Docker engine of the test's own. Read by run.sh.
#   with_engine "$@"      runs the calling script again as root, in mount and process namespaces of its own: whatever is started
#                         ends with it, and nobody else has to reap it
#   prepare_image         the image wmlab:local, built by an engine that uses the machine's network
#   networks_of_its_own   starts the engine again, in a network namespace of its own: its bridges and rules are there
with_engine() {
    if [ -n "${WMLAB_WITHOUT_DOCKER:-}" ]; then
        echo "skipped: WMLAB_WITHOUT_DOCKER is set"
        exit 77
    fi
    [ -z "${WMLAB_WORLD:-}" ] || { trap 'exit 143' TERM INT; return 0; } # the first process of a namespace ignores them otherwise
    real_root "$@"
    exec env WMLAB_WORLD=yes unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
}

no_engine() {
    echo "FAILED: $*"
    echo "  This test runs lab/compose.yaml with a Docker engine of its own. Where that cannot be, leave it out: WMLAB_WITHOUT_DOCKER=1"
    exit 1
}

# A chroot or a container may have none; engines want them.
control_groups() {
    local controller
    ! mountpoint -q /sys/fs/cgroup || return 0
    mountpoint -q /sys || mount -t sysfs sysfs /sys || true
    if grep -q cgroup2 /proc/filesystems && [ "$(grep -c -v '^#' /proc/cgroups)" = "$(awk '!/^#/ && $2 == 0' /proc/cgroups | wc -l)" ]; then
        mount -t cgroup2 cgroup2 /sys/fs/cgroup && return
    fi
    mount -t tmpfs cgroup /sys/fs/cgroup || return 0
    for controller in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
        mkdir -p "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2> /dev/null || rmdir "/sys/fs/cgroup/$controller"
    done
}

start_engine() { # start_engine WORDS... : dockerd, started by these words and with these options
    local tries=300
    "$@" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" -H "$DOCKER_HOST" > "$work/dockerd.log" 2>&1 &
    engine=$!
    until docker version > /dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 $engine 2> /dev/null; then
            tail -n 20 "$work/dockerd.log"
            if grep -qi 'permission denied\|operation not permitted' "$work/dockerd.log"; then
                echo "skipped: this system forbids a Docker engine, even to root: see above"
                exit 77
            fi
            no_engine "dockerd does not start"
        fi
        sleep 0.1
    done
}
stop_engine() {
    kill "$engine"
    wait "$engine" 2> /dev/null || true
}
clean_up() {
    stop_engine
    umount "$work"/exec/netns/* 2> /dev/null || true
    rm -rf --one-file-system "$work" || true
}

prepare_image() {
    local program
    for program in docker dockerd docker-compose debootstrap; do
        command -v $program > /dev/null || no_engine "there is no $program: install docker.io, docker-compose and debootstrap"
    done
    control_groups
    trap clean_up EXIT
    # The legacy builder is part of the client. A build gets the machine's network: this engine has no bridge yet.
    export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=0
    docker() {
        if [ "$1" = build ]; then
            shift
            command docker build --quiet --network host "$@"
        else
            command docker "$@"
        fi
    }
    start_engine dockerd --iptables=false --ip6tables=false --bridge=none --ip-forward=false
    bare_debian
    mkdir -p "$work/context/lab"
    if [ -n "${WMLAB_BUILD_IMAGE:-}" ]; then
        cd "$source"
    else
        cp -r "$source/lab/compose" "$work/context/lab/"
        mkdir -p "$work/context/scripts"
        cp "$source/scripts/packages.sh" "$work/context/scripts/"
        mkdir -p "$work/context/installed/usr/local/bin"
        for program in wmlab server_sim client_sim encoder_sim; do strip -o "$work/context/installed/usr/local/bin/$program" "$bin/$program"; done
        # The stage that compiles is what this test's programs came from.
        sed '/^FROM .* AS build$/,/cmake --install/c FROM scratch AS build\nCOPY installed /installed' "$source/lab/Dockerfile" > "$work/context/lab/Dockerfile"
        cd "$work/context"
    fi
    docker build -f lab/Dockerfile -t wmlab:local . 2>&1 | grep -v -e DEPRECATED -e BuildKit -e 'environment-variable' -e '^$'
    docker image inspect wmlab:local > /dev/null 2>&1 || no_engine "the image cannot be built"
    cd /
}

# debian:bookworm-slim: as the registry has it, or made here where there is no registry.
bare_debian() {
    timeout 60 docker pull -q debian:bookworm-slim 2> /dev/null && return
    echo "no registry: debian:bookworm-slim is made by debootstrap"
    bare_root "$work/root"
    tar -C "$work/root" -c . | docker import - debian:bookworm-slim > /dev/null
    rm -rf "$work/root"
}

networks_of_its_own() {
    stop_engine
    start_engine unshare --net sh -c 'ip link set lo up; exec dockerd "$@"' dockerd
}
