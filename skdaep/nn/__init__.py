"""Networks: pure torch, knowing nothing of tables, objectives or scikit-learn. Closed."""
