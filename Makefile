# The commands of README.rst and CONTRIBUTING.rst by name, in the environment that is active.
.PHONY: quickstart test lint doc dist

quickstart:  ## see it work
	python -m pip install ".[plot]" && python examples/plot_01_quickstart.py

test:  ## install in place, and run all tests
	python -m pip install -e ".[test]" && python -m pytest

lint:  ## rules, format, spelling
	python -m pip install ruff codespell mypy
	ruff check .
	mypy
	ruff format --check .
	codespell

doc:  ## build the pages with all examples executed
	python -m pip install -e ".[doc]" && python -m sphinx -W -b html doc doc/_build/html

dist:  ## build sdist and wheel, and check them
	python -m pip install build twine
	python -m build
	python -m twine check --strict dist/*
