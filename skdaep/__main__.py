"""The command ``python -m skdaep``: fit, encode, reconstruct and info, on files."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import skdaep

from .exceptions import TableError
from .storage import replacing

#: objects between two lines of progress
PORTION = 1000
DESCRIPTION = """Compact vectors from irregular astronomical measurements, without labels, and back.

IN is what was measured:
  objects.parquet   one row per object with lists in its cells, or one row per point with a column that
                    names the object (--by); a folder of such files, a HATS catalogue say, is read as one
  folder/           one FITS or ECSV file per object, which is called by the name of its file
"""
EXAMPLES = """examples:
  python -m skdaep fit light_curves.parquet model.safetensors --modality photometry --by oid
  python -m skdaep fit spectra/ model.safetensors --modality spectrum --set bottleneck_dim=8 --set max_iter=5000
  python -m skdaep encode model.safetensors new.parquet codes.parquet --by oid
  python -m skdaep reconstruct model.safetensors spectra/ rebuilt.ecsv --draws 20
  python -m skdaep info model.safetensors

Exit codes: 0 done, 1 something was wrong (the message says what), 2 the command was not understood, 130 interrupted.
"""
#: what is said without a traceback: errors that tell the user what to do
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

    encode = command("encode", _encode, "Write the code of each object of IN: one row with its name and numbers.")
    rebuild = command("reconstruct", _reconstruct, "Write what MODEL makes of each object of IN, one row per point.")
    for added, formats in ((encode, "*.parquet, *.ecsv or *.npy"), (rebuild, "*.parquet or *.ecsv")):
        added.add_argument("model", metavar="MODEL", type=Path, help="what fit has saved")
        added.add_argument("input", metavar="IN", type=Path)
        added.add_argument("output", metavar="OUT", type=Path, help=formats)
    rebuild.add_argument("--draws", metavar="N", type=int, help="so many draws in place of the point estimate")
    for added in (fit, encode, rebuild):
        added.add_argument("--by", metavar="COLUMN", default="object_id", help="names the object; default: %(default)s")
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
    objects, _ = _objects(asked, tuple(asked.metadata))
    if not asked.quiet:
        _say(f"{len(objects)} objects")
    estimator.fit(objects)
    estimator.save(asked.output)


def _encode(asked: argparse.Namespace) -> None:
    _check_output(asked, (".parquet", ".ecsv", ".npy"))
    estimator, objects, ids = _loaded(asked)
    import numpy as np

    Z = np.concatenate([estimator.transform(portion) for portion in _portions(asked, objects)])
    names = estimator.get_feature_names_out()
    if asked.output.suffix == ".npy":
        rows = np.empty(len(ids), [("object_id", ids.dtype), ("z", Z.dtype, Z.shape[1:])])
        rows["object_id"], rows["z"] = ids, Z
        with replacing(asked.output) as temporary, open(temporary, "wb") as file:
            np.save(file, rows, allow_pickle=False)
    else:
        _write(asked.output, {"object_id": ids} | dict(zip(names, Z.T, strict=True)), {})


def _reconstruct(asked: argparse.Namespace) -> None:
    _check_output(asked, (".parquet", ".ecsv"))
    estimator, objects, ids = _loaded(asked)
    import numpy as np

    rebuilt = []
    for portion in _portions(asked, objects):
        rebuilt += estimator.reconstruct(portion, n_draws=asked.draws)
    owner = np.repeat(ids, [len(table) for table in rebuilt])
    first = rebuilt[0]
    columns = {c: np.concatenate([_plain(table[c]) for table in rebuilt]) for c in first.colnames}
    units = {c: str(first[c].unit) for c in first.colnames if getattr(first[c], "unit", None) is not None}
    _write(asked.output, {"object_id": owner} | columns, units)


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


def _loaded(asked: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Return the estimator, objects and their names."""
    estimator = skdaep.load(asked.model, device=asked.device)
    if len(estimator.modalities_) > 1:
        several = ", ".join(estimator.modalities_)
        raise ValueError(f"{asked.model} has several modalities ({several}); use it from Python, with lists of dicts.")
    (modality,) = estimator.modalities_.values()
    if modality.columns is None:
        raise ValueError(f"{asked.model} was fitted to arrays, not to Tables; use it from Python.")
    return estimator, *_objects(asked, tuple(modality.metadata))


def _portions(asked: argparse.Namespace, objects: Any) -> Iterator[list[Any]]:
    for start in range(0, len(objects), PORTION):
        yield [objects[i] for i in range(start, min(start + PORTION, len(objects)))]
        if not asked.quiet:
            _say(f"{min(start + PORTION, len(objects))} of {len(objects)} objects")


# --- files ------------------------------------------------------------------------------------------


class _Files(Sequence):
    """Tables of files, read when they are asked for."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i):
        from astropy.table import Table

        if isinstance(i, slice):
            return _Files(self.paths[i])
        try:
            return Table.read(self.paths[i])
        except Exception as error:  # astropy has many
            raise TableError(f"{self.paths[i]} cannot be read: {error}") from error


def _objects(asked: argparse.Namespace, meta: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the objects of the input and their names."""
    import numpy as np

    path = asked.input
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder.")
    parquet = sorted(path.rglob("*.parquet")) if path.is_dir() else [path] * (path.suffix == ".parquet")
    parquet = [p for p in parquet if not p.name.startswith(("_", "."))]  # of a HATS catalogue, what is about it
    if parquet:
        return _of_parquet(asked, parquet, meta)
    tables = (
        sorted(p for p in path.iterdir() if p.name.endswith((".fits", ".fits.gz", ".ecsv"))) if path.is_dir() else []
    )
    if not tables:
        raise ValueError(f"{path} is neither a parquet file nor a folder with *.parquet, *.fits or *.ecsv.")
    if asked.unit:
        raise ValueError("--unit is for parquet files; FITS and ECSV files have units of their own.")
    return _Files(tables), np.array([p.name.partition(".")[0] for p in tables])


def _of_parquet(asked: argparse.Namespace, paths: list[Path], meta: tuple[str, ...]) -> tuple[Any, Any]:
    from . import tables

    try:
        import pyarrow
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Parquet files need pyarrow: pip install skdaep[data]") from None
    try:
        frame = pyarrow.concat_tables([pq.ParquetFile(path).read() for path in paths])
    except pyarrow.ArrowException as error:
        raise TableError(f"{paths[0] if len(paths) == 1 else asked.input} cannot be read: {error}") from error
    units = dict(asked.unit)
    if any(tables.is_list(field.type) or str(field.type).startswith("struct") for field in frame.schema):
        by = asked.by if asked.by in frame.column_names or asked.by != "object_id" else None
        return tables.from_nested(frame, by=by, meta=meta, units=units)
    return tables.from_long(frame, by=asked.by, meta=meta, units=units)


def _plain(column: Any) -> Any:
    import numpy as np

    values = np.ma.filled(np.ma.asarray(column), np.nan) if np.ma.isMaskedArray(column) else column
    return values.mjd if hasattr(values, "mjd") else np.asarray(values)


def _write(path: Path, columns: dict[str, Any], units: dict[str, str]) -> None:
    """Write columns as ECSV or parquet, whole or not at all."""
    with replacing(path) as temporary:
        if path.suffix == ".ecsv":
            from astropy.table import Table

            Table(columns, units=units).write(temporary, format="ascii.ecsv", overwrite=True)
            return
        import pyarrow
        import pyarrow.parquet as pq

        fields, arrays = [], []
        for name, values in columns.items():
            array = _as_arrow(pyarrow, values)
            about = {"unit": units[name]} if name in units else None
            fields.append(pyarrow.field(name, array.type, metadata=about))
            arrays.append(array)
        pq.write_table(pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields)), os.fspath(temporary))


def _as_arrow(pyarrow: Any, values: Any) -> Any:
    """Return a column of Arrow; several numbers in a row, as draws are, become a list of fixed length."""
    if values.ndim == 1:
        return pyarrow.array(values)
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.ravel()), values.shape[1])


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # of what reads the output
        sys.exit(main())
