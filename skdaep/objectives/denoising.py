r"""The diffusion autoencoder: learn z by denoising objects, given z (daep, section 3; Preechakul et al. 2022).

.. math:: \mathcal{L} = \mathbb{E}_{t, \epsilon}\, \lVert f(x_t, t, z(x)) - \text{target} \rVert^2, \qquad
    x_t = \alpha_t x_0 + \sigma_t \epsilon

The encoder and the denoiser see different random subsets of an object's points, with varying size. So z describes the
object and not its sampling.
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..diffusion.process import PREDICTIONS, add_noise, input_scale, posterior_mean
from ..diffusion.samplers import SAMPLERS, sample
from ..diffusion.schedules import LEAST_ALPHA, N_STEPS, SCHEDULES
from ..nn.autoencoder import Autoencoder
from ..nn.batch import Batch
from ..nn.names import ModulesByName
from ..nn.positions import NumberEmbedding
from .alignments import ALIGNMENTS
from .base import NextNoise
from .cored import Cored
from .cores.base import silence


class Spread(nn.Module):
    """How far values lie from the prediction, read from the same tokens as the values.

    Parameters
    ----------
    head : Module
        The module that reads the values. A copy of it reads the logarithm of the spread, relative to a common level.
    """

    RATE = 10.0  # the level is this factor times its weight, and so learned this much faster than other weights
    RANGE = (-6.0, 1.0)  # of the logarithm of the spread, in standardised values

    def __init__(self, head: nn.Module):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(-1.0 / self.RATE))
        self.head = copy.deepcopy(head)
        silence(self.head)  # all spreads are equal at first

    def start_at(self, spread: float) -> None:
        """Start from a known spread."""
        nn.init.constant_(self.level, math.log(spread) / self.RATE)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the spread of each value from tokens (B, L, W). These serve the values, so they get no gradient."""
        return (self.RATE * self.level + self.head(tokens.detach())).clamp(*self.RANGE).exp()


class Condition(NamedTuple):
    """Quantities that are constant while an object is denoised."""

    context: Tensor  # (B, C, W)
    present: Tensor  # (B, C)
    known: Tensor | float  # (B, L), added to the network's output


