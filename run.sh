#!/usr/bin/env bash
# Installs what is missing (apt), builds, and runs the main job: every stream of KB189416 through a real firewall.
# Works on a bare Debian 12 or 13 as root or with sudo, from any directory. Arguments go to `wmlab run` instead of the default.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
. scripts/common.sh

need build run
configure release OFF
build release wmlab server_sim client_sim encoder_sim
[ $# -gt 0 ] || set -- scenarios/kb189416.yaml
exec build/release/bin/wmlab run "$@"
