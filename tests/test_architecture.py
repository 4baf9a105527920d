"""Who may import whom (the table of the design), and what the package never does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skdaep

ROOT = Path(skdaep.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# A room may import itself and these. "skdaep" is the package's own __init__: the registry of public names.
ROOMS = {
    "skdaep": set(),
    "exceptions": set(),
    "registry": set(),
    "storage": set(),
    "nn": set(),
    "diffusion": set(),
    "tables": {"exceptions"},
    "training": {"exceptions"},
    "linear": {"nn"},
    "objectives": {"registry", "nn", "diffusion", "linear"},
    "modalities": {"registry", "exceptions", "tables", "nn"},
    "model": {"registry", "exceptions", "storage", "modalities", "objectives", "nn", "diffusion", "training"},
    "preprocessing": {"exceptions", "tables"},
    "metrics": {"exceptions", "tables"},
    "calibration": {"exceptions", "tables", "metrics"},
    "catalogs": {"exceptions", "tables", "training", "estimators"},
    "plotting": {"exceptions", "tables", "metrics"},
    "datasets": {"exceptions", "storage", "tables"},
    "pretrained": {"exceptions", "storage", "tables", "preprocessing", "estimators"},
    "inputs": {"exceptions", "tables"},
    "outputs": {"storage"},
    "__main__": {"skdaep", "exceptions", "tables", "catalogs", "inputs", "outputs"},
    "estimators": {
        *("skdaep", "registry", "exceptions", "tables", "modalities", "nn", "diffusion", "objectives", "training"),
        *("model", "metrics"),
    },
}
SPEAKS_SKLEARN = {"preprocessing", "estimators", "metrics", "calibration", "plotting", "pretrained"}
NEVER_TORCH = {"tables", "preprocessing", "plotting", "datasets"}


def parse(path):
    return ast.parse(path.read_text())


def room_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "skdaep" if parts == ("__init__",) else parts[0]


def imported(tree, path):
    """Yield the full dotted names that a file imports, wherever in it: ``from a import b`` gives a and a.b."""
    package = ("skdaep", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_imported(path):
    names = [name.split(".") for name in imported(parse(path), path)]
    own = [name for name in names if name[0] == "skdaep"]
    # ``from .. import tables`` gives "skdaep" beside "skdaep.tables": only a bare ``import skdaep`` is the registry.
    rooms = {name[1] for name in own if len(name) > 1}
    return rooms | ({"skdaep"} if own and not rooms else set())


def packages_imported(path):
    return {name.split(".")[0] for name in imported(parse(path), path)}


def relative(path):
    return path.relative_to(ROOT).as_posix()


each_file = pytest.mark.parametrize("path", FILES, ids=relative)


def calls(tree):
    """Yield every call and the dotted name of what is called, "" where it is not a plain name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            parts, f = [], node.func
            while isinstance(f, ast.Attribute):
                parts.append(f.attr)
                f = f.value
            yield node, ".".join(reversed([*parts, f.id])) if isinstance(f, ast.Name) else ""


# --- who imports whom -------------------------------------------------------------------------------


@each_file
def test_rooms_import_only_rooms_allowed(path):
    room = room_of(path)
    assert room in ROOMS, f"{relative(path)} is in a room that the design does not know"
    assert rooms_imported(path) <= ROOMS[room] | {room}


@each_file
def test_sklearn_is_spoken_in_few_rooms_only(path):
    assert "sklearn" not in packages_imported(path) or room_of(path) in SPEAKS_SKLEARN


@each_file
def test_torch_stays_out_of_tables_preprocessing_plotting_and_datasets(path):
    assert "torch" not in packages_imported(path) or room_of(path) not in NEVER_TORCH


@each_file
def test_private_names_of_sklearn_are_imported_in_one_file(path):
    private = {n for n in imported(parse(path), path) if n.startswith("sklearn.") and "._" in n}
    assert not private or relative(path) == "estimators/_compat.py"


@each_file
def test_packages_of_extras_are_not_imported_with_the_package(path):
    """Only inside functions, where their absence can be explained."""
    extras = {"matplotlib", "pandas", "polars", "rich", "diffusers", "skops", "specutils"}
    extras |= {"lightkurve", "h5py", "pyarrow", "onnx", "onnxscript", "onnxruntime", "lsdb", "nested_pandas", "dask"}
    top = ast.Module(
        [n for n in ast.walk(parse(path)) if isinstance(n, (ast.Import, ast.ImportFrom)) and n.col_offset == 0], []
    )
    assert not {name.split(".")[0] for name in imported(top, path)} & extras


@each_file
def test_no_private_name_crosses_rooms(path):
    """What another room imports is public there: neither the file nor the name begins with an underscore."""
    own = room_of(path)
    names = [name.split(".") for name in imported(parse(path), path)]
    across = [name for name in names if name[0] == "skdaep" and len(name) > 1 and name[1] != own]
    assert not [".".join(name) for name in across if any(part.startswith("_") for part in name[1:])]


def test_an_estimator_has_few_classes_of_ours_above_it():
    for name in (*skdaep.ESTIMATORS, *skdaep.MULTIMODAL):
        mro = getattr(skdaep, name).__mro__
        assert sum(cls.__module__.startswith("skdaep") for cls in mro) <= 6
    assert sum(cls.__module__.startswith("skdaep") for cls in skdaep.DAEPEncoder.__mro__) <= 5


