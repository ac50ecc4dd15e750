# What a verb needs that boots machines: the tools, and a base of each Debian release. Only for root: nobody else can.
# Sourced after scripts/setup.sh.

prepare_machines() {
    set_up systemd-nspawn:systemd-container mmdebstrap:mmdebstrap
    .venv/bin/python tests/system/base.py
}