class Denoising(Cored):
    """Predict "epsilon", "x0" or "v" from noisy values, their locations, z, metadata and diffusion time.

    `alignment_weight` times one of `ALIGNMENTS`, between the separate encodings of modalities, is added to the loss.
    """

    draws = "noise"
    measures = True
    decoding_options = frozenset({"sampler", "n_sampling_steps"})
    hidden_length_on_grids = 32  # patches must exchange information

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        prediction: str,
        schedule: str,
        sampler: str,
        n_sampling_steps: int,
        alignment: str = "infonce",
        alignment_weight: float = 0.0,
        alignment_options: dict[str, Any] | None = None,
        **options: Any,
    ):
        super().__init__(autoencoder, **options)
        if options.get("core") is not None and prediction != "x0":
            raise ValueError(f'core={options["core"]!r} needs prediction="x0", but prediction={prediction!r}.')
        self.prediction = prediction
        self.schedule = SCHEDULES[schedule]()
        self.sampler, self.n_sampling_steps = SAMPLERS[sampler], n_sampling_steps
        self.start = self.schedule.last_time(LEAST_ALPHA) if prediction == "epsilon" else 1.0
        self.time = NumberEmbedding(autoencoder.model_dim, 0.25, 8.0, 16)
        # Predictors of x_0 learn a spread, with which `posterior_mean` combines the prediction and x_t.
        learned = autoencoder.decoded if prediction == "x0" else ()
        self.spreads = ModulesByName({name: Spread(autoencoder.heads[name]) for name in learned})
        self.free_correlation = frozenset(k for k in autoencoder.decoded if autoencoder.decoders[k].hidden is None)
        # The error of an epsilon predictor is divided by a small alpha near t = 1, so point estimates average draws.
        self.n_point_draws = 8 if prediction == "epsilon" else 0
        self.alignment_weight = alignment_weight
        aligned = ALIGNMENTS[alignment]
        self.alignment = aligned(autoencoder, **alignment_options or {}) if alignment_weight else None

    def start_at(self, noise: dict[str, float]) -> None:
        """Start the spreads from the residuals of the core."""
        for name, spread in noise.items():
            self.spreads[name].start_at(spread)

    def begin(self) -> None:
        """Reset the alignment."""
        if self.alignment is not None:
            self.alignment.begin()

    def loss(self, batches: dict[str, Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the squared error of the prediction per object and, if there is an alignment, its loss."""
        shown = self.shown(self.drop_modalities(batches, generator), generator)
        z = self.core.encode(self.autoencoder, shown, self.drawn(generator))

        def squared_error(name: str, z: Tensor, batch: Batch) -> Tensor:
            query = self.decoded_points(batch)
            x0 = query.value
            t = self.random_times(len(z), generator)
            alpha, sigma = self.levels(t, x0)
            noise = torch.randn(x0.shape, generator=generator, device=generator.device)
            x_t = add_noise(x0, noise, alpha, sigma)
            tokenizer = self.autoencoder.decoder_tokenizers[name]
            condition = self.condition(name, z, query)
            out = self.network(name, x_t, t, tokenizer.queries(query), condition, query.observed)
            target = PREDICTIONS[self.prediction].target
            return self.mean_over_points(name, (out - target(x0, noise, alpha, sigma)) ** 2, query)

        error = self.mean_over_modalities(batches, z, squared_error)
        if self.alignment is None:
            return {"loss": error}
        separate = self.encode_separately(self.shown(batches, generator), self.drawn(generator))
        alignment = self.alignment(*separate, batches, self.core.encode)
        return {"loss": error + self.alignment_weight * alignment, "error": error, "alignment": alignment}

    def random_times(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw one time k / 1000 per object, evenly spread over the batch.

        For epsilon the times are uniform, as in DDPM. For x_0 and v there is more noise: the density is 1.4 t, and
        three times in ten t = 1. There x_t contains no signal, everything must come through z, and the point estimate
        is made.
        """
        device = generator.device
        u = torch.rand(n, generator=generator, device=device)
        u = (torch.randperm(n, generator=generator, device=device) + u) / n
        t = u if self.prediction == "epsilon" else 1.2 * u.sqrt()
        return torch.ceil(t * N_STEPS).clamp(min=1, max=N_STEPS) / N_STEPS

    def condition(self, name: str, z: Tensor, query: Batch) -> Condition:
        """Return the condition that follows from a code, for the network and for the core."""
        return Condition(*self.autoencoder.condition(name, z, query), self.core.curve(self.autoencoder, name, z, query))

    def network(
        self, name: str, x_t: Tensor, t: Tensor, queries: Tensor, condition: Condition, observed: Tensor
    ) -> Tensor:
        """Return the network's output (B, L) at times t (B,)."""
        out, spread = self.answer(name, x_t, t, queries, condition, observed)
        return out if spread is None else posterior_mean(x_t, out, spread, *self.levels(t, x_t))

    def answer(
        self, name: str, x_t: Tensor, t: Tensor, queries: Tensor, condition: Condition, observed: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the prediction of network and core, and the spread of x_0 around it, if any."""
        alpha, _ = self.levels(t, x_t)
        tokenizer = self.autoencoder.decoder_tokenizers[name]
        tokens = tokenizer.add_values(queries, x_t * input_scale(self.prediction, alpha))
        context, present, known = condition
        context = torch.cat([self.time(t)[:, None], context], 1)
        present = torch.cat([present.new_ones(len(t), 1), present], 1)
        tokens = self.autoencoder.decode_tokens(name, tokens, context, present, observed)
        out = self.autoencoder.heads[name](tokens) + known
        return out, self.spreads[name](tokens) if name in self.spreads else None

    def levels(self, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and sigma (B, 1, ...) at times t (B,), shaped to multiply values `x` (B, L, ...)."""
        alpha, sigma = (level.view(-1, *[1] * (x.ndim - 1)) for level in self.schedule(t))
        return alpha, sigma

    def decode(
        self,
        name: str,
        z: Tensor,
        query: Batch,
        noise: NextNoise | None = None,
        context: Batch | None = None,
    ) -> Tensor:
        """Return a draw or, without `noise`, the conditional mean: the prediction at t = 1, without a signal."""
        queries = self.autoencoder.decoder_tokenizers[name].queries(query)  # constant along the sampling loop
        condition = self.condition(name, z, query)
        to_x0 = PREDICTIONS[self.prediction].to_x0

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            times = t.expand(len(z))
            alpha, sigma = self.schedule(t)
            return to_x0(x_t, self.network(name, x_t, times, queries, condition, query.observed), alpha, sigma)

        if noise is None:
            return denoise(torch.zeros_like(query.value), torch.ones((), device=z.device))
        return sample(denoise, self.schedule, noise, self.n_sampling_steps, self.sampler, self.start)

    def spread(self, name: str, z: Tensor, query: Batch) -> Tensor | None:
        """Return how far draws lie from the conditional mean."""
        if name not in self.spreads or name not in self.free_correlation:
            return None
        queries, nothing = self.autoencoder.decoder_tokenizers[name].queries(query), torch.zeros_like(query.value)
        start = torch.ones(len(z), device=z.device)
        spread = self.answer(name, nothing, start, queries, self.condition(name, z, query), query.observed)[1]
        return None if spread is None else spread.expand_as(nothing)