def test_the_table_names_only_rooms_and_no_circle():
    assert all(allowed <= set(ROOMS) for allowed in ROOMS.values())
    seen = set()
    while len(seen) < len(ROOMS):
        ready = {room for room, allowed in ROOMS.items() if allowed <= seen} - seen
        assert ready, "the rooms left import each other in a circle"
        seen |= ready


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from ..nn.batch import Batch", {"nn"}),
        ("from .. import tables", {"tables"}),
        ("from skdaep.nn import batch", {"nn"}),
        ("import skdaep.training.loop as x", {"training"}),
        ("def f():\n    from ...diffusion import process", {"diffusion"}),
        ("import skdaep", {"skdaep"}),
        ("from .schedules import cosine", {"objectives"}),
        ("import torch", set()),
    ],
)
def test_this_test_sees_every_form_of_import(source, rooms, tmp_path, monkeypatch):
    path = ROOT / "objectives" / ("deep/x.py" if "..." in source else "x.py")
    monkeypatch.setattr(f"{__name__}.parse", lambda path: ast.parse(source), raising=True)
    assert rooms_imported(path) == rooms


# --- what importing costs ---------------------------------------------------------------------------


def modules_after(code):
    """Return what a fresh interpreter has imported after running a line."""
    command = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_no_heavy_one():
    heavy = {"numpy", "torch", "sklearn", "astropy", "scipy", "pandas", "matplotlib", "joblib", "safetensors"}
    assert not modules_after("import skdaep") & heavy


def test_errors_and_names_are_cheap_too():
    code = "import skdaep; dir(skdaep); skdaep.TableError; skdaep.__version__"
    assert not modules_after(code) & {"torch", "sklearn", "astropy"}


def test_every_public_name_is_there_and_nothing_else_answers():
    for name in skdaep.__all__:
        assert getattr(skdaep, name) is not None
    assert sorted(dir(skdaep)) == sorted(skdaep.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = skdaep.no_such_name


# --- names ------------------------------------------------------------------------------------------

#: rooms that users import from, whose modules begin with an underscore
PUBLIC_ROOMS = {"tables", "preprocessing", "modalities", "estimators", "metrics", "calibration", "plotting", "datasets"}
PUBLIC_ROOMS |= {"pretrained"}
VAGUE = {"each", "keep", "kept", "like", "some", "store", "stored", "stores", "where"}
#: `store` is a `Store`; `keep` is a parameter of `encode_catalog`, `PhaseFromPeak` and `RelativeToBrightest`
ALLOWED = {
    "estimators/_fitting.py": {"store"},
    "catalogs.py": {"keep", "kept"},
    "preprocessing/_frames.py": {"keep"},
    "preprocessing/_brightest.py": {"keep"},
}


def defined(tree):
    """Yield the names that a file gives to functions, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@each_file
def test_names_say_something(path):
    names = {name.lstrip("_") for name in defined(parse(path))}
    assert not names & VAGUE - ALLOWED.get(relative(path), set())


def test_one_class_one_name():
    found = {}
    for path in FILES:
        for node in parse(path).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).add(room_of(path))
    shared = {name: rooms for name, rooms in found.items() if len(rooms) > 1}
    assert all(rooms == {"estimators", "objectives"} for rooms in shared.values()), shared  # a method and its face


@each_file
def test_modules_of_public_rooms_begin_with_an_underscore(path):
    room, *parts = path.relative_to(ROOT).parts
    names = [part for part in parts if part != "__init__.py"]
    if room in PUBLIC_ROOMS and relative(path) not in {"metrics/reading.py", "plotting/style.py"}:
        assert all(name.startswith("_") for name in names)
    elif room != "__init__.py":
        assert not any(name.startswith("_") for name in names)


# --- what the package never does --------------------------------------------------------------------

EXECUTES_WHAT_IT_READS = {
    *("torch.load", "pickle.load", "pickle.loads", "joblib.load", "dill.load", "marshal.load", "marshal.loads"),
    *("eval", "exec"),
}


@each_file
def test_nothing_read_is_ever_executed(path):
    called = {name for _, name in calls(parse(path))}
    assert not called & EXECUTES_WHAT_IT_READS
    assert not packages_imported(path) & {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
    allows = [k for call, _ in calls(parse(path)) for k in call.keywords if k.arg == "allow_pickle"]
    assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in allows)


def global_seeds(tree):
    """Yield calls that seed a global generator; ``torch.Generator().manual_seed`` is not one."""
    for call, name in calls(tree):
        if name in ("np.random.seed", "numpy.random.seed", "random.seed") or (
            name.startswith("torch.") and name.split(".")[-1] in ("manual_seed", "manual_seed_all", "seed", "seed_all")
        ):
            yield call


@each_file
def test_global_generators_are_never_seeded(path):
    assert not list(global_seeds(parse(path)))


@pytest.mark.parametrize(
    ("source", "n"),
    [
        ("torch.manual_seed(0)", 1),
        ("torch.cuda.manual_seed_all(0)", 1),
        ("np.random.seed(0)", 1),
        ("torch.Generator().manual_seed(0)", 0),
        ("generator.manual_seed(0)", 0),
    ],
)
def test_this_test_sees_global_seeds(source, n):
    assert len(list(global_seeds(ast.parse(source)))) == n


@each_file
def test_legacy_global_generators_are_not_drawn_from(path):
    drawn = {name for _, name in calls(parse(path)) if name.startswith(("np.random.", "numpy.random."))}
    allowed = {"default_rng", "Generator", "SeedSequence", "Philox", "PCG64", "RandomState"}
    assert {name.split(".")[-1] for name in drawn} <= allowed
