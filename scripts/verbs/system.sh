# the tests on machines with a real systemd: Debian 12 and Debian 13
#
# Usage: ./dev system [PYTEST ARGUMENTS]
#
# Boots throw-away machines in which systemd is PID 1 (systemd-nspawn over an overlay), installs our Debian packages (see
# ./dev deb) and runs tests/system in them; ./dev test runs those of them that are short.
# Needs root. The first time it makes the root file systems they start from, a minute or two each, and keeps them in
# /var/cache/spyglass-machines (1.5 GB); they are made again only when tests/system/base.py asks for something else. The
# machines have no network and are gone when the tests are. With arguments: pytest with these, e.g.
#   ./dev system -k reboot
. scripts/machines.sh
if [[ $(id -u) == 0 ]]; then
    prepare_machines
else
    set_up
fi
run_tests .venv/bin/python -m pytest tests/system "$@"
