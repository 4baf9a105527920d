"""scikit-learn's own checks, whole: every public estimator on 2-D arrays, no expected failure."""

import pytest
import sklearn.utils.estimator_checks as checks
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import skdaep

TINY = dict(
    model_dim=4,
    n_heads=1,
    n_encoder_layers=1,
    n_decoder_layers=1,
    bottleneck_length=1,
    bottleneck_dim=2,
    n_components=2,
    max_iter=1,
    n_sampling_steps=2,
    early_stopping=False,
    random_state=0,
    device="cpu",
)


def tiny(name, **changes):
    estimator = getattr(skdaep, name)()
    return estimator.set_params(**{k: v for k, v in (TINY | changes).items() if k in estimator.get_params()})


OTHERS = [name for name in skdaep.ESTIMATORS if name != "DAEPEncoder"]
ESTIMATORS = [tiny("DAEPEncoder"), *(tiny(name, core=None) for name in OTHERS), *map(tiny, skdaep.CLOSED_FORM)]
ESTIMATORS.append(tiny("DAEPEncoder", core=None, supervised_weight=0.5))  # which needs y

# Not in scikit-learn's generator, which runs them in tests of its own.
OUTSIDE_THE_GENERATOR = [
    "check_param_validation",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_estimators_partial_fit_n_features",
]
# Of these, all lines are scikit-learn's and the base class's: one estimator of each kind will do.
OF_THE_BASE_CLASS = [
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]


@parametrize_with_checks(ESTIMATORS)
def test_check_of_the_generator(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it the check of array API dispatch skips itself
    check(estimator)


# The checks mix DataFrames and arrays on purpose.
@pytest.mark.filterwarnings("ignore:X (does not have|has feature names):UserWarning")
@pytest.mark.parametrize("check", OUTSIDE_THE_GENERATOR)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_check_outside_the_generator(estimator, check):
    getattr(checks, check)(type(estimator).__name__, clone(estimator))


@pytest.mark.filterwarnings("ignore:X (does not have|has feature names):UserWarning")
@pytest.mark.parametrize("check", OF_THE_BASE_CLASS)
@pytest.mark.parametrize("name", ["DAEPEncoder", *skdaep.CLOSED_FORM])
def test_check_of_the_base_class(name, check):
    getattr(checks, check)(name, tiny(name, core=None))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_the_generator_runs_all_checks_of_a_transformer_of_arrays(estimator):
    # Tags that switch checks off would make the tests above pass for nothing.
    assert len(list(checks.estimator_checks_generator(estimator))) >= 46
    tags = estimator.__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
