#!/bin/sh
# Checks what the system itself must bring. As root on Debian or Ubuntu it installs what is missing;
# otherwise it prints the one command that does.
set -eu
python=${1:-}
missing=""

if [ -z "$python" ]; then
    missing="$missing python3 python3-venv"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$missing python3-venv"
fi
PATH="$PATH:/usr/sbin:/usr/local/sbin"
command -v mosquitto >/dev/null || missing="$missing mosquitto"
command -v mongod >/dev/null || ldconfig -p 2>/dev/null | grep -q 'libcurl\.so\.4' || missing="$missing libcurl4"

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing ..."
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    exit 0
fi
echo "missing:$missing. Install it with: sudo apt-get update && sudo apt-get install -y$missing" >&2
exit 1
