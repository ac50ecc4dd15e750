# check the model of falling asleep, and that each mistake in it is found (Spin)
#
# Usage: ./dev proof [--short | --long] [--story] [MUTATION ...]
#
# Looks with Spin at everything that can happen in docs/proof/sleep.pml: no promise may be broken. Then at each mutation, a
# protocol with one mistake: the right promise must be. Takes three minutes on one core and 1.3 GiB; --short, which CI runs, two
# minutes; --long, with more of everything, nine minutes and 2.3 GiB. With names: only these mutations. --story tells how it
# comes to each. What is modelled and what is not: docs/proof/README.md.
set_up spin:spin gcc:gcc
exec .venv/bin/python scripts/proof.py "$@"
