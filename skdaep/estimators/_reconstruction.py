"""The way back: bottlenecks to values, and values to what the user gave."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_array

from ._decoding import content_key, decode, posterior_draws, some_seen


def check_places(at, n: int, of: str) -> None:
    """Raise ValueError if there is not one object of `at` for each of n; `of` says of what."""
    if len(at) != n:
        raise ValueError(f"at holds {len(at)} objects but {of}; one for each is needed.")


class ReconstructionMixin:
    """Decode objects or rows of Z in a modality, and write what comes out as Tables or arrays."""

    def _decode_own(self, records, name: str, n_draws: int | None, context: float = 0.0, targets=None) -> list:
        """Return scaled values, or draws, of objects in a modality, at their own locations or those of `targets`."""
        targets = [r[name] for r in records] if targets is None else targets
        keys, index = [content_key(r) for r in records], np.arange(len(records))
        mean, scale = self._encode(records)
        if n_draws is None or scale is None:
            return self._decode(name, mean, targets, index, keys, n_draws, context)
        z = self._draw_bottlenecks(records, mean, scale, [(self._seed, key) for key in keys], n_draws)
        values = self._decode(name, z, targets, index.repeat(n_draws), keys, None)
        return [np.stack(values[i : i + n_draws], -1) for i in range(0, len(values), n_draws)]

    def _draw_bottlenecks(self, records, mean, scale, seeds: list, n_draws: int) -> np.ndarray:
        """Return draws (n_objects, n_draws, K, D) of the posterior of objects, whose mean and scale are given."""
        return posterior_draws(mean, scale, seeds, n_draws)

    def _decode(self, name: str, Z, records, index, keys, n_draws, context: float = 0.0) -> list[np.ndarray]:
        """Return scaled values for each row of Z at the locations of record ``index[row]`` of a modality."""
        module, device = self._live()
        modality, seen = self.modalities_[name], None
        store = modality.collate(records, queries=True).to(device)
        if context:
            shown = [some_seen(r, context, (self._seed, key)) for r, key in zip(records, keys, strict=True)]
            seen = modality.collate(shown).to(device)
        seeds = [(self._seed, key) for key in keys]
        correlation = self.noise_correlation_[name]
        z = np.reshape(Z, (len(index), *self.bottleneck_shape_))
        with self._precision(device):
            return decode(module, name, store, index, z, seeds, n_draws, correlation, seen)

    def _decode_at(self, Z: np.ndarray, name: str, like: list | None, n_draws: int | None):
        """Return scaled values of a modality for each row of Z, at the objects of `like` or on the learned grid.

        The records, their index by row and those objects follow.
        """
        modality = self.modalities_[name]
        if like is None:
            like, index = [modality.grid()], np.zeros(len(Z), np.intp)
            where = ["the learned grid"]
        else:
            index, where = np.arange(len(Z)), [self._where("at", i, name) for i in range(len(like))]
        records = [modality.typical_metadata(r) for r in modality.read_all(like, where, values=False)]
        keys = [content_key({name: records[i]}, z) for i, z in zip(index, Z, strict=True)]
        return self._decode(name, Z, records, index, keys, n_draws), records, index, like

    def _write(self, name: str, values, records, index, like, output):
        """Return scaled values as the user wants them."""
        modality = self.modalities_[name]
        arrays = [modality.unscale(v, records[i]) for i, v in zip(index, values, strict=True)]
        if hasattr(self, "n_features_in_") or modality.stacks:
            return np.stack(arrays).astype(np.float32)
        if output == "arrays":
            return arrays
        return [modality.write(a, like[i]) for i, a in zip(index, arrays, strict=True)]

    def _check_bottleneck(self, Z) -> np.ndarray:
        Z = check_array(Z, dtype=np.float32, input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but this estimator's bottleneck has "
                f"{self.bottleneck_shape_[0]} x {self.bottleneck_shape_[1]} = {self._n_features_out}."
            )
        return Z

    def _check_output(self, output, *further: str) -> None:
        known = ("tables", "arrays", *further)
        if output not in known:
            raise ValueError(f"output={output!r}: choose one of {', '.join(map(repr, known))}.")

    def _check_draws(self, n_draws) -> None:
        if n_draws is None:
            return
        if isinstance(n_draws, bool) or not (isinstance(n_draws, Integral) and n_draws >= 1):
            raise ValueError(f"n_draws={n_draws!r}: a positive int or None is needed.")
        if not self._live()[0].draws:
            raise ValueError(f"{type(self).__name__} has no draws; use n_draws=None.")

    def _check_draws_of_codes(self, n_draws) -> None:
        self._check_draws(n_draws)
        if n_draws is not None and self._live()[0].draws == "posterior":
            raise ValueError("Draws come from the posterior of z, which Z does not hold; use reconstruct(X, n_draws=).")
