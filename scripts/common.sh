# Shared by run.sh and test.sh: the packages by purpose, how they are installed, how a preset is built.

build_packages=(g++ cmake ninja-build ccache git ca-certificates
    libboost1.81-dev libboost-program-options1.81-dev libboost-json1.81-dev libboost-url1.81-dev libboost-system1.81-dev
    libspdlog-dev libyaml-cpp-dev libnftables-dev libmnl-dev libcap-dev)
run_packages=(nftables iptables iproute2 conntrack tinyproxy-bin)  # tinyproxy: of the shipped scenarios
test_packages=(catch2 ffmpeg mplayer mpv wget vlc-bin vlc-plugin-base tshark python3 python3-jsonschema python3-yaml libmms-dev procps netcat-openbsd curl ipset
    libcap2-bin squid openssh-server openssh-client dpkg-dev file libxml2-utils
    python3-impacket nmap smbclient samba)
# for tests/compose/run.sh and tests/package/deb.sh, which WMLAB_WITHOUT_DOCKER=1 leaves out
compose_packages=(docker.io docker-compose debootstrap)
fuzz_packages=(clang libclang-rt-14-dev)

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "wmlab: needs root to install packages: run as root, install sudo, or install by hand: $*" >&2; exit 3
    fi
}

# Installs those of the named packages that are not there yet; asks the network only when one is missing.
need() {
    local package missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# configure PRESET ON|OFF: with or without tests; once, and again when tests are wanted for the first time.
configure() {
    local cache=build/$1/CMakeCache.txt
    if [ -f "build/$1/build.ninja" ] && { [ "$2" = OFF ] || grep -q '^WMLAB_TESTS:BOOL=ON' "$cache"; }; then return 0; fi
    say "configuring $1"
    cmake --preset "$1" -DWMLAB_TESTS="$2" >/dev/null
}

# build PRESET [TARGET...]
build() {
    local preset=$1 target targets=()
    shift
    for target in "$@"; do targets+=(--target "$target"); done
    say "building $preset"
    cmake --build --preset "$preset" "${targets[@]}" >&2
}

# open_to_all COMMAND...: run by root, with a way into this directory for everybody. Tests that run as an ordinary user could not
# read it otherwise where it lies in one that is closed to others, as /root is. Seen by the command only: a mount namespace.
open_to_all() {
    local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups) closed=/ part parts status=0 hold
    if [ "$(id -u)" != 0 ] || "${nobody[@]}" test -r "$PWD"; then "$@"; return; fi
    IFS=/ read -ra parts <<<"$PWD"
    for part in "${parts[@]:1}"; do
        closed=${closed%/}/$part
        "${nobody[@]}" test -x "$closed" || break
    done
    hold=$(mktemp -d)
    unshare --mount -- bash -c '
        set -e
        hold=$1 here=$2 closed=$3
        shift 3
        mount --bind "$here" "$hold"
        mount -t tmpfs -o mode=755 none "$closed"
        mkdir -p "$here"
        mount --bind "$hold" "$here"
        cd "$here"
        exec "$@"' - "$hold" "$PWD" "$closed" "$@" || status=$?
    rmdir "$hold"
    return $status
}
