"""Load a pretrained model, after its checksum was verified."""

from __future__ import annotations

from difflib import get_close_matches

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from .. import preprocessing
from ..estimators import load
from ..exceptions import CorruptModelError
from ..storage import sha256_of
from ._cards import Card, list_models
from ._columns import ModelColumns


def load_model(name, *, trainable=False, device=None, location=None, value=None, band=None, error=None):
    """Load a pretrained encoder, with the preprocessing that it needs, as a fitted pipeline.

    The pipeline takes Tables with the usual column names, in magnitudes or fluxes. Its first step, ``model[0]``,
    renames columns and bands and converts units to those of the model's card. The last step, ``model[-1]``, is the
    encoder.

    Parameters
    ----------
    name : str
        Name of the model; `list_models` shows them.
    trainable : bool, default=False
        Whether `fit` trains the encoder further (``warm_start=True``), from its present weights. By default it is
        frozen: in ``make_pipeline(load_model(name), LogisticRegression())`` a fit only concerns the classifier. A clone
        of a trainable model forgets its weights, as clones do; one of a frozen model keeps them.
    device : str, default=None
        Device of the encoder. None takes a GPU if there is one.
    location, value, band, error : str, default=None
        Columns in your Tables. None takes the names on the card, or else the usual names.

    Returns
    -------
    model : FrozenEstimator or Pipeline
        A frozen pipeline, or one that can be trained.

    Raises
    ------
    ValueError
        If there is no such model.
    CorruptModelError
        If a file is damaged, or does not match its card.

    See Also
    --------
    list_models : What there is.
    skdaep.load : Load a model of your own.

    Examples
    --------
    >>> from skdaep.datasets import make_supernova_light_curves
    >>> from skdaep.pretrained import load_model
    >>> X, y = make_supernova_light_curves(5, random_state=0)
    >>> model = load_model("sn-lightcurves-lsst-salt3")
    >>> model.transform(X).shape
    (5, 8)
    """
    card = _card(name)
    if not card.path.is_file():
        raise CorruptModelError(f"{card.path} is missing. Reinstall skdaep.")
    if sha256_of(card.path) != card.sha256:
        raise CorruptModelError(f"{card.path} is damaged: its SHA-256 is not that of its card. Reinstall skdaep.")
    encoder = load(card.path, device=device)
    given = dict(zip(("location", "value", "band", "error"), (location, value, band, error), strict=True))
    model = make_pipeline(*_steps(card, given), encoder)
    if trainable:
        encoder.set_params(warm_start=True)
        return model
    return FrozenEstimator(model)


def _card(name: str) -> Card:
    cards = list_models()
    if name in cards.names:
        return cards[name]
    close = get_close_matches(str(name), cards.names, 1, 0.4)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no pretrained model {name!r}.{hint} There are: {', '.join(cards.names)}.")


def _steps(card: Card, given: dict[str, str | None]) -> list[preprocessing.TableTransformer]:
    """Return the fitted steps of a card. Only steps of the package can be named there."""
    steps = [ModelColumns(card.columns, card.bands or None, **given)]
    X = [card.example_table()]  # has the columns that the first step makes
    for entry in card.steps:
        kind = getattr(preprocessing, entry["step"]) if entry["step"] in preprocessing.__all__ else None
        if not (isinstance(kind, type) and issubclass(kind, preprocessing.TableTransformer)):
            raise CorruptModelError(f"The card of {card.name} names {entry['step']!r}, which is no step. Reinstall.")
        parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["parameters"].items()}
        steps.append(kind(**parameters))
        X = steps[-1].fit_transform(X)
    return steps
