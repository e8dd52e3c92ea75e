"""Makes a test class of each class of dbt's package that the list names, whether it is one to be inherited or a test."""

import importlib

import overrides
import selection


def adopt():
    classes = {}
    for upstream in sorted({test.upstream for test in selection.read()}):
        module, name = upstream.split("::")
        base = getattr(importlib.import_module(f"dbt.tests.adapter.{module}"), name)
        ours = [mixin for overridden, mixin in overrides.OVERRIDES.items() if issubclass(base, overridden)]
        title = "Test_" + upstream.replace(".", "_").replace("::", "_")
        classes[title] = type(title, (*ours, base), {"__module__": __name__, "__test__": True, "upstream": upstream})
    return classes


globals().update(adopt())
