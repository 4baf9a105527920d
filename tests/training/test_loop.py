"""The training loop, on a quadratic whose course can be followed by hand."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skdaep.exceptions import DivergenceError, InterruptedTrainingWarning
from skdaep.training import generator_of, train
from skdaep.training.loop import SOLVERS

CPU = torch.device("cpu")
TARGET = torch.tensor([1.0, -2.0, 0.5])


class Quadratic(nn.Module):
    """Distance to the objects of a batch, plus noise if asked for."""

    def __init__(self, noise=0.0, factor=1.0):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(3))
        self.noise, self.factor = noise, factor
        self.seen, self.gradients = [], []

    def loss(self, batch, generator):
        self.seen.append(self.w.detach().clone())
        if self.w.grad is not None:  # of the step before, as the optimizer used it
            self.gradients.append(self.w.grad.clone())
        distance = ((self.w + self.noise * torch.randn(3, generator=generator) - batch) ** 2).sum(1)
        return {"loss": self.factor * distance, "distance": distance.sqrt()}


def endless(batch=None, names=(4, 9)):
    batch = TARGET.expand(2, -1) if batch is None else batch
    return itertools.repeat((batch, list(names)))


def run(objective, batches=None, **changes):
    options = {"max_iter": 20, "steps_per_record": 5, "learning_rate_init": 0.1, "solver": "adamw"} | changes
    return train(objective, batches or endless(), generator=generator_of(0, CPU), **options)


# --- steps and records ------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_it_learns(solver):
    objective = Quadratic()
    history = run(objective, max_iter=200, solver=solver)
    torch.testing.assert_close(objective.w.detach(), TARGET, rtol=0, atol=0.02)
    assert history[-1]["loss"] < 1e-3 < history[0]["loss"]


@pytest.mark.parametrize("solver", sorted(SOLVERS))
@pytest.mark.parametrize("width", [4, 32])
def test_solvers_train_modules_of_any_width(solver, width):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.net = nn.Sequential(nn.Linear(3, width), nn.Linear(width, width), nn.Linear(width, 3))

        def loss(self, batch, generator):
            return {"loss": ((self.net(batch) - 1) ** 2).sum(1)}

    net = Net()
    before = [p.detach().clone() for p in net.parameters()]
    history = run(net, max_iter=40, solver=solver, learning_rate_init=0.01)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert all(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("max_iter", [1, 2, 3, 17])
def test_max_iter_counts_gradient_steps(max_iter):
    objective = Quadratic()
    history = run(objective, max_iter=max_iter)
    assert len(objective.seen) == max_iter
    assert history[-1]["iteration"] == max_iter


def test_batches_are_taken_as_needed():
    taken = []

    def batches():
        for i in itertools.count():
            taken.append(i)
            yield TARGET.expand(2, -1), [0, 1]

    run(Quadratic(), batches(), max_iter=25)
    assert len(taken) == 25


def test_records_come_every_so_many_steps_and_at_the_end():
    history = run(Quadratic(), max_iter=22, steps_per_record=10, validation=lambda module: 1.0)
    assert [record["iteration"] for record in history] == [10, 20, 22]
    for record in history:
        keys = {"iteration", "loss", "distance", "validation_loss", "learning_rate", "seconds"}
        assert set(record) == keys
        assert type(record["iteration"]) is int
        assert all(type(v) is float for k, v in record.items() if k != "iteration")
    seconds = [record["seconds"] for record in history]
    assert seconds == sorted(seconds)


def test_without_validation_there_is_no_validation_loss():
    assert all("validation_loss" not in record for record in run(Quadratic()))


def test_losses_recorded_are_means_over_the_steps_of_the_record():
    objective = Quadratic()
    history = run(objective, max_iter=20, steps_per_record=10)
    losses = [((w - TARGET) ** 2).sum().item() for w in objective.seen]
    np.testing.assert_allclose([r["loss"] for r in history], [np.mean(losses[:10]), np.mean(losses[10:])], rtol=1e-5)
    np.testing.assert_allclose(history[1]["distance"], np.mean(np.sqrt(losses[10:])), rtol=1e-5)


def test_learning_rate_warms_up_to_its_value_and_decays_to_nearly_nothing():
    history = run(Quadratic(), max_iter=200, steps_per_record=1, warm_up=0.1)
    rate = np.array([record["learning_rate"] for record in history])
    peak = rate.argmax()
    assert 15 <= peak <= 25
    assert rate.max() == pytest.approx(0.1, rel=1e-2)
    assert (np.diff(rate[:peak]) > 0).all()
    assert (np.diff(rate[peak:]) < 0).all()
    assert rate[0] < 0.02
    assert rate[-1] < 1e-3


def test_gradients_are_clipped_to_the_norm():
    """A loss a million times as steep: what the optimizer sees has norm 0.5, and points the same way."""
    steep, plain = Quadratic(factor=1e6), Quadratic()
    run(steep, clip_norm=0.5)
    run(plain, clip_norm=1e9)
    for gradient in steep.gradients:
        assert gradient.norm().item() == pytest.approx(0.5, rel=1e-4)
    assert plain.gradients[0].norm() > 1
    torch.testing.assert_close(steep.gradients[0] / 0.5, plain.gradients[0] / plain.gradients[0].norm())


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_only_matrices_decay(solver):
    class Still(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(20, 20)
            self.queries = nn.Parameter(torch.ones(1, 4, 20))
            nn.init.ones_(self.linear.weight)
            nn.init.ones_(self.linear.bias)

        def loss(self, batch, generator):
            return {"loss": 0 * sum(p.sum() for p in self.parameters()) * torch.ones(2)}

    module = Still()
    run(module, weight_decay=0.1, learning_rate_init=0.01, ema_decay=0.0, solver=solver)
    assert (module.linear.weight < 0.999).all()
    assert (module.linear.bias == 1).all()
    assert (module.queries == 1).all()


def test_precision_is_that_of_the_loss_alone():
    dtypes = []

    class Product(Quadratic):
        def loss(self, batch, generator):
            dtypes.append((batch @ batch.T).dtype)
            return super().loss(batch, generator)

    def validation(module):
        dtypes.append((TARGET[None] @ TARGET[:, None]).dtype)
        return 0.0

    run(Product(), steps_per_record=20, validation=validation, precision=lambda: torch.autocast("cpu", torch.bfloat16))
    assert dtypes == [torch.bfloat16] * 20 + [torch.float32]


# --- averages, validation, stopping -----------------------------------------------------------------


def test_result_is_a_moving_average_whose_memory_grows():
    """After n averages the newest weights count 1 - min(decay, (1 + n) / (10 + n))."""
    weights, averages = [], []
    objective = Quadratic()

    def remember(record, module):
        weights.append(objective.w.detach().clone())
        averages.append(module.w.detach().clone())
        return False

    run(objective, max_iter=30, steps_per_record=1, ema_decay=0.6, on_epoch_end=remember)
    expected = weights[0]
    for n, (w, average) in enumerate(zip(weights, averages, strict=True)):
        if n:
            expected = torch.lerp(expected, w, 1 - min(0.6, (1 + n) / (10 + n)))
        torch.testing.assert_close(average, expected)
    assert torch.equal(objective.w.detach(), averages[-1])
    assert not torch.equal(objective.w.detach(), weights[-1])


def test_best_weights_are_restored():
    averages, scores = [], iter([3.0, 1.0, 2.0, 5.0])

    def validation(module):
        averages.append(module.w.detach().clone())
        return next(scores)

    objective = Quadratic()
    history = run(objective, validation=validation)
    assert [record["validation_loss"] for record in history] == [3, 1, 2, 5]
    assert torch.equal(objective.w.detach(), averages[1])


def test_the_start_is_kept_where_no_step_betters_it_and_has_a_record_of_its_own():
    objective = Quadratic()
    history = run(objective, validation=lambda module: float(module.w.detach().norm()), keep_start=True)
    assert torch.equal(objective.w.detach(), torch.zeros(3))
    assert [record["iteration"] for record in history] == [0, 5, 10, 15, 20]
    assert "loss" not in history[0]
    assert history[0]["validation_loss"] == 0
    history = run(objective, keep_start=True)  # nothing to choose by
    assert objective.w.any()
    assert history[0]["iteration"] == 5


def test_validation_sees_the_average_and_not_the_weights():
    objective, pairs = Quadratic(), []

    def validation(module):
        pairs.append((module is objective, torch.equal(module.w, objective.w)))
        return 0.0

    run(objective, validation=validation)
    assert pairs == [(False, False)] * 4


@pytest.mark.parametrize(("patience", "n_records"), [(1, 3), (2, 4), (3, 8), (None, 10)])
def test_patience(patience, n_records):
    scores = iter([5.0, 3.0, 4.0, 3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 0.0])
    history = run(Quadratic(), max_iter=50, validation=lambda module: next(scores), n_iter_no_change=patience)
    assert len(history) == n_records


def test_a_good_start_does_not_use_patience_up():
    scores = iter([1.0, 5.0, 4.0, 3.0, 2.0, 2.5, 2.5, 0.0])
    objective = Quadratic()
    start = objective.w.detach().clone()
    history = run(objective, max_iter=50, validation=lambda module: next(scores), n_iter_no_change=2, keep_start=True)
    assert [record["validation_loss"] for record in history] == [1.0, 5.0, 4.0, 3.0, 2.0, 2.5, 2.5]
    torch.testing.assert_close(objective.w.detach(), start)


def test_callback_sees_every_record_and_may_stop():
    seen = []

    def stop_at_ten(record, module):
        seen.append(record)
        return record["iteration"] >= 10

    assert run(Quadratic(), on_epoch_end=stop_at_ten) == seen
    assert [record["iteration"] for record in seen] == [5, 10]


# --- trouble ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_its_objects(bad):
    batch = TARGET.repeat(4, 1)
    batch[2, 0] = bad
    with pytest.raises(DivergenceError, match=r"X\[31\]") as caught:
        run(Quadratic(), endless(batch, [8, 5, 31, 2]))
    assert caught.value.names == [31]
    assert "X[8]" not in str(caught.value)


def test_a_gradient_that_is_not_finite_names_the_whole_batch():
    class Cliff(Quadratic):
        def loss(self, batch, generator):
            return {"loss": (self.w.sum() * torch.zeros(2)).sqrt()}  # 0, with slope 0 * inf

    with pytest.raises(DivergenceError) as caught:
        run(Cliff())
    assert caught.value.names == [4, 9]


def test_divergence_error_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(DivergenceError([3, 1])))
    assert error.names == [1, 3]
    assert "X[1], X[3]" in str(error)


def interrupted_at(step):
    for i, pair in enumerate(endless()):
        if i == step:
            raise KeyboardInterrupt
        yield pair


def test_interrupt_keeps_the_model_and_warns():
    interrupted, stopped = Quadratic(), Quadratic()
    with pytest.warns(InterruptedTrainingWarning, match="7 of 20 steps"):
        history = run(interrupted, interrupted_at(7))
    assert [record["iteration"] for record in history] == [5, 7]
    run(stopped, steps_per_record=1, on_epoch_end=lambda record, module: record["iteration"] == 7)
    assert torch.equal(interrupted.w, stopped.w)
    assert interrupted.w.abs().sum() > 0


def test_interrupt_keeps_the_best_weights():
    averages, scores = [], iter([1.0, 2.0, 3.0])

    def validation(module):
        averages.append(module.w.detach().clone())
        return next(scores)

    objective = Quadratic()
    with pytest.warns(InterruptedTrainingWarning):
        run(objective, interrupted_at(12), validation=validation)
    assert torch.equal(objective.w.detach(), averages[0])


def test_interrupt_before_the_first_step_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt):
        run(Quadratic(), interrupted_at(0))


def test_interrupt_in_the_first_validation_leaves_a_history():
    def validation(module):
        raise KeyboardInterrupt

    objective = Quadratic()
    with pytest.warns(InterruptedTrainingWarning):
        history = run(objective, validation=validation)
    assert history[-1]["iteration"] == 5


# --- randomness -------------------------------------------------------------------------------------


def test_same_generator_same_result():
    one, same, other = (Quadratic(noise=1.0) for _ in range(3))
    for objective, seed in ((one, 0), (same, 0), (other, 1)):
        options = {"max_iter": 20, "steps_per_record": 20, "solver": "adamw"}
        train(objective, endless(), generator=generator_of(seed, CPU), **options)
    assert torch.equal(one.w, same.w)
    assert not torch.equal(one.w, other.w)


def test_global_generators_are_untouched():
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    run(Quadratic(noise=1.0), validation=lambda module: 0.0)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
