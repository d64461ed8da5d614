"""Why a job runs, in words: which settings and source files changed, in place of all that it reads before and now."""

import ast

AT_MOST = 8  # changes told for a job


def changes(before, now):
    """What differs between two sets of params as Snakemake records them, the texts of their values."""
    old, new = named(before), named(now)
    told = [change(name, old.get(name), new.get(name)) for name in sorted(old | new) if old.get(name) != new.get(name)]
    return "; ".join([*told[:AT_MOST], *([f"and {len(told) - AT_MOST} more"] if len(told) > AT_MOST else [])])


def change(name, old, new):
    if name.startswith("code of "):
        return f"{name} changed" if old and new else f"{name} {'added' if new else 'removed'}"
    return f"{name}: {old or '(not there)'} -> {new or '(not there)'}"


def named(params):
    """Params by name: those that `reads` names, and others as names of themselves."""
    pairs = {}
    for text in params:
        value = ast.literal_eval(text)
        for item in value if isinstance(value, list) else [value]:
            name, _, set_to = str(item).partition(" = ")
            pairs[name] = set_to or "given"
    return pairs


# Not part of Snakemake's interface: should a later version call it otherwise, its own, longer text is shown.
try:
    from snakemake.persistence import ParamsChange

    ParamsChange.__str__ = lambda self: changes(self.only_old, self.only_new)
except ImportError:
    pass
