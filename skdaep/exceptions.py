"""Errors and warnings of skdaep; every message names the object, the column and what to do."""


class TableError(ValueError):
    """A table, or an object given instead of one, cannot be used."""


class SamplingError(TableError):
    """The points of some objects are too few, or do not vary, for what is to be made of them.

    Parameters
    ----------
    message : str
        What is missing.
    objects : iterable of int, default=()
        Indices in X of all these objects, where they are known.
    """

    def __init__(self, message: str, objects=()):
        super().__init__(message)
        self.objects = sorted(objects)


class DivergenceError(ArithmeticError):
    """The loss, its gradient or what was learned is not finite; the model was discarded.

    Parameters
    ----------
    names : list of int
        Indices in X of the objects concerned.
    """

    def __init__(self, names: list[int]):
        self.names = sorted(names)
        object_names = ", ".join(f"X[{i}]" for i in self.names)
        super().__init__(
            f"The loss, its gradient or the prediction is not finite for {object_names}. "
            f"Look for extreme values there, or lower learning_rate_init."
        )

    def __reduce__(self):
        return type(self), (self.names,)


class DeviceError(RuntimeError):
    """The requested device does not exist on this machine."""


class RankError(RuntimeError):
    """Several processes cannot train one model: they do not fit it, or one of them is gone."""


class CorruptModelError(ValueError):
    """A model file is damaged, incomplete or of another format."""


class CorruptStoreError(ValueError):
    """A folder is no store of objects, or one that is incomplete, damaged or of another format."""


class DatasetError(OSError):
    """A public data set is not available, or a file differs from what was published."""


class InterruptedTrainingWarning(UserWarning):
    """Training was interrupted; the model reached so far was kept."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; training went on without."""


class LevelOnlyWarning(UserWarning):
    """A fit explains little of light curves but the level of each: unfolded periodic ones, or training too short."""


class OutOfRangeWarning(UserWarning):
    """Numbers lie far outside the range of the others, or of fit: perhaps another unit, or a sentinel."""


class UnusedColumnWarning(UserWarning):
    """A column looks like it should be used, but is not."""


class UnverifiedDownloadWarning(UserWarning):
    """A file without a published checksum was downloaded for the first time and is trusted."""
