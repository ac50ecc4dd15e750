# What a verb needs that boots machines: the tools, a base of each Debian release, our packages. Only for root: nobody else
# can. Sourced after scripts/setup.sh.

prepare_machines() {
    set_up systemd-nspawn:systemd-container mmdebstrap:mmdebstrap
    .venv/bin/python tests/system/base.py
    ./dev deb --if-changed
}
