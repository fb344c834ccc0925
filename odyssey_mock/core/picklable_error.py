"""`PicklableError`: the base of errors whose constructor takes something else than their message."""


class PicklableError(Exception):
    """An error that `pickle` and `copy` restore from what it has, notes included; they do not call its class."""

    def __reduce__(self) -> tuple[object, ...]:
        state = dict(vars(self))
        if "__notes__" in state:
            state["__notes__"] = list(state["__notes__"])  # a note on a copy is none on the original
        return _restored, (type(self), self.args), state


def _restored(kind: type[PicklableError], args: tuple[object, ...]) -> PicklableError:
    """Make an error that has no attributes yet."""
    error = kind.__new__(kind)
    error.args = args
    return error
