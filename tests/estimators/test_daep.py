"""What only the diffusion autoencoder has: its settings."""

import re

import numpy as np

import skdaep

ESTIMATORS = ["DAEPEncoder"]
SMALL = {"model_dim": 8, "n_heads": 2, "max_iter": 3, "n_sampling_steps": 3, "random_state": 0, "device": "cpu"}


def test_the_papers_setting_as_documented_fits_and_decodes(X):
    (line,) = re.findall(r"``(DAEPEncoder\(prediction=.*?\))``", skdaep.DAEPEncoder.__doc__, re.DOTALL)
    encoder = eval(line, {"DAEPEncoder": skdaep.DAEPEncoder})
    assert encoder.prediction == "epsilon"
    values = encoder.set_params(**SMALL).fit(X).reconstruct(X, output="arrays")
    assert all(np.isfinite(v).all() for v in values)


def test_noise_predicted_badly_is_blown_up_no_more_by_the_cosine_than_by_the_linear_schedule(make, X):
    """The cosine ends at alpha = 5e-5: an error of 0.1 of the noise would be 2,000 of the data."""
    badly = {"prediction": "epsilon", "sampler": "ddim", "n_sampling_steps": 10}
    cosine, linear = (make(schedule=s, **badly).fit(X).score(X) for s in ("cosine", "linear"))
    assert abs(cosine) < 3 * abs(linear)
