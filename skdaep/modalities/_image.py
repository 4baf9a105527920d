"""Images: square patches of pixels at places in a plane."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np
import torch
from torch import Tensor, nn

from .. import tables
from ..exceptions import TableError
from ..nn.batch import Batch
from ..nn.positions import Sinusoids, frequency_range
from ._base import Modality
from ._inlet import ImageInlet, Inlet
from ._learned import EXTREME, Scaling, spoiler
from ._reading import remedy
from ._record import PLANE, Record, storable
from ._spread import check_spread


@storable
@dataclass(frozen=True)
class LearnedImage:
    """What `Image.learn` found in the training objects."""

    shape: tuple[int, int, int]  # rows, columns, channels
    has_channels: bool  # whether the user's arrays have an axis for them
    value: Scaling
    unit: str | None = None  # of the training images

    def __post_init__(self):
        if min(self.shape) < 1 or not (self.has_channels or self.shape[2] == 1):
            raise ValueError(f"images of shape {self.shape!r}")


@dataclass(frozen=True)
class Image(Modality):
    """Declare a modality of images of one size: arrays ``(n, H, W)`` or ``(n, H, W, C)``, or a list of them.

    A point is a square patch. A patch with a NaN pixel (or a masked one, in an `~astropy.nddata.NDData`) is not
    observed. The unit of the first image, if it has one, is that of fit. Other images are converted to this unit;
    images without a unit are assumed to have it. Decoded images are plain arrays in this unit. The uncertainty of an
    NDData is not used.

    Parameters
    ----------
    patch_size : int, default=4
        Side length of a patch in pixels; must divide height and width.
    flips : bool, default=True
        Whether training mirrors images at random: left to right, top to bottom, both or not.
    learned : LearnedImage or None, default=None
        What `learn` found. Do not set it yourself.

    Examples
    --------
    >>> import numpy as np
    >>> from skdaep import DAEPEncoder, Image
    >>> images = np.random.default_rng(0).normal(size=(20, 8, 8))
    >>> encoder = DAEPEncoder(Image(), model_dim=16, max_iter=3, random_state=0).fit(images)
    >>> encoder.reconstruct(images).shape
    (20, 8, 8)
    """

    patch_size: int = 4
    flips: bool = True
    learned: LearnedImage | None = field(default=None, repr=False)

    geometry = PLANE
    stacks = True

    # --- learning -----------------------------------------------------------------------------------

    def objects(self, X, name: str) -> Iterator[np.ndarray]:
        """Yield the images of X as `one` has them."""
        tables.check_collection(X, name, "a list or an array of images")
        if hasattr(X, "shape") and len(X.shape) not in (3, 4):
            raise TableError(f"{name} has shape {tuple(X.shape)}; images need (n, H, W) or (n, H, W, C).")
        yield from (self.one(image, f"{name}[{i}]") for i, image in enumerate(X))

    def one(self, obj, object_name: str) -> np.ndarray:
        """Return a float64 array (H, W) or (H, W, C), NaN where masked; a Quantity if there is a unit."""
        return _pixels(obj, object_name)

    def is_one(self, X) -> bool:
        """Return whether X is an image."""
        return hasattr(X, "uncertainty") or getattr(X, "ndim", None) == len(self._user_shape)

    def learn(self, objects: list, object_names: list[str] | None = None) -> Image:
        """Return a copy that has learned the size and the scaling of the images."""
        if not (isinstance(self.patch_size, Integral) and self.patch_size >= 1):
            raise ValueError(f"Image(patch_size={self.patch_size!r}): a positive int is needed.")
        object_names = object_names or [f"X[{i}]" for i in range(len(objects))]
        height, width, *channels = objects[0].shape
        if height % self.patch_size or width % self.patch_size:
            raise TableError(
                f"{object_names[0]} has {height} x {width} pixels, not a multiple of patch_size={self.patch_size}. "
                f"Cut or pad the images, or choose another Image(patch_size=...)."
            )
        for image, name in zip(objects, object_names, strict=True):
            _check_shape(image, objects[0].shape, name, f"{object_names[0]} has")
        unit = _unit_of(objects[0])
        objects = [
            _converted(image, unit, name, object_names[0]) for image, name in zip(objects, object_names, strict=True)
        ]
        pixels = np.concatenate([image[np.isfinite(image)] for image in objects])
        if not len(pixels):
            raise TableError("X has no finite pixel.")
        owner = np.repeat(np.arange(len(objects)), [np.isfinite(image).sum() for image in objects])
        check_spread(pixels, f"{object_names[0]} and the others: the value of their pixels")
        if (i := spoiler(pixels, owner)) is not None:
            _refuse_extreme(objects[owner[i]], pixels[i], object_names[owner[i]])
        shape = (height, width, *(channels or [1]))
        return replace(self, learned=LearnedImage(shape, bool(channels), Scaling.of(pixels), unit))

    # --- reading and writing ------------------------------------------------------------------------

    def n_points(self, obj) -> int:
        """Return the number of patches."""
        return math.prod(self._n_patches)

    def read(self, obj, object_name: str, values: bool = True) -> Record:
        """Return one image as scaled patches and their places."""
        _check_shape(obj, self._user_shape, object_name, "the images of fit have")
        obj = _converted(obj, self.learned.unit, object_name)
        beyond = self.learned.value.extreme(obj)
        if beyond.any():
            _refuse_extreme(obj, obj[beyond][0], object_name)
        scaled = self.learned.value.forward(obj.reshape(self.learned.shape))
        patches = self._to_patches(scaled).astype(np.float32)  # (L, P)
        observed = np.isfinite(patches).all(1)
        patches[~observed] = np.nan  # pixels of unobserved patches must not affect the content key
        if values and not observed.any():
            raise TableError(f"{object_name} has no patch without NaN; {remedy(object_name)}.")
        n = len(patches)
        return Record(
            value=patches,
            location=self._places(),
            band=np.zeros(n, np.int64),
            error=np.full(n, np.nan, np.float32),
            observed=observed,
            numbers=np.zeros(0, np.float32),
            labels=np.zeros(0, np.int64),
        )

    @property
    def dtype(self) -> type:
        return self.learned.value.dtype

    def unscale(self, values: np.ndarray, record: Record) -> np.ndarray:
        """Return the image (H, W[, C][, n_draws]) of patches (L, P[, n_draws])."""
        rows, columns, p = *self._n_patches, self.patch_size
        draws = values.shape[2:]
        grid = values.reshape(rows, columns, p, p, self.learned.shape[2], *draws)
        image = grid.swapaxes(1, 2).reshape(*self._user_shape, *draws)
        return self.learned.value.back(image.astype(np.float64))

    def write(self, values: np.ndarray, template) -> np.ndarray:
        """Return the image."""
        return values

    def values_at(self, record: Record, target: Record) -> np.ndarray:
        """Return the patches (L, P) at the same places; NaN for those that the record lacks."""
        values = np.full((len(target), record.value.shape[1]), np.nan, record.value.dtype)
        same = (target.location[:, None] == record.location).all(-1)  # (L, L')
        at, own = np.nonzero(same & record.observed)
        values[at] = record.value[own]
        return values

    def typical_metadata(self, record: Record) -> Record:
        """Return the record: images have no metadata."""
        return record

    def grid(self) -> np.ndarray:
        """Return an image without pixels."""
        return np.full(self._user_shape, np.nan)

    @property
    def _user_shape(self) -> tuple[int, ...]:
        return self.learned.shape if self.learned.has_channels else self.learned.shape[:2]

    @property
    def _n_patches(self) -> tuple[int, int]:
        height, width, _ = self.learned.shape
        return height // self.patch_size, width // self.patch_size

    def _to_patches(self, image: np.ndarray) -> np.ndarray:
        rows, columns, p = *self._n_patches, self.patch_size
        return image.reshape(rows, p, columns, p, -1).swapaxes(1, 2).reshape(rows * columns, -1)

    def _places(self) -> np.ndarray:
        """Return the centres (L, 2) of the patches, row and column, between -1 and 1. A mirrored image has the same."""
        centres = [(2 * np.arange(n) + 1) / n - 1 for n in self._n_patches]
        return np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)

    # --- networks -----------------------------------------------------------------------------------

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Mirror objects at random: places change sign, and the pixels of a patch change their order."""
        if not self.flips:
            return batch
        p = self.patch_size
        value, location = batch.value.unflatten(2, (p, p, -1)), batch.location.clone()  # (B, L, p, p, C), (B, L, 2)
        for axis in (0, 1):
            turn = torch.rand(len(batch), generator=generator, device=generator.device) < 0.5
            value = torch.where(turn.view(-1, 1, 1, 1, 1), value.flip(2 + axis), value)
            location[..., axis] *= torch.where(turn, -1.0, 1.0)[:, None]
        return batch.replace(value=value.flatten(2), location=location)

    def inlet(self) -> Inlet:
        """Return a module that turns images into a batch."""
        return ImageInlet(self) if type(self).read is Image.read else Modality.inlet(self)

    def tokenizer(self, model_dim: int) -> ImageTokenizer:
        """Return a new tokenizer."""
        return ImageTokenizer(model_dim, self.patch_size, self.learned.shape[2], max(self._n_patches))

    def head(self, model_dim: int) -> nn.Module:
        """Return a new head that turns output tokens (B, L, W) into patches (B, L, P)."""
        return nn.Sequential(nn.LayerNorm(model_dim), nn.Linear(model_dim, self.patch_size**2 * self.learned.shape[2]))


