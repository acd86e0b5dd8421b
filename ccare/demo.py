"""``ccare demo``: a year of real purchases from landing files to scores, points, exports and a catalogue.

It goes the same road as any lake: nothing below knows where the files came from.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from ccare.errors import UsageError
from ccare.runtime.settings import Settings, default_conf, key_file, write_key

GO_LIVE = date(2017, 12, 24)
LAST_DAY = date(2017, 12, 31)
TIMEZONE = "America/New_York"
CURRENCY = "USD"


@dataclass
class DemoResult:
    """Where everything is, whether it verifies, and what of ``ccare.demo_outcomes`` a full demo failed to show."""

    folder: str
    seconds: dict[str, float] = field(default_factory=dict)
    summary: Any = None
    verified: bool = False
    checks: int = 0
    not_seen: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    card: str = ""


def demo_settings(folder: Path, *, real_only: bool = False) -> Settings:
    """Settings of the demo's own lake: short ledger terms, the data's time zone and currency.

    With ``real_only`` its policy is a folder of its own, which ``run_demo`` writes.
    """
    return Settings.load().with_(
        lake=folder / "lake",
        landing=folder / "landing",
        exports=folder / "exports",
        timezone=TIMEZONE,
        currency=CURRENCY,
        conf=folder / "conf" if real_only else default_conf() / "demo",
    )


def run_demo(folder: Path, *, real_only: bool, said: Callable[[str], None]) -> DemoResult:
    """Bring the demo to its end from wherever it stands; the same digest however often it was stopped."""
    from ccare.demo_outcomes import not_seen
    from ccare.demo_policy import write_real_only
    from ccare.exports.merchants import export_merchants
    from ccare.exports.summary import demo_summary, render_text, write_html
    from ccare.ledger.policy import load_ledger
    from ccare.runtime import manifest
    from ccare.runtime.close_days import export_all
    from ccare.sources.complete_journey import write_complete_journey

    settings = demo_settings(folder, real_only=real_only)
    result = DemoResult(str(folder))
    clock = _Clock(result.seconds, said)
    _same_kind(folder, real_only)
    if real_only:
        write_real_only(default_conf() / "demo", settings.conf)
    with clock("landing files"):
        write_complete_journey(settings.landing, go_live=GO_LIVE, last_day=LAST_DAY, simulated=not real_only)
        if not real_only:
            write_simulated(settings)
    _make_key(settings)
    with clock("history to 2017-12-23, one pass"):
        _close(settings, GO_LIVE - timedelta(days=1), said)
    for n in range((LAST_DAY - GO_LIVE).days + 1):
        day = GO_LIVE + timedelta(days=n)
        with clock(f"close {day}"):
            _close(settings, day, said)
    row = manifest.latest(settings.lake)
    assert row is not None
    from ccare.runtime.verify import verify_lake

    with clock("verify"):
        verified = verify_lake(settings, said)
    result.verified, result.checks = verified.ok, len(verified.checks)
    with clock("exports and catalogue"):
        result.exports = export_all(settings, row)
        result.summary = demo_summary(settings, row)
        if not real_only:
            programmes = load_ledger(settings.conf).programmes_file.programmes
            result.not_seen = not_seen(result.summary.outcomes, programmes)
        cards = export_merchants(settings, row, named=[result.summary.example_merchant])
        result.card = str(cards.folders[0] / "card.html")
        result.exports.append(str(write_html(settings, result.summary)))
    for line in render_text(result.summary):
        said(line)
    _closing(result, settings, said)
    return result


def write_simulated(settings: Settings) -> None:
    """What the programmes need and no panel holds, beside the landing files of ``GO_LIVE`` to ``LAST_DAY``."""
    from ccare.events.slots import load_slots
    from ccare.ledger.policy import load_ledger
    from ccare.simulate.campaign import write_campaign
    from ccare.simulate.mini_program_owners import write_mini_programs
    from ccare.simulate.providers import write_providers
    from ccare.simulate.redemption import write_redemptions
    from ccare.simulate.shops import write_shops

    landing, zone = settings.landing, settings.timezone
    slots = load_slots(settings.conf, GO_LIVE)
    wufu = next(p for p in load_ledger(settings.conf).programmes_file.programmes if p.name == "wufu")
    write_mini_programs(landing, GO_LIVE)
    write_redemptions(landing, GO_LIVE, zone, slots.redemption)
    write_providers(landing, GO_LIVE)
    write_campaign(landing, GO_LIVE, zone, wufu, slots.promotion.programme if slots.promotion else None)
    write_shops(landing, GO_LIVE, LAST_DAY, zone, wufu)


def _close(settings: Settings, day: date, said: Callable[[str], None]) -> None:
    """Close one day as a scheduler would; a day closed before a stop is left as it is."""
    from ccare.runtime import manifest
    from ccare.runtime.close_days import close_days
    from ccare.runtime.day import LakeState

    if LakeState(manifest.published(settings.lake)).close_of(day) is None:
        close_days(settings, day, day, said=said, to_step="publish")


def _same_kind(folder: Path, real_only: bool) -> None:
    """A lake with simulated rows does not become a real one by a flag, nor the other way round."""
    marker = folder / "_demo_kind"
    kind = "real only" if real_only else "real and simulated"
    if marker.is_file() and marker.read_text() != kind:
        raise UsageError(
            f"{folder} holds a demo with {marker.read_text()} rows.",
            remedy=f"Remove it first (rm -r {folder}), or give another --folder.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text(kind)


def _make_key(settings: Settings) -> None:
    """The demo's key, unless one is set.

    The panel is public, so its tokens hide nothing: a fixed key lets every machine reach the same digest.
    """
    path = key_file(settings.lake)
    if settings.pseudonym_key or path.exists():
        return
    write_key(settings.lake, sha256(b"ccare demo: public data, nothing to hide").hexdigest())


def _closing(result: DemoResult, settings: Settings, said: Callable[[str], None]) -> None:
    state = "every check holds" if result.verified else "BROKEN, see above"
    said(f"verify: {state} ({result.checks} checks)")
    for missing in result.not_seen:
        said(f"NOT SEEN of what this demo should show: {missing}")
    said(f"exports: {settings.exports}")
    said(f"score card: {result.card}")
    said(f"catalogue: {settings.exports / 'ccare.duckdb'}")
    said(
        f"try: CCARE_LAKE={settings.lake} CCARE_EXPORTS={settings.exports} .venv/bin/ccare sql growth_accounting"
    )
    said(f"took {sum(result.seconds.values()):.0f} s")


class _Clock:
    """Times named stretches and says them."""

    def __init__(self, seconds: dict[str, float], said: Callable[[str], None]) -> None:
        self.seconds, self.said, self.name, self.started = seconds, said, "", 0.0

    def __call__(self, name: str) -> "_Clock":
        self.name = name
        return self

    def __enter__(self) -> None:
        self.said(f"== {self.name}")
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] = round(time.monotonic() - self.started, 1)
        self.said(f"== {self.name}: {self.seconds[self.name]} s")
