# Shared by run.sh and test.sh: how packages are installed, how a preset is built.

. scripts/packages.sh

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "wmlab: needs root to install packages: run as root, install sudo, or install by hand: $*" >&2; exit 3
    fi
}

# missing PURPOSE...: the packages for it that are not there yet.
missing() {
    local purpose package
    for purpose in "$@"; do
        for package in $(packages_for "$purpose"); do packages_stand "$package" || echo "$package"; done
    done
}

# need PURPOSE...: installs what is missing, and says first what that is; asks the network only when something is.
need() {
    local packages
    mapfile -t packages < <(missing "$@")
    [ ${#packages[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "wmlab: this system has no apt-get. It needs, by the names that Debian has for them:" >&2
        printf '  %s\n' "${packages[@]}" >&2
        echo "Install them, then configure and build: cmake --preset release && cmake --build --preset release" >&2
        exit 3
    fi
    say "fetching the lists of packages"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    mapfile -t packages < <(missing "$@")
    local package unknown=()
    for package in "${packages[@]}"; do apt-cache show "$package" >/dev/null 2>&1 || unknown+=("$package"); done
    if [ ${#unknown[@]} -gt 0 ]; then
        echo "wmlab: this system does not offer: ${unknown[*]}" >&2
        echo "It is built and tested on Debian 12 and 13. Needed are g++ 12 or clang 14, Boost 1.81 or newer with program_options, json and url," >&2
        echo "spdlog, yaml-cpp, libnftables, libmnl and libcap. Where they stand elsewhere: cmake --preset release && cmake --build --preset release" >&2
        exit 3
    fi
    say "installing ${#packages[@]} packages and what they need: ${packages[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
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