class ImageTokenizer(nn.Module):
    r"""Turn patches into tokens of width W = model_dim: :math:`\mathrm{CNN}(v) + \mathrm{MLP}(\phi(y), \phi(x))`.

    The features of row and column are concatenated, so that (i, j) and (j, i) differ. The CNN sees one patch at a time,
    so only attention combines patches (daep, appendix A.3).
    """

    def __init__(self, model_dim: int, patch_size: int, n_channels: int, n_patches: int):
        super().__init__()
        self.patch_size = patch_size
        self.features = Sinusoids(*frequency_range(extent=2.0, resolution=2.0 / n_patches))
        width = 2 * self.features.width
        self.place = nn.Sequential(nn.Linear(width, model_dim), nn.GELU(), nn.Linear(model_dim, model_dim))
        self.cnn = nn.Sequential(
            nn.Conv2d(n_channels, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, model_dim, patch_size)
        )

    def queries(self, batch: Batch) -> Tensor:
        """Return tokens of bare places (B, L, W)."""
        return self.place(self.features(batch.location).flatten(2))

    def add_values(self, queries: Tensor, value: Tensor) -> Tensor:
        """Return tokens of patches (B, L, W) from their queries and pixels (B, L, P)."""
        p = self.patch_size
        pixels = value.flatten(0, 1).unflatten(1, (p, p, -1)).movedim(3, 1)  # (B L, C, p, p)
        return queries + self.cnn(pixels).view(queries.shape)

    def context(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return an empty set of metadata tokens (B, 0, W), and which of them are present (B, 0)."""
        width = self.place[-1].out_features
        return batch.value.new_zeros(*batch.observed[:, :0].shape, width), batch.observed[:, :0]


def _pixels(image, object_name: str) -> np.ndarray:
    cells, mask = tables.bare(image)
    if cells.ndim not in (2, 3) or cells.dtype.kind not in "iufb":
        raise TableError(f"{object_name} is not an image: an array of real numbers (H, W) or (H, W, C) is needed.")
    if mask is not None and mask.shape != cells.shape[: mask.ndim]:
        raise TableError(f"{object_name} has a mask of shape {mask.shape}, but pixels of shape {cells.shape}.")
    pixels = tables.floats(image)
    if np.isinf(pixels).any():
        place = tuple(int(i) for i in np.argwhere(np.isinf(pixels))[0])
        raise TableError(f"{object_name} is infinite at pixel {place}; mask it or set it to NaN.")
    unit = getattr(image, "unit", None)
    return pixels if unit is None else pixels << unit


def _unit_of(image: np.ndarray) -> str | None:
    return image.unit.to_string() if hasattr(image, "unit") else None


def _converted(image: np.ndarray, unit: str | None, object_name: str, whose: str = "fit") -> np.ndarray:
    """Return the pixels in a unit, as a plain array."""
    return tables.convert(np.asarray(image), _unit_of(image), unit, object_name, whose)


def _refuse_extreme(image: np.ndarray, pixel: float, object_name: str) -> None:
    place = tuple(int(i) for i in np.argwhere(image == pixel)[0])
    raise TableError(f"{object_name} is {pixel:g} at pixel {place}, {EXTREME}.")


def _check_shape(image: np.ndarray, shape: tuple[int, ...], object_name: str, whose: str) -> None:
    if not isinstance(image, np.ndarray) or image.shape != tuple(shape):
        raise TableError(
            f"{object_name} has shape {np.shape(image)}, but {whose} {tuple(shape)}; bring all to one size."
        )
