"""A transformer whose output is objects."""

from __future__ import annotations

from sklearn.base import BaseEstimator, TransformerMixin


class ObjectsOut(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """A transformer that returns objects instead of columns of numbers."""

    def __init_subclass__(cls, **kwargs):
        # Otherwise scikit-learn would wrap `transform` of every subclass to convert its output to DataFrames.
        super().__init_subclass__(**kwargs | {"auto_wrap_output_keys": None})

    def get_feature_names_out(self, input_features=None):
        """Return the names unchanged, because a Table has no features yet.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names.

        Returns
        -------
        input_features : array-like of str
            The same.
        """
        return input_features

    def set_output(self, *, transform=None):
        """Do nothing, because the output is always Tables.

        Parameters
        ----------
        transform : str, default=None
            Ignored.

        Returns
        -------
        self : object
            The step.
        """
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags
