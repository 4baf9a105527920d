"""Contrastive encodings of several modalities, and training objects returned for what is asked."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

from ..exceptions import TableError
from ..objectives import Contrastive
from ._compat import Interval
from ._docs import documented
from ._multimodal import MultimodalEncoder, held_out
from ._neighbors import answer, metadata_of, pack, ranking, unpack

#: objects whose distances to all training objects are held at once
N_AT_ONCE = 256
DECODING = ("n_decoder_layers", "hidden_length")


@documented
class ContrastiveNeighbors(MultimodalEncoder):
    r"""Encode several modalities into one space by contrast, and answer with measurements of the nearest object of fit.

    The encoder is that of `MultimodalDAEP`, but reads each modality alone, and is trained so that the encodings of one
    object's modalities point the same way, and those of different objects do not. There is no decoder: what is asked
    of an object is answered with a measurement of its nearest neighbour among the objects of `fit`, all of which are
    kept. `transform` gives the mean of the unit-length encodings of the modalities that an object has, brought to unit
    length.

    Parameters
    ----------
    [modalities]
    metadata_tolerance : float, default=0.25
        Training objects may answer if their numerical metadata of the modality differ from those asked for by at most
        so many standard deviations of the training objects, and their labels not at all. If those are fewer than 10,
        the 10 nearest in metadata may. A label that no training object has with the others excludes none.
    [shared parameters]

    Attributes
    ----------
    [shared attributes]

    [raises]

    Notes
    -----
    The loss is the symmetric InfoNCE with a learned temperature, among the objects of a batch that have both
    modalities, and averaged over all pairs of modalities [1]_. Objects with the same values in one of the two, such as
    epochs of one supernova that share its light curve, are no negatives of one another, as long as they have at most
    `max_points` points; beyond that they are.

    Neighbours are nearest by the cosine in the space of `transform`, among the training objects that have the modality
    asked for. A sequence is brought to the locations asked for by linear interpolation within each band, constant
    beyond its ends. Bands that a neighbour lacks, and patches of an image that it lacks, come from the next
    one that has them. With ``n_draws=k`` the draws are the k nearest, in order. An object of `fit` is its own nearest
    neighbour. Absent metadata of `at` are replaced by the training median or commonest label, as everywhere.

    There are no new objects, hence neither `sample` nor `fit_prior`.

    References
    ----------
    .. [1] Radford et al., "Learning transferable visual models from natural language supervision", arXiv:2103.00020,
       section 2.3.
    .. [2] Shen & Gagliano, "Mixture-of-expert variational autoencoders for cross-modality embedding of type Ia
       supernova data", arXiv:2507.16817, where neighbours in a contrastive space are the rival.

    Examples
    --------
    >>> from skdaep import ContrastiveNeighbors, Photometry, Spectrum
    >>> from skdaep.datasets import make_supernova_light_curves, make_supernova_spectra
    >>> spectra, y = make_supernova_spectra(20, random_state=0)
    >>> light_curves, y = make_supernova_light_curves(20, random_state=0)
    >>> X = [{"photometry": lc, "spectrum": s} for lc, s in zip(light_curves, spectra)]
    >>> X[3]["spectrum"] = None
    >>> modalities = {"photometry": Photometry(), "spectrum": Spectrum(metadata=("phase",))}
    >>> encoder = ContrastiveNeighbors(modalities, model_dim=16, max_iter=5, random_state=0).fit(X)
    >>> encoder.transform(X).shape
    (20, 16)
    >>> encoder.reconstruct(X[3:4], modality="spectrum", n_draws=5)[0].colnames
    ['wavelength', 'flux']
    """

    _parameter_constraints: dict = {
        k: v for k, v in MultimodalEncoder._parameter_constraints.items() if k not in DECODING
    } | {"metadata_tolerance": [Interval(Real, 0, None, closed="left")]}
    _architecture_parameters = tuple(k for k in MultimodalEncoder._architecture_parameters if k not in DECODING)
    _network_parameters = _architecture_parameters
    _objective_class = Contrastive
    _aligns = True
    _caches = (*MultimodalEncoder._caches, "_memory")

    def __init__(
        self,
        modalities,
        *,
        metadata_tolerance=0.25,
        bottleneck_length=4,
        bottleneck_dim=4,
        model_dim=64,
        n_heads=4,
        n_encoder_layers=4,
        encoder_hidden_length=16,
        share_weights=False,
        max_iter=1000,
        batch_size=64,
        max_points=256,
        solver="muon",
        learning_rate_init=4e-3,
        weight_decay=0.01,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=30,
        warm_start=False,
        random_state=None,
        device="auto",
        precision="auto",
        verbose=False,
    ):
        self._store(locals())

    def _objective_options(self, modalities):
        return {}  # they are all about decoding

    def _make_objective(self, autoencoder, architecture, options):
        return Contrastive(autoencoder, **options)

    def _check_split(self, objects, split, resume):
        """Every modality is aligned with another, and validation says something: InfoNCE of one pair is nought."""
        super()._check_split(objects, split, resume)
        pairs = [objects[i] for i in split.train if len(objects[i]) > 1]
        for modality in self._declarations():
            if not any(modality in o for o in pairs):
                raise TableError(f"No object to train on has {modality!r} beside another modality{held_out(split)}.")
        n_pairs = sum(len(objects[i]) > 1 for i in split.validation)
        if len(split.validation) and n_pairs < 2:
            raise TableError(
                f"Of {len(split.validation)} objects held out for validation {n_pairs} have two modalities; at least 2 "
                f"must. Set early_stopping=False or a larger validation_fraction."
            )

    def _kept(self, records):
        return {"_stored": pack(records)}

    def _training_objects(self) -> tuple[list[dict], np.ndarray]:
        """Return the records of the objects of fit and where they are in the shared space."""
        if not hasattr(self, "_memory"):
            records = unpack(self._stored)
            self._memory = records, _places(self._encode(records)[0])
        return self._memory

    def _decode(self, name, Z, records, index, keys, n_draws, context=0.0):
        """Return scaled values of the nearest training objects for each row of Z."""
        stored, places = self._training_objects()
        having = [i for i, record in enumerate(stored) if name in record]
        own, modality, values = [stored[i][name] for i in having], self.modalities_[name], []
        metadata = metadata_of(own)
        for rows in gen_batches(len(Z), N_AT_ONCE):
            distances = euclidean_distances(_places(Z[rows]), places[having])  # ordered as the cosine orders
            for distance, i in zip(distances, index[rows], strict=True):
                order, n = ranking(distance, metadata, records[i], self.metadata_tolerance)
                if (n_draws or 1) > n:
                    raise ValueError(
                        f"n_draws={n_draws}: only {n} objects of fit have a {name!r} with the labels asked for."
                    )
                draws = [answer(modality, own, order, first, records[i]) for first in range(n_draws or 1)]
                values.append(np.stack(draws, -1) if n_draws else draws[0])
        return values

    def _no_new_objects(self):
        raise AttributeError(
            f"{type(self).__name__} returns objects of fit and can draw no new ones; "
            f"reconstruct(X, n_draws=) gives an object's nearest."
        )

    fit_prior = sample = property(_no_new_objects)


def _places(Z: np.ndarray) -> np.ndarray:
    """Return codes as points of the unit sphere, in float64."""
    return normalize(np.reshape(Z, (len(Z), -1)).astype(np.float64))
