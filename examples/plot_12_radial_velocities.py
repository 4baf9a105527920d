"""
A modality of your own: radial velocities
=========================================

A `Sequence` describes anything that is measured along a line: just name the columns. Here we use radial velocities of
spectroscopic binaries from three instruments with different zero points.
"""

# %%
# We simulate binaries whose periods are known from eclipses, so that velocities can be folded with phase 0 at the
# eclipse. Orbits shorter than ten days are circular; the others are eccentric. Each star has twelve to thirty
# velocities from one to three instruments.
import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.table import Table
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

from skdaep import DAEPEncoder, Sequence
from skdaep.plotting import ReconstructionDisplay, ResidualDisplay

ERROR = {"old": 2.0, "spare": 0.8, "new": 0.3}  # km/s
ZERO_POINT = {"old": -4.0, "spare": 1.5, "new": 0.0}


def true_anomaly(mean_anomaly, e):
    eccentric = mean_anomaly + e * np.sin(mean_anomaly)
    for _ in range(20):  # Kepler's equation by Newton's method
        excess = eccentric - e * np.sin(eccentric) - mean_anomaly
        eccentric = eccentric - excess / (1 - e * np.cos(eccentric))
    return 2 * np.arctan2(np.sqrt(1 + e) * np.sin(eccentric / 2), np.sqrt(1 - e) * np.cos(eccentric / 2))


def velocity(phase, K, e, omega, gamma):
    eclipse = np.pi / 2 - omega
    eccentric = 2 * np.arctan2(np.sqrt(1 - e) * np.sin(eclipse / 2), np.sqrt(1 + e) * np.cos(eclipse / 2))
    anomaly = true_anomaly(2 * np.pi * phase + eccentric - e * np.sin(eccentric), e)
    return gamma + K * (np.cos(anomaly + omega) + e * np.cos(omega))


def simulate(n_stars, seed):
    rng, stars, orbits = np.random.default_rng(seed), [], []
    for _ in range(n_stars):
        log_period = rng.uniform(0.3, 2.3)
        e = 0.7 * rng.beta(1.5, 2.0) if log_period > 1 else 0.0
        orbit = {"K": 20 * np.exp(0.4 * rng.standard_normal()), "e": e, "omega": rng.uniform(0, 2 * np.pi)}
        orbit["gamma"] = rng.normal(0, 10)
        n, names = rng.integers(12, 31), rng.permutation(list(ERROR))[: rng.integers(1, 4)]
        phase, instrument = np.sort(rng.uniform(0, 1, n)), rng.choice(names, n)
        rv_err = np.array([ERROR[name] for name in instrument]) * rng.uniform(0.7, 1.5, n)
        zero = np.array([ZERO_POINT[name] for name in instrument])
        rv = velocity(phase, **orbit) + zero + rv_err * rng.standard_normal(n)
        columns = {"phase": phase, "rv": rv * u.km / u.s, "rv_err": rv_err * u.km / u.s, "instrument": instrument}
        stars.append(Table(columns, meta={"log_period": log_period}))
        orbits.append(orbit)
    return stars, Table(orbits)


X_train, _ = simulate(800, seed=0)
X_test, orbits = simulate(300, seed=1)
X_train[0][:3]

# %%
# This declares the modality. The instrument serves as the band, so the decoder knows which instrument to predict, and
# learns the zero points. With ``error_weighting``, precise velocities count more in the loss than poor ones.
binaries = Sequence(value="rv", location="phase", band="instrument", error="rv_err", metadata=("log_period",))
encoder = DAEPEncoder(
    binaries,
    bottleneck_dim=2,
    model_dim=32,
    n_encoder_layers=2,
    n_decoder_layers=2,
    max_points=32,
    error_weighting=True,
    max_iter=600,
    random_state=0,
)
encoder.fit(X_train)

# %%
# Three test stars: one with a circular orbit, and two with increasing eccentricity. Bands contain 68 and 95 % of fifty
# draws, in the colour of the instrument. The star in the middle was observed with all three instruments. Their curves
# are parallel.
e, K, omega = (np.array(orbits[name]) for name in ("e", "K", "omega"))
seen_by = np.array([len(set(star["instrument"])) for star in X_test])
chosen = [
    int(np.flatnonzero(of)[0])
    for of in ((e == 0) & (seen_by == 1), (e > 0.25) & (e < 0.4) & (seen_by == 3), (e > 0.5) & (seen_by == 1))
]
titles = [f"$e$ = {e[i]:.2f}, $K$ = {K[i]:.0f} km/s" for i in chosen]
shown = ReconstructionDisplay.from_estimator(encoder, [X_test[i] for i in chosen], n_draws=50, titles=titles)

# %%
# Now we decode all test stars for each instrument at the same phases. The differences recover the simulated zero
# points, which the encoder was never told.
Z = encoder.transform(X_test)
phase, curves = np.linspace(0, 1, 50), {}
for name in ERROR:
    at = Table({"phase": phase, "instrument": [name] * len(phase)})
    curves[name] = np.array(encoder.inverse_transform(Z, at=[at] * len(Z), output="arrays"))
for name in ("old", "spare"):
    difference = curves[name] - curves["new"]
    print(f"{name} - new: {difference.mean():+.2f} km/s, simulated {ZERO_POINT[name]:+.2f}")

# %%
# Residuals of all test stars by phase: medians, and bands that contain 68 % of the residuals. For the old instrument
# they hardly exceed its errors of about 2 km/s. The new one is accurate to 0.3 km/s, so its residuals show the error
# of the model after half a minute of training: one to two km/s.
residuals = ResidualDisplay.from_estimator(encoder, X_test, bins=12)

# %%
# What do the eight numbers tell about the orbit? We predict its parameters with a regression, in five-fold
# cross-validation.
targets = {"$K$ [km/s]": K, "$e\\,\\cos\\omega$": e * np.cos(omega), "$e\\,\\sin\\omega$": e * np.sin(omega)}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for ax, (name, true) in zip(axes, targets.items(), strict=True):
    predicted = cross_val_predict(ExtraTreesRegressor(200, random_state=0), Z, true, cv=5)
    explained = 1 - np.var(predicted - true) / np.var(true)
    ax.plot(true, predicted, ".", ms=4)
    ax.axline((0, 0), slope=1, color="0.5", lw=0.8)
    margin = 0.04 * np.ptp(true)
    ends = min(true) - margin, max(true) + margin
    ax.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title=f"{explained:.0%} of the variance")
    ax.set(xlim=ends, ylim=ends, aspect="equal")
plt.show()
