"""A published lake of drawn payers, written without a JVM."""

import shutil
from pathlib import Path

import pytest

from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings, default_conf
from ccare.tables import table
from tests.potential.payers import (
    FIRST_CLOSE,
    LAST,
    MERCHANTS,
    POSTED,
    World,
    drawn_payments,
    merchant,
    odd_payments,
    provenance,
)
from tests.published import publish


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Nobody writes to its tables; tests that publish copy it."""
    root = tmp_path_factory.mktemp("potential")
    settings = Settings(
        lake=root / "lake", landing=root / "landing", exports=root / "exports", conf=default_conf() / "demo"
    )
    settings.lake.mkdir()
    payments = [*drawn_payments(), *odd_payments()]
    content = {
        "core_payments": payments,
        "core_staff": [provenance() | {"merchant_id": "m00", "user_key": "staff"}],
        "core_merchants": [merchant(i) for i in range(MERCHANTS)],
    }
    versions = {name: write_rows(settings.lake, table(name), rows, "test") for name, rows in content.items()}
    for day in (FIRST_CLOSE, LAST):
        publish(settings.lake, day, versions, published_at=POSTED)
    return World(settings, payments)


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Settings:
    """A lake of the test's own."""
    shutil.copytree(world.settings.lake, tmp_path / "lake")
    return world.settings.with_(
        lake=tmp_path / "lake", landing=tmp_path / "landing", exports=tmp_path / "exports"
    )
