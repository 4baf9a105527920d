"""The command ``python -m skdaep``: fit, encode, reconstruct and info, on files."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import skdaep

from .exceptions import TableError

#: seconds between two lines of progress
EVERY = 2.0
DESCRIPTION = """Compact vectors from irregular astronomical measurements, without labels, and back.

IN is what was measured:
  objects.parquet   one row per object with lists in its cells, or one row per point with a column that
                    names the object (--by); of a table with several nested columns name one (--column)
  folder/           a HATS catalogue, or other parquet files like that, or one FITS or ECSV file per object,
                    which is called by the name of its file

encode and reconstruct read some objects at a time, fit holds all of them unless it has a --store. A table of one row
per point is held as a whole if the rows of an object are apart: sort it.
"""
EXAMPLES = """examples:
  python -m skdaep fit light_curves.parquet model.safetensors --modality photometry --by oid
  python -m skdaep fit spectra/ model.safetensors --modality spectrum --set bottleneck_dim=8 --set max_iter=5000
  python -m skdaep fit ztf_dr22/ model.safetensors --modality photometry --column lc --store /scratch/store
  python -m skdaep encode model.safetensors new.parquet codes.parquet --by oid
  python -m skdaep reconstruct model.safetensors spectra/ rebuilt.ecsv --draws 20
  python -m skdaep info model.safetensors

Exit codes: 0 done, 1 something was wrong (the message says what), 2 the command was not understood, 130 interrupted.
"""
#: errors whose messages tell the user what to do; they are printed without a traceback
SAID = (ValueError, OSError, ImportError, RuntimeError, ArithmeticError, TypeError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest: _say(f"skdaep: warning: {message}")  # type: ignore[assignment]
        try:
            arguments.run(arguments)
        except KeyboardInterrupt:
            _say("skdaep: interrupted")
            return 130
        except SAID as error:
            _say(f"skdaep: error: {error}")
            return 1
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


# --- what is asked ----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    form: Any = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": EXAMPLES}
    parser = argparse.ArgumentParser("python -m skdaep", description=DESCRIPTION, **form)
    parser.add_argument("--version", action="version", version=skdaep.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text}\n\n{DESCRIPTION}", **form)
        added.set_defaults(run=run)
        return added

    fit = command("fit", _fit, "Train an encoder on IN and save it as MODEL.")
    fit.add_argument("input", metavar="IN", type=Path)
    fit.add_argument("output", metavar="MODEL", type=Path, help="the file to write, *.safetensors")
    kinds = (*skdaep.ESTIMATORS, *skdaep.CLOSED_FORM)
    fit.add_argument("--estimator", choices=kinds, default=kinds[0], help="default: %(default)s")
    modalities = ("sequence", "spectrum", "photometry")
    fit.add_argument("--modality", choices=modalities, default="sequence", help="default: %(default)s")
    for role in ("value", "location", "band", "error", "ivar", "quality"):
        fit.add_argument(f"--{role}", metavar="COLUMN", help="found by its customary name if not given")
    fit.add_argument("--metadata", metavar="KEY", action="append", default=[], help="condition on it; may be repeated")
    help_set = "parameter of the estimator, such as max_iter=5000 or core=null; may be repeated"
    fit.add_argument("--set", metavar="NAME=VALUE", type=_pair, action="append", default=[], help=help_set)
    fit.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    help_store = "new folder to pack the objects into and to train from: for more of them than memory holds"
    fit.add_argument("--store", metavar="FOLDER", type=Path, help=help_store)

    encode = command("encode", _encode, "Write the code of each object of IN: one row with its name and numbers.")
    rebuild = command("reconstruct", _reconstruct, "Write what MODEL makes of each object of IN, one row per point.")
    parquet = "*.parquet, written as objects are read, or, held until the end,"
    for added, formats in ((encode, f"{parquet} *.ecsv or *.npy"), (rebuild, f"{parquet} *.ecsv")):
        added.add_argument("model", metavar="MODEL", type=Path, help="what fit has saved")
        added.add_argument("input", metavar="IN", type=Path)
        added.add_argument("output", metavar="OUT", type=Path, help=formats)
    help_errors = "objects that cannot be encoded: end with an error (default), or give them no numbers and go on"
    encode.add_argument("--errors", choices=("raise", "null"), default="raise", help=help_errors)
    rebuild.add_argument("--draws", metavar="N", type=int, help="so many draws in place of the point estimate")
    for added in (fit, encode, rebuild):
        added.add_argument("--by", metavar="COLUMN", default="object_id", help="names the object; default: %(default)s")
        help_column = "nested column with the points, or a column of lists; may be repeated; default: all"
        added.add_argument("--column", metavar="COLUMN", action="append", help=help_column)
        help_unit = "of a column of a parquet file; may be repeated"
        added.add_argument("--unit", metavar="COLUMN=UNIT", type=_pair, action="append", default=[], help=help_unit)
        added.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...; default: %(default)s")
        added.add_argument("--overwrite", action="store_true", help="replace a file that is there")
        added.add_argument("--quiet", action="store_true", help="no progress")
    about = command("info", _info, "Tell what MODEL is, without loading it.")
    about.add_argument("model", metavar="MODEL", type=Path)
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _value(text: str) -> Any:
    """Return a number, true, false, null or, where it is none of these, the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- what is done -----------------------------------------------------------------------------------


