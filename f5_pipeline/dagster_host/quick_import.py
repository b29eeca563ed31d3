"""Dagster, imported without what a command never uses.

Importing Dagster and opening an instance loads 1370 modules. A third of the time goes to what a run does not need:
Dagster's daemon, which brings structlog and rich; Alembic, which brings Mako and Pygments; and the garbage collector,
which looks at everything that is loaded again and again. Here those modules are loaded when something asks for them.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

DEFERRED_PACKAGE = "dagster._daemon"
"""Its `__init__` imports the whole daemon; the storages need its module `types` alone."""

REPLACED_MODULES = (
    "alembic",
    "alembic.command",
    "alembic.config",
    "alembic.runtime",
    "alembic.runtime.environment",
    "alembic.runtime.migration",
    "alembic.script",
    "filelock",
    "tqdm",
)
"""Dagster imports functions and classes from these, for databases that are new or older than itself, and for packages
of components. A run on a database that is there calls none of them."""

INSTANCE_MODULES = (
    "dagster",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.storage.local_compute_log_manager",
)
"""What opening an instance imports."""


def import_dagster() -> None:
    """Import Dagster and what opening an instance needs, where this process has not done so."""
    if "dagster._core.storage.sql" in sys.modules:
        return
    with no_garbage_collection(), _replaced_modules():
        if DEFERRED_PACKAGE not in sys.modules:
            _defer(DEFERRED_PACKAGE)
        for name in INSTANCE_MODULES:
            importlib.import_module(name)
        if isinstance(package := sys.modules.get(DEFERRED_PACKAGE), _DeferredPackage):
            parent, _, child = DEFERRED_PACKAGE.rpartition(".")
            setattr(sys.modules[parent], child, package)  # as an import does


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage within; what is alive at the end is not looked at again.

    Modules are hardly ever garbage, and a collection for each few hundred new objects costs a tenth of an import.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


class _DeferredPackage(ModuleType):
    """A package whose `__init__` runs when a name is asked for that is not there; its modules load without that."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


def _defer(name: str) -> None:
    # Not importlib.util.find_spec: it would import the package above.
    parent = importlib.util.find_spec(name.partition(".")[0])
    locations = parent.submodule_search_locations if parent else None
    spec = importlib.machinery.PathFinder.find_spec(name, locations)
    if spec is None or spec.submodule_search_locations is None:
        return  # another version of Dagster; it is only slower
    module = _DeferredPackage(name)
    module.__spec__, module.__loader__, module.__package__ = spec, spec.loader, name
    module.__path__, module.__file__ = spec.submodule_search_locations, spec.origin
    sys.modules[name] = module


class _Later:
    """Stands for a function or class of a module, which is imported at the first use."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _load(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._load()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


class _ReplacedModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(self.__name__, name)


@contextmanager
def _replaced_modules() -> Iterator[None]:
    """Within, names that are imported from `REPLACED_MODULES` stand for the real ones. Afterwards the modules are those
    of the disk again."""
    names = [name for name in REPLACED_MODULES if name.partition(".")[0] not in sys.modules]
    for name in names:
        sys.modules[name] = _ReplacedModule(name)
        sys.modules[name].__path__ = []
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
