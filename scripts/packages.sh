# Which packages, by purpose. Names that carry a version are looked up in what the system offers, so that Debian 12 and 13 get
# their own. Read by common.sh and by lab/Dockerfile; bash.

packages_stand() { [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }

# newest PATTERN: of the packages whose whole name matches (extended regular expression), the one that is installed, else the newest
# that there is. Nothing: there is none, or the package lists were never fetched.
newest() {
    local found
    found=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii //p' | grep -xE "$1" | sort -V | tail -n 1)
    [ -n "$found" ] || found=$(apt-cache pkgnames 2>/dev/null | grep -xE "$1" | sort -V | tail -n 1)
    echo "$found"
}

# Boost.URL came with 1.81. The system's own version where it is new enough, else the newest that is there beside it.
boost_version() {
    local own
    own=$(apt-cache depends libboost-dev 2>/dev/null | sed -n 's/^ *Depends: libboost\(1\.[0-9]*\)-dev$/\1/p' | head -n 1)
    case $own in 1.8[1-9] | 1.9?) echo "$own" ;; *) newest 'libboost1\.(8[1-9]|9[0-9])-dev' | sed 's/^libboost//; s/-dev$//' ;; esac
}

# packages_for PURPOSE: one name a line. An empty version shows as a name that does not exist, which need() takes for "fetch the lists".
packages_for() {
    local boost clang
    case $1 in
        build)
            boost=$(boost_version)
            printf '%s\n' g++ cmake ninja-build ccache git ca-certificates "libboost$boost-dev" "libboost-program-options$boost-dev" \
                "libboost-json$boost-dev" "libboost-url$boost-dev" libspdlog-dev libyaml-cpp-dev libnftables-dev libarchive-dev libssl-dev ;;
        run) # patch: for what --suggest writes; tinyproxy: of the shipped scenarios
            printf '%s\n' nftables iptables iproute2 patch tinyproxy-bin ;;
        libraries) # what the programs are linked to
            printf '%s\n' "$(newest 'libboost-program-options1\.(8[1-9]|9[0-9])\.[0-9](t64)?')" "$(newest 'libboost-json1\.(8[1-9]|9[0-9])\.[0-9](t64)?')" \
                "$(newest 'libboost-url1\.(8[1-9]|9[0-9])\.[0-9](t64)?')" "$(newest 'libspdlog1\.[0-9]+(t64)?')" "$(newest 'libyaml-cpp0\.[0-9]+(t64)?')" \
                libnftables1 "$(newest 'libarchive13(t64)?')" "$(newest 'libssl3(t64)?')" ;;
        test)
            printf '%s\n' catch2 ffmpeg mplayer mpv wget vlc-bin vlc-plugin-base tshark python3 python3-jsonschema python3-yaml libmms-dev procps curl ipset conntrack \
                squid openssh-server openssh-client dpkg-dev file libxml2-utils python3-impacket nmap smbclient samba cmark-gfm ;;
        compose) # for tests/compose/run.sh and tests/package/deb.sh, which WMLAB_WITHOUT_DOCKER=1 leaves out
            printf '%s\n' docker.io docker-compose debootstrap ;;
        fuzz)
            clang=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
            printf '%s\n' clang "libclang-rt-$clang-dev" ;;
    esac
}
