"""Every place in a piece of JSON, and the same with one place changed."""
import copy


def places(value, path=()):
    """(path, value) of every member and element."""
    entries = (value.items() if isinstance(value, dict)
               else enumerate(value) if isinstance(value, list) else ())
    for key, inner in entries:
        yield (*path, key), inner
        yield from places(inner, (*path, key))


def changed(value, path, change):
    """A copy after change(parent, key) of the place at path."""
    value = parent = copy.deepcopy(value)
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return value