def _fit(asked: argparse.Namespace) -> None:
    _check_output(asked, (".safetensors",))
    kind = getattr(skdaep, asked.estimator)
    columns = ("value", "location", "band", "error", "ivar", "quality")
    declared = {role: name for role in columns if (name := getattr(asked, role)) is not None}
    makers = {"sequence": skdaep.Sequence, "spectrum": skdaep.Spectrum, "photometry": skdaep.Photometry}
    modality = makers[asked.modality](**declared, metadata=tuple(asked.metadata))
    estimator = kind(modality=modality, random_state=asked.seed, device=asked.device, verbose=not asked.quiet)
    estimator.set_params(**{name: _value(text) for name, text in asked.set})
    source = _source(asked, tuple(asked.metadata))
    if not asked.quiet:
        _say(f"{len(source)} objects")
    read: list[Any] = []  # names of the objects read so far
    try:
        estimator.fit(_all(asked, source, modality, read))
    except TableError as error:
        raise TableError(_with_name(str(error), read)) from None
    estimator.save(asked.output)


def _all(asked: argparse.Namespace, source: Any, modality: Any, read: list[Any]) -> Any:
    """Return all objects, held in memory or packed into a folder; their names are added to `read`."""

    def pieces() -> Iterator[Any]:
        for objects, names in source.pieces():
            read.append(names)
            yield objects

    if asked.store is not None:
        return skdaep.pack(pieces(), asked.store, modality)
    from .tables import FlatTables

    return FlatTables.joined(list(pieces()))


def _with_name(message: str, read: list[Any]) -> str:
    """Return the message of an error about ``X[i]``, or that of a chunk, with the name that the object has in files."""
    if (found := re.search(r"(?:chunks\[(\d+)\]: )?X\[(\d+)\]", message)) is None:
        return message
    parts = read if found[1] is None else [read[int(found[1])]]
    name = [name for part in parts for name in part][int(found[2])]
    return f"{message[: found.start()]}object {name}{message[found.end() :]}"


def _encode(asked: argparse.Namespace) -> None:
    _check_output(asked, (".parquet", ".ecsv", ".npy"))
    estimator, source = _loaded(asked)
    import numpy as np

    from .catalogs import encode_each
    from .outputs import written

    columns, first_bad, n_bad = estimator.get_feature_names_out(), "", 0
    with written(asked.output) as output:
        for objects, names in _told(asked, source):
            Z = np.empty((len(objects), len(columns)), np.float32)
            bad = encode_each(estimator, objects, names, Z, asked.errors)
            Z[list(bad)] = np.nan
            first_bad = first_bad or next((f"{names[i]}: {bad[i]}" for i in sorted(bad)), "")
            n_bad += len(bad)
            output.add({"object_id": names} | dict(zip(columns, Z.T, strict=True)))
        if n_bad == len(source):
            raise TableError(f"No object can be encoded. The first, {first_bad}")
    if n_bad:
        _say(f"skdaep: warning: {n_bad} objects cannot be encoded and get NaN. The first, {first_bad}")


