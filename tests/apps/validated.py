"""An app with wsgiref's validator around it: `validated:make()`, the app's name in $VALIDATED, `module:attribute`."""

from __future__ import annotations

import importlib
import os
from wsgiref.validate import validator


def make():
    module, _, attribute = os.environ["VALIDATED"].partition(":")
    return validator(getattr(importlib.import_module(module), attribute))
