#!/usr/bin/env bash
# Make a virtual environment and install aurefine into it.
#
#   tools/make_venv.sh VENV [EXTRA]
#
# Uses the newest Python of 3.11 or later that works; $PYTHON names another one.  Debian keeps
# the module venv in a package of its own: it is installed here if that needs no password.

set -euo pipefail

venv=$1
extra=${2:-}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local name
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python3.14; do
        # a name in PATH need not work: version managers leave scripts that only print an error
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

has_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" = 0 ] || { command -v sudo && sudo -n true; } >/dev/null 2>&1
}

apt_install() {
    say "installing system packages: $*"
    {
        as_root apt-get update -qq || true
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"
    } >"$log" 2>&1 || { tail -n 5 "$log" >&2; return 1; }
}

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
    if ! python=$(find_python); then
        if may_install; then apt_install python3 python3-venv || true; fi
        python=$(find_python) || {
            say "error: found no Python of version 3.11 or later (found: $(
                python3 --version 2>/dev/null || echo none))."
            say "On Debian 12, Ubuntu 24.04 or newer:  sudo apt-get install python3 python3-venv"
            say "Elsewhere install one and name it:    make PYTHON=/path/to/python3.12 ..."
            exit 1
        }
    fi
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if ! has_venv "$python"; then
        if may_install; then
            apt_install "$version-venv" || apt_install python3-venv || true
        fi
        has_venv "$python" || {
            say "error: $python lacks the module venv or ensurepip."
            say "On Debian or Ubuntu:  sudo apt-get install $version-venv"
            say "then run make again."
            exit 1
        }
    fi
    say "making $venv with $version ($python)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

say "installing aurefine${extra:+ and what its development needs} into $venv"
if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable ".${extra:+[$extra]}" >"$log" 2>&1; then
    cat "$log" >&2
    say "error: pip could not install aurefine (see above). It needs access to a package index;"
    say "behind a proxy set https_proxy, or index-url in pip's configuration."
    exit 1
fi
