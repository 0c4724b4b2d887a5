#!/bin/sh
# Install, upgrade, join and remove the agent on a Debian or Ubuntu box (x86-64, arm64).
#
# What always holds: a second run upgrades and keeps config, secrets and data; a run that fails leaves the
# installed agent as it was, because each version lies in a folder of its own and one link is moved at the end.
set -eu
umask 022

usage() {
    cat <<'TEXT'
usage: sudo systemd/install.sh [--join URL --node NAME --code CODE --fingerprint FP] [options]
       sudo systemd/install.sh --uninstall [--purge]

  --join URL         mqtts://HOST:8883 of the centre; the whole line comes from `gb-aggregator add-node NAME`
  --node NAME        the box's name (default with no --join: this machine's name)
  --code CODE        the one-time code; - reads it from standard input
  --fingerprint FP   SHA-256 of the centre's authority
  --source SOURCE    the first camera: 0, /dev/video0, rtsp://..., a file (default: 0); kept out of a config that exists
  --model MODEL      traffic, mask, mask-free or an .onnx file (default: traffic)
  --from PATH        a clone, a wheel or an sdist (default: the clone that this script lies in)
  --wheels DIR       take every package from this folder, none from the network
  --uninstall        remove the agent; config and data stay
  --purge            with --uninstall: remove config, secrets, data and the user too
TEXT
}

say() { printf 'gb-agent: %s\n' "$*"; }
fail() { printf 'gb-agent: %s\n' "$*" >&2; exit 1; }
wrong() { printf 'gb-agent: %s. See --help\n' "$*" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
opt=/opt/gb-agent
etc=/etc/gb-agent
state=/var/lib/gb-agent
unit=/etc/systemd/system/gb-agent.service
join='' node='' code='' fingerprint='' source='' model='' from='' wheels='' action=install purge=no

need() { [ -n "${2:-}" ] || wrong "$1 needs a value"; }
while [ "$#" -gt 0 ]; do
    case $1 in
        --join) need "$@"; join=$2; shift ;;
        --node) need "$@"; node=$2; shift ;;
        --code) need "$@"; code=$2; shift ;;
        --fingerprint) need "$@"; fingerprint=$2; shift ;;
        --source) need "$@"; source=$2; shift ;;
        --model) need "$@"; model=$2; shift ;;
        --from) need "$@"; from=$2; shift ;;
        --wheels) need "$@"; wheels=$2; shift ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        -h | --help) usage; exit 0 ;;
        *) wrong "unknown argument $1" ;;
    esac
    shift
done

booted() { [ -d /run/systemd/system ]; }

uninstall() {
    if booted; then systemctl disable --now --quiet gb-agent.service 2>/dev/null || true
    else systemctl disable --quiet gb-agent.service 2>/dev/null || true; fi
    rm -rf "$unit" "$opt" /usr/local/bin/gb-agent
    if booted; then systemctl daemon-reload; fi
    if [ "$purge" = yes ]; then
        rm -rf "$etc" "$state" "$unit.d"
        if id gb-agent >/dev/null 2>&1; then userdel gb-agent; fi
        say "removed, with its config, secrets and data. On the centre: gb-aggregator remove-node NAME"
    else
        say "removed. Config and data stay in $etc and $state; --uninstall --purge removes them too"
    fi
}

check_arguments() {
    if [ -n "$join" ]; then
        for value in node code fingerprint; do
            eval "[ -n \"\$$value\" ]" || wrong "--join needs --$value; copy the whole line that add-node printed"
        done
    elif [ -n "$code$fingerprint" ]; then
        wrong "--code and --fingerprint need --join"
    fi
    from=${from:-$(dirname "$here")}
    [ -e "$from" ] || wrong "--from $from: there is no such file or folder"
    if [ -d "$from" ] && [ ! -f "$from/pyproject.toml" ]; then
        wrong "--from $from: no pyproject.toml in it; name a clone, a wheel or an sdist"
    fi
    [ -z "$wheels" ] || [ -d "$wheels" ] || wrong "--wheels $wheels: there is no such folder"
}

python_fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for python in python3 python3.13 python3.12 python3.11; do
        if python_fits "$python"; then return 0; fi
    done
    return 1
}

packages() {
    command -v apt-get >/dev/null || fail "needs apt-get (Debian 12 or newer, Ubuntu 22.04 or newer)"
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update -qq && apt-get install -qq --no-install-recommends "$@" >/dev/null
}

prepare_python() {
    for package in python3 python3.11; do # Ubuntu 22.04 has 3.11 beside its own
        if find_python; then break; fi
        packages "$package" || true
    done
    find_python || fail "needs Python 3.11 or newer; this system has none to install"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        packages "python$version-venv" || fail "apt-get could not install python$version-venv"
    fi
}

# The build works on a copy: it would leave files of root in the clone.
copy_source() {
    mkdir "$work/source"
    for name in pyproject.toml README.md LICENSE agent aggregator export; do
        if [ -e "$from/$name" ]; then
            tar -C "$from" --exclude=node_modules --exclude=__pycache__ --exclude=web -cf - "$name" \
                | tar -C "$work/source" -xf -
        fi
    done
    from=$work/source
}

