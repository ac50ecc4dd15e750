# What the verbs share: Debian packages and the virtual environment, made once and again only when pyproject.toml changes.
# Asks nothing and knows no verb. Sourced by ./dev in the root of the checkout.

die() {
    printf './dev: %s\n' "$@" >&2
    exit 1
}

# The packages that are missing; filled by `need`, installed by `install_packages`.
packages=()

# need COMMAND PACKAGE...: the packages are wanted unless the command is there, whoever put it there.
need() {
    command -v "$1" >/dev/null || packages+=("${@:2}")
}

install_packages() {
    ((${#packages[@]})) || return 0
    local as=()
    if [[ $(id -u) != 0 ]]; then
        sudo -n true 2>/dev/null || die "missing Debian packages, and neither root nor a sudo that asks nothing:" \
            "apt-get install ${packages[*]}"
        as=(sudo -n)
    fi
    command -v apt-get >/dev/null || die "no apt-get here; what these Debian packages hold is missing: ${packages[*]}"
    printf 'Installing %s ...\n' "${packages[*]}" >&2
    # What is installed for a test must not start: apt asks this file (policy-rc.d(8)), and it goes again.
    local policy=/usr/sbin/policy-rc.d ours=
    if [[ ! -e $policy ]]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | "${as[@]}" tee "$policy" >/dev/null
        "${as[@]}" chmod 755 "$policy"
        trap "${as[*]} rm -f $policy" EXIT
    fi
    local apt=("${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    local install=("${apt[@]}" install -y --no-install-recommends "${packages[@]}")
    # Lists of packages that are missing or too old are the common failure; only then are they worth fetching.
    local output
    if ! "${install[@]}" </dev/null >/dev/null 2>&1 &&
        ! output=$({ "${apt[@]}" update && "${install[@]}"; } </dev/null 2>&1); then
        printf '%s\n' "$output" >&2
        die "cannot install ${packages[*]}"
    fi
    if [[ $ours ]]; then
        "${as[@]}" rm -f "$policy"
        trap - EXIT
    fi
    packages=()
}

# run_tests COMMAND...: pytest by this command. What fails is run once more by itself and must pass then: these tests wait for
# real processes on machines that others use too. It is named either way.
run_tests() {
    "$@" && return 0
    printf '\n===== once more, by themselves, the tests that failed\n'
    "$@" --last-failed --last-failed-no-failures none || return 1
    printf '===== they passed alone; each deserves a look\n'
}

# The path of a Python that can make our environment: new enough, with venv and the headers. Where `python3` is a shim
# that looks its interpreter up at each start, this is the interpreter itself.
find_python() {
    local name
    for name in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        "$name" - 2>/dev/null <<'PYTHON' && return 0
import os, sys, sysconfig
import ensurepip, venv
assert sys.version_info >= (3, 11)
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
print(sys.executable)
PYTHON
    done
    return 1
}

# What pip needs where a library has no wheel.
need_to_build() {
    need gcc gcc libc6-dev
    need pkg-config pkg-config
    pkg-config --exists libsystemd 2>/dev/null || packages+=(libsystemd-dev)
    find_python >/dev/null || packages+=(python3 python3-venv python3-dev)
}

# up_to_date DIRECTORY STAMP: the virtual environment was made from STAMP, and its interpreter has not changed since.
up_to_date() {
    [[ -f $1/made-from && $(<"$1/made-from") == "$2" ]] && "$1/bin/python" -c 'import pip' 2>/dev/null
}

# set_up [COMMAND:PACKAGE]...: the packages of these commands, and .venv with the project and all that its tests need.
set_up() {
    local each python
    local stamp="$PWD $(<pyproject.toml)"
    need systemd-socket-activate systemd
    for each; do need "${each%%:*}" "${each#*:}"; done
    up_to_date .venv "$stamp" || need_to_build
    install_packages
    up_to_date .venv "$stamp" && return 0

    mkdir -p .cache
    exec {lock}>.cache/setup.lock
    flock "$lock" # two verbs started at once make it one after the other
    if ! up_to_date .venv "$stamp"; then
        python=$(find_python) || die "no Python 3.11 or newer with its venv module and headers"
        printf 'Setting up .venv with %s ...\n' "$python" >&2
        .venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
        .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input \
            install --use-pep517 -e '.[dev,systemd-python]' </dev/null >&2
        printf '%s\n' "$stamp" >.venv/made-from
    fi
    exec {lock}>&-
}
