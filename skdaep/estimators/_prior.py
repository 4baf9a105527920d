"""New objects: a prior of the bottleneck, fitted on request, and draws from it decoded."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..objectives.prior import Prior
from ..training import generator_of, seeded, train

BATCH_SIZE = 128
VALIDATION_FRACTION = 0.1
PATIENCE = 20  # records


class PriorMixin:
    """`fit_prior`, and draws from the prior."""

    def fit_prior(self, X, *, max_iter=2000):
        """Learn how the bottlenecks of objects are distributed, for `sample`.

        A small diffusion model on z [1]_; it takes seconds. A tenth of the objects decides when to stop, so that the
        prior does not learn the training objects by heart.

        Parameters
        ----------
        X : list of Table, array, images, or list of dict
            Objects of the kind seen in fit, usually the same.
        max_iter : int, default=2000
            Number of gradient steps, at most.

        Returns
        -------
        self : object
            The estimator; `prior_history_` holds the records of training.

        Raises
        ------
        ValueError
            If there are fewer than 10 objects, or `max_iter` is not a positive int.

        References
        ----------
        .. [1] Preechakul et al., "Diffusion Autoencoders", arXiv:2111.15640, section 4.
        """
        check_is_fitted(self)
        if isinstance(max_iter, bool) or not (isinstance(max_iter, Integral) and max_iter >= 1):
            raise ValueError(f"max_iter={max_iter!r}: a positive int is needed.")
        Z = torch.from_numpy(self._means(X)).flatten(1)
        if len(Z) < 10:
            raise ValueError(f"A prior cannot be learned from {len(Z)} objects; at least 10 are needed.")
        device = torch.device(self.device_)
        order = np.random.default_rng([self._seed, 3]).permutation(len(Z))
        n_held_out = max(1, round(VALIDATION_FRACTION * len(Z)))
        held_out, seen = Z[order[:n_held_out]].to(device), Z[order[n_held_out:]].to(device)
        with seeded(self._seed):
            prior = Prior(seen.mean(0).cpu(), seen.std(0).clamp(min=1e-6).cpu()).to(device)
        self.prior_history_ = train(
            prior,
            _batches(seen, self._seed),
            max_iter=max_iter,
            generator=generator_of(self._seed, device),
            steps_per_record=min(50, max_iter),
            validation=_Validation(held_out, self._seed + 1),
            n_iter_no_change=PATIENCE,
            solver="adamw",
            learning_rate_init=1e-3,
        )
        self._prior = {k: v.detach().cpu().numpy().copy() for k, v in prior.state_dict().items()}
        return self

    @torch.inference_mode()
    def _sample_bottlenecks(self, n_objects: int, random_state) -> np.ndarray:
        """Return z (n_objects, K D) from the prior."""
        check_is_fitted(self)
        if not (isinstance(n_objects, Integral) and n_objects >= 1):
            raise ValueError(f"n_objects={n_objects!r}: a positive int is needed.")
        module, _ = self._live()
        prior = self._live_prior()
        if prior is None and not module.has_prior:
            raise NotFittedError(f"This {type(self).__name__} has no prior of its bottleneck yet; call fit_prior(X).")
        seed = self._seed if random_state is None else int(check_random_state(random_state).randint(2**31 - 1))
        noise = np.stack(  # an object's number decides its noise: the first of many are the same
            [np.random.default_rng([seed, i]).standard_normal(self._n_features_out) for i in range(n_objects)]
        ).astype(np.float32)
        if prior is None:
            return noise
        return prior.draw(lambda: torch.from_numpy(noise).to(self.device_)).cpu().numpy()

    def _decode_samples(self, Z: np.ndarray, name: str, like: list | None):
        """Return what `_decode_at` does, one draw of each object where the decoder draws."""
        if self._live()[0].draws != "noise":
            return self._decode_at(Z, name, like, None)
        values, *where = self._decode_at(Z, name, like, 1)
        return [v[..., 0] for v in values], *where

    def _live_prior(self) -> Prior | None:
        if not hasattr(self, "_prior"):
            return None
        state = {k: torch.from_numpy(v) for k, v in self._prior.items()}
        prior = Prior(state["mean"], state["scale"])
        prior.load_state_dict(state)
        return prior.to(self.device_).eval()


class _Validation:
    """The loss of held-out bottlenecks at the same times and with the same noise every time."""

    def __init__(self, Z: torch.Tensor, seed: int):
        self.Z, self.seed = Z.repeat(8, 1), seed  # eight times and noises of each

    def __call__(self, prior) -> float:
        with torch.inference_mode():
            return prior.loss(self.Z, generator_of(self.seed, self.Z.device))["loss"].mean().item()


def _batches(Z: torch.Tensor, seed: int) -> Iterator[tuple[torch.Tensor, list[int]]]:
    rng = np.random.default_rng([seed, 4])
    while True:
        index = rng.choice(len(Z), min(BATCH_SIZE, len(Z)), replace=False)
        yield Z[torch.from_numpy(index).to(Z.device)], index.tolist()
