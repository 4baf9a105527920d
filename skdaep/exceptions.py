"""Errors and warnings of skdaep; every message names the object, the column and what to do."""


class TableError(ValueError):
    """A table, or something given as one, cannot be used as it is."""


class DivergenceError(ArithmeticError):
    """Training met a loss or gradient that is not finite; the model was not kept.

    Parameters
    ----------
    names : list of int
        Indices in X of the objects concerned.
    """

    def __init__(self, names: list[int]):
        self.names = sorted(names)
        where = ", ".join(f"X[{i}]" for i in self.names)
        super().__init__(
            f"The loss or its gradient is not finite for {where}. "
            f"Look for extreme values there, or lower learning_rate_init."
        )

    def __reduce__(self):
        return type(self), (self.names,)


class DeviceError(RuntimeError):
    """The device asked for does not exist on this machine."""


class RankError(RuntimeError):
    """Several processes cannot train one model: they do not fit it, or one of them is gone."""


class CorruptModelError(ValueError):
    """A model file is damaged, incomplete or of another format."""


class DatasetError(OSError):
    """A public data set cannot be had, or a file of it is not what was published."""


class InterruptedTrainingWarning(UserWarning):
    """Training was interrupted; the model reached so far was kept."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; training went on without."""


class OutOfRangeWarning(UserWarning):
    """Numbers lie far outside what the others, or those of fit, span: perhaps another unit, or a sentinel."""


class UnusedColumnWarning(UserWarning):
    """A column looks like one that plays a role, but plays none."""


class UnverifiedDownloadWarning(UserWarning):
    """A file without a published checksum came for the first time: what came is taken for what was meant."""
