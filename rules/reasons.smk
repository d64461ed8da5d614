"""Why a job runs, in words: which settings and source files changed, in place of all that it reads before and now."""

import ast

AT_MOST = 8  # changes told for a job


def changes(before, now):
    """What differs between two sets of params as Snakemake records them, the texts of their values."""
    (old, files_before), (new, files_now) = parsed(before), parsed(now)
    told = [change(name, old.get(name), new.get(name)) for name in sorted(old | new) if old.get(name) != new.get(name)]
    told += [f"now with {file}" for file in sorted(files_now - files_before)]
    told += [f"now without {file}" for file in sorted(files_before - files_now)]
    return ", ".join([*told[:AT_MOST], *([f"and {len(told) - AT_MOST} more"] if len(told) > AT_MOST else [])])


def change(name, old, new):
    if name.startswith("code of "):
        return f"{name} changed" if old and new else f"{name} {'added' if new else 'removed'}"
    return f"{name}: {old or '(not there)'} -> {new or '(not there)'}"


def parsed(params):
    """What `reads` made of settings and code, by name, and all other texts."""
    pairs, others = {}, set()
    for text in params:
        value = ast.literal_eval(text)
        for item in value if isinstance(value, list) else [value]:
            name, separator, set_to = str(item).partition(" = ")
            if separator:
                pairs[name] = set_to
            else:
                others.add(name)
    return pairs, others


# Not part of Snakemake's interface: should a later version call it otherwise, its own, longer text is shown.
try:
    from snakemake.persistence import ParamsChange

    ParamsChange.__str__ = lambda self: changes(self.only_old, self.only_new)
except ImportError:
    pass
