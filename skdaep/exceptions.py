"""Errors and warnings of skdaep; every message names the object, the column and what to do."""


class TableError(ValueError):
    """A Table, or another object passed instead of one, cannot be used."""


class SamplingError(TableError):
    """Some objects have too few points, or points that do not vary.

    Parameters
    ----------
    message : str
        What is missing.
    objects : iterable of int, default=()
        Indices in X of all these objects, if known.
    """

    def __init__(self, message: str, objects=()):
        super().__init__(message)
        self.objects = sorted(objects)


class DivergenceError(ArithmeticError):
    """The loss, its gradient or the weights are not finite; the model was discarded.

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
    """Several processes cannot train one model: their data or settings differ, or one of them died."""


class CorruptModelError(ValueError):
    """A model file is damaged, incomplete or of another format."""


class CorruptStoreError(ValueError):
    """A folder is not a store of objects, or the store is incomplete, damaged or of another format."""


class DatasetError(OSError):
    """A public data set is not available, or a file differs from what was published."""


class InterruptedTrainingWarning(UserWarning):
    """Training was interrupted; the current model was kept."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; training continued without it."""


class LevelOnlyWarning(UserWarning):
    """A fit explains little more than the mean level of each light curve."""


class OutOfRangeWarning(UserWarning):
    """Numbers lie far outside the range of the others, or of fit, perhaps because of a unit or a sentinel."""


class UnusedColumnWarning(UserWarning):
    """A column looks like it should be used, but is not."""


class UnknownBandWarning(UserWarning):
    """Points are in bands that a pretrained model does not know, and are not used."""


class UnverifiedDownloadWarning(UserWarning):
    """A file without a published checksum was downloaded for the first time and is trusted."""
