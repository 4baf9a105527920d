r"""The diffusion autoencoder: learn z by denoising what it describes (daep, section 3; Preechakul et al. 2022).

.. math:: \mathcal{L} = \mathbb{E}_{t, \epsilon}\, \lVert f(x_t, t, z(x)) - \text{target} \rVert^2, \qquad
    x_t = \alpha_t x_0 + \sigma_t \epsilon

The encoder and the denoiser see different random subsets of an object's points, of varying size, so that z describes
the object and not its sampling.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..diffusion.process import PREDICTIONS, add_noise, input_scale
from ..diffusion.samplers import SAMPLERS, sample
from ..diffusion.schedules import N_STEPS, SCHEDULES
from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from ..nn.positions import NumberEmbedding
from ._base import Bottleneck, Objective, mean_over_points


class Denoising(Objective):
    """Predict "epsilon", "x0" or "v" from noisy values, their locations, z, metadata and diffusion time.

    Parameters
    ----------
    n_queries : int or None
        At most so many points of each object enter the denoiser in a training step; None: all.
    """

    draws = True

    def __init__(
        self,
        autoencoder: Autoencoder,
        model_dim: int,
        *,
        prediction: str,
        schedule: str,
        sampler: str,
        n_sampling_steps: int,
        n_queries: int | None,
    ):
        super().__init__(autoencoder)
        self.prediction, self.n_queries = prediction, n_queries
        self.schedule = SCHEDULES[schedule]()
        self.step, self.n_sampling_steps = SAMPLERS[sampler], n_sampling_steps
        self.time = NumberEmbedding(model_dim, 0.25, 8.0, 16)
        self.free_correlation = all(decoder.hidden is None for decoder in autoencoder.decoders.values())
        # Dividing an epsilon-predictor's error by alpha near t = 1 ruins one step: average draws instead.
        self.n_point_draws = 8 if prediction == "epsilon" else 0

    def encode(self, batches: dict[str, Batch]) -> Bottleneck:
        """Return the bottleneck of all points."""
        return Bottleneck(self.autoencoder.encode(batches))

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the squared error of the prediction, per object."""
        device = generator.device
        share = 1 - 0.75 * torch.rand((), generator=generator, device=device)  # of the points for the encoder
        seen = {k: b.first(torch.ceil(share * b.lengths).long().clamp(min=1)) for k, b in batches.items()}
        z = self.encode(seen).mean
        total = z.new_zeros(len(z))
        for name, batch in batches.items():
            n_queries = batch.lengths if self.n_queries is None else batch.lengths.clamp(max=self.n_queries)
            query = batch.last(n_queries)
            t = self.random_times(len(z), generator)
            alpha, sigma = (level[:, None] for level in self.schedule(t))  # (B, 1)
            noise = torch.randn(query.value.shape, generator=generator, device=device)
            x_t = add_noise(query.value, noise, alpha, sigma)
            tokenizer = self.autoencoder.decoder_tokenizers[name]
            condition = self.autoencoder.condition(name, z, query)
            out = self.network(name, x_t, t, tokenizer.queries(query), condition, query.observed)
            target, _ = PREDICTIONS[self.prediction]
            error = (out - target(query.value, noise, alpha, sigma)) ** 2
            total = total + mean_over_points(error, query.observed)
        return {"loss": total / len(batches)}

    def random_times(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw one time per object among k / 1000, evenly spread over the batch.

        Uniform for epsilon, as in DDPM. x_0 and v are learned with more noise, density 2 t, since where x_t holds
        little information all of it must come through z.
        """
        u = torch.rand(n, generator=generator, device=generator.device)
        u = (torch.arange(n, device=u.device) + u) / n
        t = u if self.prediction == "epsilon" else u.sqrt()
        return torch.ceil(t * N_STEPS).clamp(min=1) / N_STEPS

    def network(self, name, x_t, t, queries, condition, observed) -> Tensor:
        """Return the network's output (B, L) at times t (B,)."""
        alpha, _ = self.schedule(t)
        tokenizer = self.autoencoder.decoder_tokenizers[name]
        tokens = tokenizer.add_values(queries, x_t * input_scale(self.prediction, alpha[:, None]))
        context, present = condition
        context = torch.cat([self.time(t)[:, None], context], 1)
        present = torch.cat([present.new_ones(len(t), 1), present], 1)
        return self.autoencoder.decode(name, tokens, context, present, observed)

    def decode(self, name: str, z: Tensor, query: Batch, noise: Callable[[], Tensor] | None = None) -> Tensor:
        """Return a draw, or without `noise` the conditional mean: the denoiser's answer at t = 1, to no signal."""
        queries = self.autoencoder.decoder_tokenizers[name].queries(query)  # constant along the sampling loop
        condition = self.autoencoder.condition(name, z, query)
        _, to_x0 = PREDICTIONS[self.prediction]

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            times = t.expand(len(z))
            alpha, sigma = self.schedule(t)
            return to_x0(x_t, self.network(name, x_t, times, queries, condition, query.observed), alpha, sigma)

        if noise is None:
            return denoise(torch.zeros_like(query.location), torch.ones((), device=z.device))
        return sample(denoise, self.schedule, noise, self.n_sampling_steps, self.step)
