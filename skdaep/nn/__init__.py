"""Networks in pure torch, independent of tables, objectives and scikit-learn. Closed."""