def _reconstruct(asked: argparse.Namespace) -> None:
    _check_output(asked, (".parquet", ".ecsv"))
    estimator, source = _loaded(asked)
    import numpy as np

    from .outputs import written

    with written(asked.output) as output:
        for objects, names in _told(asked, source):
            rebuilt = _rebuilt(estimator, objects, names, asked.draws)
            owner, first = np.repeat(names, [len(table) for table in rebuilt]), rebuilt[0]
            columns = {c: np.concatenate([_plain(table[c]) for table in rebuilt]) for c in first.colnames}
            units = {c: str(first[c].unit) for c in first.colnames if getattr(first[c], "unit", None) is not None}
            output.add({"object_id": owner} | columns, units)


def _rebuilt(estimator: Any, objects: Any, names: Any, n_draws: int | None) -> Any:
    try:
        return estimator.reconstruct(objects, n_draws=n_draws)
    except TableError:
        for name, obj in zip(names, objects, strict=True):
            try:
                estimator.reconstruct([obj], n_draws=n_draws)
            except TableError as error:
                raise TableError(f"Object {name}: {error}") from None
        raise


def _info(asked: argparse.Namespace) -> None:
    sys.stdout.write(f"{skdaep.info(asked.model)}\n")


def _check_output(asked: argparse.Namespace, suffixes: tuple[str, ...]) -> None:
    """Refuse, before anything is computed, a file that is there, a format that is not known, and no folder."""
    path = asked.output
    if path.suffix not in suffixes:
        raise ValueError(f"{path}: the file name must end in {' or '.join(suffixes)}.")
    if path.exists() and not asked.overwrite:
        raise FileExistsError(f"{path} exists already; use --overwrite to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}.")


def _loaded(asked: argparse.Namespace) -> tuple[Any, Any]:
    """Return the estimator and where objects come from."""
    estimator = skdaep.load(asked.model, device=asked.device)
    if len(estimator.modalities_) > 1:
        several = ", ".join(estimator.modalities_)
        raise ValueError(f"{asked.model} has several modalities ({several}); use it from Python, with lists of dicts.")
    (modality,) = estimator.modalities_.values()
    if modality.columns is None:
        raise ValueError(f"{asked.model} was fitted to arrays, not to Tables; use it from Python.")
    return estimator, _source(asked, tuple(modality.metadata))


def _source(asked: argparse.Namespace, meta: tuple[str, ...]) -> Any:
    from .inputs import Asked, Long, open_input

    source = open_input(asked.input, Asked(asked.by, asked.column, meta, dict(asked.unit)))
    if not len(source):
        raise ValueError(f"{asked.input} holds 0 objects.")
    if isinstance(source, Long) and source.scattered and not asked.quiet:
        _say(f"The rows of an object are apart, so all of {asked.input} is held in memory; sort it by {asked.by!r}.")
    return source


def _told(asked: argparse.Namespace, source: Any) -> Iterator[Any]:
    """Yield what a source has, and tell how far it has come."""
    began, said, done = time.monotonic(), time.monotonic(), 0
    for piece in source.pieces():
        yield piece
        done, now = done + len(piece[1]), time.monotonic()
        if not asked.quiet and (done == len(source) or now - said > EVERY):
            _say(f"{done:,} of {len(source):,} objects, {done / max(now - began, 1e-9):,.0f} a second")
            said = now


def _plain(column: Any) -> Any:
    import numpy as np

    values = np.ma.filled(np.ma.asarray(column), np.nan) if np.ma.isMaskedArray(column) else column
    return values.mjd if hasattr(values, "mjd") else np.asarray(values)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the program that reads the output, such as head, has ended
        sys.exit(main())
