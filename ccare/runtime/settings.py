"""Settings: read once from the environment, frozen, printable without secrets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ccare.errors import InputMissing, UsageError

MIN_KEY_BYTES = 32
KEY_VERSION = "k1"


def default_conf() -> Path:
    """The policy folder that comes with the product: conf/ in a checkout, ccare/_conf in a wheel."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "_conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


@dataclass(frozen=True)
class Settings:
    """Where things are and how they run. Made by ``Settings.load``; secrets never appear in ``shown``."""

    lake: Path
    landing: Path
    exports: Path
    timezone: str = "Asia/Shanghai"
    currency: str = "CNY"
    conf: Path = field(default_factory=default_conf)
    spark_master: str = "local[*]"
    spark_conf: tuple[tuple[str, str], ...] = ()
    landing_days: int = 90
    pseudonym_key: bytes = field(default=b"", repr=False)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Settings from ``CCARE_*`` variables; UsageError names the first one that cannot be meant."""
        env = os.environ if environ is None else environ
        return cls(
            lake=_local_path(env, "CCARE_LAKE", "lake"),
            landing=_local_path(env, "CCARE_LANDING", "landing"),
            exports=_local_path(env, "CCARE_EXPORTS", "exports"),
            timezone=_timezone(env.get("CCARE_BUSINESS_TIMEZONE") or "Asia/Shanghai"),
            currency=env.get("CCARE_CURRENCY") or "CNY",
            conf=Path(env["CCARE_CONF"]).resolve() if env.get("CCARE_CONF") else default_conf(),
            spark_master=env.get("CCARE_SPARK_MASTER") or "local[*]",
            spark_conf=_pairs(env.get("CCARE_SPARK_CONF", "")),
            landing_days=_positive(env.get("CCARE_LANDING_DAYS") or "90", "CCARE_LANDING_DAYS"),
            pseudonym_key=_key(env),
        )

    def with_(self, **changes: object) -> "Settings":
        """A copy with some settings changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def require_key(self) -> bytes:
        """The pseudonym key; InputMissing where there is none, UsageError where it is too short."""
        key = self.pseudonym_key or _stored_key(self.lake)
        if not key:
            raise InputMissing(
                "No pseudonym key is set, so user ids cannot be turned into tokens.",
                remedy=f"Set CCARE_PSEUDONYM_KEY (at least {MIN_KEY_BYTES} bytes) or CCARE_PSEUDONYM_KEY_FILE.",
            )
        if len(key) < MIN_KEY_BYTES:
            raise UsageError(
                f"The pseudonym key has {len(key)} bytes; at least {MIN_KEY_BYTES} are needed.",
                remedy="Set a longer CCARE_PSEUDONYM_KEY; a key that was used before must not change.",
            )
        return key

    def shown(self) -> dict[str, str]:
        """Settings as text for people; the key is told only by its presence."""
        key = self.pseudonym_key or _stored_key(self.lake)
        return {
            "CCARE_LAKE": str(self.lake),
            "CCARE_LANDING": str(self.landing),
            "CCARE_EXPORTS": str(self.exports),
            "CCARE_CONF": str(self.conf),
            "CCARE_BUSINESS_TIMEZONE": self.timezone,
            "CCARE_CURRENCY": self.currency,
            "CCARE_SPARK_MASTER": self.spark_master,
            "CCARE_SPARK_CONF": ", ".join(name for name, _ in self.spark_conf),
            "CCARE_LANDING_DAYS": str(self.landing_days),
            "CCARE_PSEUDONYM_KEY": f"set, {len(key)} bytes" if key else "not set",
        }


def key_file(lake: Path) -> Path:
    """Where ``demo`` and ``simulate`` keep the key that they made for their own lake (mode 0600)."""
    return lake / "_pseudonym_key"


def write_key(lake: Path, key: str) -> None:
    """Keep a key that was made for the lake; FileExistsError where it has one."""
    lake.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(key_file(lake), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(key)


def _stored_key(lake: Path) -> bytes:
    path = key_file(lake)
    return path.read_bytes().strip() if path.is_file() else b""


def _key(env: Mapping[str, str]) -> bytes:
    if env.get("CCARE_PSEUDONYM_KEY"):
        return env["CCARE_PSEUDONYM_KEY"].encode()
    name = env.get("CCARE_PSEUDONYM_KEY_FILE")
    if not name:
        return b""
    try:
        return Path(name).read_bytes().strip()
    except OSError as error:
        raise InputMissing(
            f"The pseudonym key file {name} cannot be read ({error.strerror}).",
            remedy="Point CCARE_PSEUDONYM_KEY_FILE at a readable file.",
        ) from None


def _local_path(env: Mapping[str, str], name: str, default: str) -> Path:
    value = env.get(name) or default
    if value.startswith("file:"):
        value = value.removeprefix("file:").replace("///", "/", 1)
    if "://" in value:
        raise UsageError(
            f"{name} is {value}; this version keeps its lease and manifest head on a file system.",
            remedy=f"Set {name} to a local or mounted path.",
        )
    return Path(value).resolve()


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(
            f"CCARE_BUSINESS_TIMEZONE is {name}, which is no IANA time zone.", remedy="Try Asia/Shanghai."
        ) from None
    return name


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, separator, value = part.partition("=")
        if not separator:
            raise UsageError(f"CCARE_SPARK_CONF holds {part!r}.", remedy="Write key=value,key=value.")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


def _positive(text: str, name: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"{name} is {text!r}.", remedy="Give a whole number of days above 0.")
    return int(text)
