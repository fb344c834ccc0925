"""`PicklableError`, a base class for errors whose constructor has parameters other than the message."""

from typing import Self


class PicklableError(Exception):
    """An error that `pickle` and `copy` restore from its attributes and notes, without calling its constructor."""

    def because(self, why: str) -> Self:
        """Add a note (`BaseException.add_note`) that states which setting or state caused the error; return the error.

        The journal shows the note. Clients do not get it.
        """
        self.add_note(why)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        state = dict(vars(self))
        if "__notes__" in state:
            state["__notes__"] = list(state["__notes__"])  # a note added to a copy must not change the original
        return _restored, (type(self), self.args), state


def _restored(kind: type[PicklableError], args: tuple[object, ...]) -> PicklableError:
    """Create an error without calling its constructor; `pickle` or `copy` then sets the attributes."""
    error = kind.__new__(kind)
    error.args = args
    return error
