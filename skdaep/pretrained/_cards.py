"""Cards of the models: what each was trained on, expects and is good for."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from astropy.table import Table

from ..exceptions import CorruptModelError

MODELS = Path(__file__).parent / "models"
WIDTH = 100


@dataclass(frozen=True)
class Card:
    """Description of a pretrained model; print it to read it.

    Parameters
    ----------
    name : str
        Name for `load_model`.
    kind : str
        Kind of data.
    good_for, not_for : str
        What the model is good for, and what not.
    training_data, licence : str
        What it was trained on, and the terms of that and of the weights.
    columns : dict
        The columns it expects: for "value", "location" and perhaps "error" and "band" their name, unit and meaning;
        also whether fluxes are per frequency or per wavelength, and the range of locations if there is one.
    bands : dict
        The bands it knows, each with other names that are understood; empty if it has no bands.
    steps : list of dict
        Preprocessing between the columns and the encoder, as steps of `skdaep.preprocessing` and their parameters.
    n_features : int
        Length of a vector.
    scores : dict
        What was measured, in words and numbers.
    reproduce : str
        Command that trains the model again.
    fitted : dict
        Settings, seed, machine, commit, versions and CPU minutes of the training.
    sha256 : str
        Checksum of the file.
    n_bytes : int
        Size of the file.
    example : dict
        An object as columns, and its vector ("codes").

    Examples
    --------
    >>> from skdaep.pretrained import list_models
    >>> card = list_models()["sn-lightcurves-lsst-salt3"]
    >>> sorted(card.bands), card.columns["location"]["unit"]
    (['g', 'i', 'r', 'u', 'y', 'z'], 'd')
    """

    name: str
    kind: str
    good_for: str
    not_for: str
    training_data: str
    licence: str
    columns: dict[str, dict[str, Any]]
    bands: dict[str, list[str]]
    steps: list[dict[str, Any]]
    n_features: int
    scores: dict[str, Any]
    reproduce: str
    fitted: dict[str, Any]
    sha256: str
    n_bytes: int
    example: dict[str, Any]

    @property
    def path(self) -> Path:
        """The file with the encoder."""
        return MODELS / f"{self.name}.safetensors"

    def example_table(self) -> Table:
        """Return the example as a Table, to see what the model expects.

        Returns
        -------
        table : Table
            An object in the columns and units of the model.
        """
        units = {self.columns["location"]["name"]: self.columns["location"]["unit"]}
        return Table({c["name"]: self.example[c["name"]] for c in self.columns.values()}, units=units)

    def __str__(self) -> str:
        """Return the card as text for a terminal."""
        steps = [s["step"] + "(" + ", ".join(f"{k}={v}" for k, v in s["parameters"].items()) + ")" for s in self.steps]
        more = {
            "not for": self.not_for,
            "trained on": self.training_data,
            "licence": self.licence,
            "steps": ", ".join(steps),
            "scores": "; ".join(f"{what}: {number}" for what, number in self.scores.items()),
            "reproduce": self.reproduce,
        }
        return "\n".join([self.summary(), *_lines(more)])

    def summary(self) -> str:
        """Return the first lines of the card: kind, columns, units and bands, and what the model is good for.

        Returns
        -------
        text : str
            Some lines.
        """
        head = f"{self.name}: {self.kind}, {self.n_features} numbers per object, {self.n_bytes / 1e6:.1f} MB"
        columns = {c["name"]: f"{c['meaning']} (unit: {c['unit']})" for c in self.columns.values()}
        return "\n".join([head, *_lines(columns | {"good for": self.good_for})])


class Cards(tuple):
    """The cards of all models; ``cards[name]`` is one of them, and ``print(cards)`` shows all.

    Parameters
    ----------
    cards : iterable of Card
        The cards.

    Examples
    --------
    >>> from skdaep.pretrained import list_models
    >>> cards = list_models()
    >>> cards[0] is cards[cards[0].name]
    True
    """

    __slots__ = ()

    def __new__(cls, cards):
        """Return the cards as a tuple."""
        return super().__new__(cls, cards)

    def __getitem__(self, key):
        """Return the card with this name or at this place."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        for card in self:
            if card.name == key:
                return card
        raise KeyError(key)

    @property
    def names(self) -> list[str]:
        """The names of the models."""
        return [card.name for card in self]

    def __repr__(self) -> str:
        """Return the summaries of all cards."""
        return "\n\n".join(card.summary() for card in self)


def list_models():
    """Return the cards of all pretrained models.

    Returns
    -------
    cards : Cards
        One `Card` per model. They show names, columns and units in a terminal; ``print(cards[name])`` shows all about
        one.

    See Also
    --------
    load_model : Load one of them.

    Examples
    --------
    >>> from skdaep.pretrained import list_models
    >>> "sn-lightcurves-lsst-salt3" in list_models().names
    True
    """
    return Cards(_read(path) for path in sorted(MODELS.glob("*.json")))


def _read(path: Path) -> Card:
    try:
        card = Card(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:  # no JSON, or other fields
        raise CorruptModelError(f"{path} is not the card of a model: {error}. Reinstall skdaep.") from error
    if empty := [f.name for f in fields(card) if f.name != "bands" and not getattr(card, f.name)]:
        raise CorruptModelError(f"{path} lacks {', '.join(empty)}. Reinstall skdaep.")
    return card


def _lines(entries: dict[str, str]) -> list[str]:
    """Return entries as wrapped lines behind their names."""
    return [
        textwrap.fill(text, WIDTH, initial_indent=f"    {name:<12}", subsequent_indent=" " * 16)
        for name, text in entries.items()
    ]
