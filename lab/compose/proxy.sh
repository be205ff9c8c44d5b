#!/bin/sh
# The web proxy of lab/compose.yaml.   proxy.sh NETWORK GATEWAY
set -eu
ip route del default 2>/dev/null || true
ip route replace "$1" via "$2"
cat > /tmp/tinyproxy.conf <<'CONF'
Port 3128
Timeout 60
MaxClients 100
ConnectPort 443
CONF
exec setpriv --reuid nobody --regid nogroup --clear-groups --bounding-set -all --inh-caps -all tinyproxy -d -c /tmp/tinyproxy.conf