install_release() {
    work=$(mktemp -d)
    release=$opt/$(date -u +%Y%m%d-%H%M%S)-$$
    trap 'rm -rf "$work"; [ "$(readlink "$opt/current" 2>/dev/null)" = "$release" ] || rm -rf "$release"' EXIT
    mkdir -p "$opt"
    say "installing into $release (some minutes on a small box)"
    set -- --quiet --no-cache-dir --disable-pip-version-check
    if [ -d "$from" ]; then
        if [ -f "$from/requirements.lock" ]; then set -- "$@" --constraint "$from/requirements.lock"; fi
        copy_source
    fi
    "$python" -m venv "$release"
    if [ -n "$wheels" ]; then set -- "$@" --no-index --find-links "$wheels"; fi
    "$release/bin/pip" install "$@" "${from}[agent]" || fail "pip could not install the agent; nothing was changed"
    "$release/bin/gb-agent" --help >/dev/null || fail "the new version does not start; nothing was changed"
}

make_user() {
    if ! id gb-agent >/dev/null 2>&1; then
        useradd --system --user-group --home-dir "$state" --no-create-home --shell /usr/sbin/nologin gb-agent
    fi
    usermod --append --groups video gb-agent
    install -d -m 0750 -o root -g gb-agent "$etc"
    install -d -m 0700 -o gb-agent -g gb-agent "$state"
}

quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

first_config() {
    if [ -f "$etc/agent.toml" ]; then
        [ -z "$source" ] || say "$etc/agent.toml is kept; change the camera there"
        return
    fi
    source=${source:-0}
    model=${model:-traffic}
    name=${node:-$(uname -n | cut -d. -f1 | tr 'A-Z_' 'a-z-' | tr -cd 'a-z0-9-' | sed 's/^-*//' | cut -c1-28)}
    [ "${#name}" -ge 3 ] || name=box-$name
    (
        umask 077
        cat >"$etc/agent.toml.first" <<TOML
# This box. 'gb-agent check' tries all of it and says in words what is wrong.

node = $(quoted "$name")
state_dir = "$state"

[camera.cam0]
source = $(quoted "$source")
model = $(quoted "$model")

[camera.cam0.lines.main]                # moved in the centre's page
points = [[0.0, 0.6], [1.0, 0.6]]
TOML
    )
    chown root:gb-agent "$etc/agent.toml.first"
    chmod 0640 "$etc/agent.toml.first"
    mv "$etc/agent.toml.first" "$etc/agent.toml"
    say "camera cam0: source $source, model $model. After a change of $etc/agent.toml: sudo systemctl reload gb-agent"
    case $model in
        mask | mask-int8) say "the weights of $model are for research use; mask-free may be used for anything" ;;
    esac
}

join_centre() {
    if [ "$code" = - ]; then read -r code; fi
    said=$(printf '%s\n' "$code" \
        | "$release/bin/gb-agent" enrol "$join" "$node" - "$fingerprint" --config "$etc/agent.toml") \
        || fail "not joined; the agent is installed, run the line again when this is mended"
    printf '%s\n' "$said" | sed '/^next:/d' # what comes next is done here
}

# What opens the box's own page, where its owner turns that on ([page] in agent.toml).
page_token() {
    [ -s "$state/page-token" ] && return
    (umask 077 && "$release/bin/python" -c 'import secrets; print(secrets.token_urlsafe(24))' >"$state/page-token")
    chown gb-agent:gb-agent "$state/page-token"
}

activate() {
    ln -sfn "$release" "$opt/current.new"
    mv -T "$opt/current.new" "$opt/current"
    ln -sf "$opt/current/bin/gb-agent" /usr/local/bin/gb-agent
    install -m 0644 "$here/gb-agent.service" "$unit"
}

# Only after the restart: the agent that ran may still load parts of its own version.
remove_old_releases() {
    for old in "$opt"/2*; do
        [ "$old" = "$release" ] || rm -rf "$old"
    done
}

start() {
    if ! booted; then
        systemctl enable --quiet gb-agent.service
        say "installed; it starts when this system boots"
        return
    fi
    systemctl daemon-reload
    systemctl enable --quiet gb-agent.service
    if systemctl restart gb-agent.service; then
        say "runs. Look at it with: systemctl status gb-agent; sudo gb-agent status; journalctl -u gb-agent"
    else
        journalctl --no-pager -o cat -n 5 -u gb-agent || true
        fail "installed, but it does not start; see the lines above. systemd goes on trying"
    fi
}

if [ "$action" = install ]; then check_arguments; fi
[ "$(uname -s)" = Linux ] || fail "needs Linux"
[ "$(id -u)" = 0 ] || fail "must run as root: sudo $0 ..."
command -v systemctl >/dev/null || fail "needs a system with systemd"
if [ "$action" = uninstall ]; then uninstall; exit 0; fi
case $(uname -m) in
    x86_64 | aarch64) ;;
    *) fail "needs a 64-bit system (x86-64 or arm64); this one is $(uname -m)" ;;
esac
prepare_python
install_release
make_user
page_token
first_config
activate
joined=yes
if [ -n "$join" ]; then (join_centre) || joined=no; fi
start
remove_old_releases
[ -n "$join" ] || grep -q '^url' "$etc/agent.toml" || say "not joined yet: run the line that 'gb-aggregator add-node' prints on the centre"
[ "$joined" = yes ] || exit 1
