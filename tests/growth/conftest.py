"""The small lake, written once for all tests of the folder."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from tests.growth.small_growth import growth_rows


@pytest.fixture(scope="session")
def small_lake() -> ModuleType:
    """The module tests/growth/small_lake.py."""
    path = Path(__file__).resolve().parents[1] / "growth" / "small_lake.py"
    spec = importlib.util.spec_from_file_location("ccare_small_lake", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def built(small_lake: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the small lake with what growth asks of it: nobody writes to its tables."""
    return small_lake.build(tmp_path_factory.mktemp("small"), more=growth_rows())


@pytest.fixture
def settings(built: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The same lake with an exports folder of the test's own."""
    yield built.with_(exports=tmp_path / "exports")


@pytest.fixture
def row(settings: Settings) -> Published:
    """What is published."""
    published = manifest.latest(settings.lake)
    assert published
    return published
