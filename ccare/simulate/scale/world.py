"""What a simulation is given, and its population: merchants, pairs of user and merchant, and their purchases."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

import duckdb

from ccare.errors import UsageError
from ccare.simulate.draws import ADOPTION_PERMILLE, MACROS
from ccare.simulate.mini_program import SCENES
from ccare.simulate.scale import curves
from ccare.sources.landing_lines import MACROS as LINE_MACROS
from ccare.sources.zone_macros import create_zone_macros

LAYOUT = 1
"""Raised whenever the same parameters would give other bytes."""
DAYS_BEFORE = 180
"""First purchases lie in so many days before the first day, or in the simulation, all days alike."""
MAX_DAYS = 3660
USERS_PER_NUMBER = 16
"""Pair n belongs to user n // 16: more merchants than MERCHANTS_OF_USER ever gives."""
INDUSTRIES = ("catering", "retail", "grocery", "beauty", "health", "travel", "education", "local_services")


@dataclass(frozen=True)
class World:
    """Parameters of a simulation. Shares are in 65,536 of the lines of payments, visits, content and vouchers."""

    merchants: int
    users: int
    days: int
    seed: int
    first_day: date
    timezone: str
    late_share: int = 655  # 1 %
    duplicate_share: int = 328  # 0.5 %
    bad_share: int = 131  # 0.2 %

    def __post_init__(self) -> None:
        limits = {"merchants": 1_000_000, "users": 100_000_000, "days": MAX_DAYS}
        for name, most in limits.items():
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(
                    f"{getattr(self, name)} {name} cannot be simulated.",
                    remedy=f"Give --{name} from 1 to {most:,}.",
                )

    @property
    def parameters(self) -> dict[str, object]:
        """Everything that the files depend on."""
        return asdict(self) | {"first_day": self.first_day.isoformat(), "layout": LAYOUT}

    def date_of(self, day: int) -> date:
        """The date of a day's number, 0 the first."""
        return self.first_day + timedelta(days=day)


# pick: the entry of a list that a piece of a draw, `bits` wide, falls on. wide: 32-bit pieces of a draw.
# share: whether a 16-bit piece lies below so many per mille.
_MACROS = (
    "CREATE OR REPLACE MACRO pick(list, piece) AS list_extract(list, 1 + CAST(piece AS INTEGER))",
    "CREATE OR REPLACE MACRO in16(h, i) AS ((h >> (4 * i)) & 15)",
    "CREATE OR REPLACE MACRO in64(h, i) AS ((h >> (6 * i)) & 63)",
    "CREATE OR REPLACE MACRO share(h, i, permille) AS word_of(h, i) * 1000 < permille * 65536",
    "CREATE OR REPLACE MACRO moment(day, minutes, seconds) AS "
    "CAST(day AS BIGINT) * 86400 + minutes * 60 + seconds",
    "CREATE OR REPLACE MACRO at_utc(at_s) AS "
    "utc_time(CAST(getvariable('first_day') AS TIMESTAMP) + to_seconds(at_s))",
    "CREATE OR REPLACE MACRO date_text(day) AS "
    "strftime(CAST(getvariable('first_day') AS DATE) + CAST(day AS INTEGER), '%Y-%m-%d')",
)

# Merchant n of N gets a share of all pairs that falls as n^(-2/3): the largest of 1,000 has a tenth of them.
MERCHANTS = """
CREATE OR REPLACE TABLE merchants AS
SELECT m, 'm' || lpad(CAST(m AS VARCHAR), 6, '0') AS merchant_id, h,
       CAST(pick($adoption, h % 10) AS INTEGER) AS adoption,
       CAST(pick($adoption, (h >> 20) % 10) AS INTEGER) AS following,
       CAST(pick($basket, in16(h, 8)) AS BIGINT) AS basket_fen,
       -CAST(30 + word_of(h, 3) % 900 AS INTEGER) AS joined,
       CASE WHEN byte_of(h, 5) < 180 THEN CAST(word_of(draw('provider', m), 0) AS BIGINT) % $providers END
           AS provider
FROM (SELECT m, draw('merchant', m) AS h FROM (SELECT unnest(range($merchants)) AS m))
"""

PAIRS = """
CREATE OR REPLACE TABLE pairs AS
SELECT p.pair, p.user_no, 'u' || lpad(CAST(p.user_no AS VARCHAR), 8, '0') AS user_id, m.merchant_id, m.m,
       m.adoption, m.following, m.basket_fen, p.h, p.g,
       CAST(p.g % ($days + $before) AS INTEGER) - $before AS birth,
       CAST(p.g % ($days + $before) AS INTEGER) - $before + CAST(pick($visiting, in16(p.h, 0)) AS INTEGER)
           AS visits_until,
       CAST(pick($visit, in16(p.h, 1)) AS INTEGER) AS keen,
       CAST(pick($gap, in64(p.h, 2)) AS BIGINT) AS gap_s,
       CAST(pick($pair_spend, in64(p.h, 3)) AS BIGINT) AS spend,
       CAST(pick($repeats, in64(p.h, 4)) AS BIGINT) AS repeats
FROM (
    SELECT pair, user_no, high64(x) AS h, low64(x) AS g, CAST(high64(x) >> 40 AS BIGINT) AS w
    FROM (SELECT u AS user_no, u * 16 + k AS pair, draw128('pair', u * 16 + k) AS x
          FROM (SELECT u, unnest(range(CAST(pick($of_user, in16(draw('user', u), 0)) AS BIGINT))) AS k
                FROM (SELECT unnest(range($users)) AS u)))
) p JOIN merchants m ON m.m = (((p.w * p.w >> 24) * p.w >> 24) * $merchants) >> 24
QUALIFY row_number() OVER (PARTITION BY p.user_no, m.m ORDER BY p.pair) = 1
"""

# The first purchase is at a pair's birth. A quarter of those from Monday to Thursday move to the weekend.
PURCHASES = """
CREATE OR REPLACE TABLE purchases AS
SELECT pair, j, h, moment(day, minutes_of_day(byte_of(h, 0), byte_of(h, 1), 7, 22), byte_of(h, 2) % 60) AS at_s,
       day
FROM (
    SELECT pair, j, h, CASE WHEN byte_of(h, 3) < 64 AND weekday < 4 THEN day - weekday + 5 + byte_of(h, 3) % 2
                            ELSE day END AS day
    FROM (SELECT *, (day + $monday) % 7 AS weekday
          FROM (SELECT pair, j, high64(x) AS h,
                       CAST((birth_s + sum(wait) OVER (PARTITION BY pair ORDER BY j)) // 86400 - $before AS INTEGER)
                           AS day
                FROM (SELECT pair, j, x, birth_s,
                             CASE WHEN j = 0 THEN 0
                                  ELSE gap_s * CAST(pick($wait, in64(low64(x), 0)) AS BIGINT) // 1000 END AS wait
                      FROM (SELECT pair, j, gap_s, CAST(birth + $before AS BIGINT) * 86400 AS birth_s,
                                   draw128('purchase', pair || '|' || j) AS x
                            FROM (SELECT pair, birth, gap_s,
                                         unnest(range(1 + least(repeats,
                                                                2 + 3 * ($days + $before) * 86400 // gap_s))) AS j
                                  FROM pairs))))
          WHERE day < $days)
)
WHERE day BETWEEN 0 AND $days - 1
"""


def open_world(con: duckdb.DuckDBPyConnection, world: World) -> None:
    """Macros and the tables merchants, pairs and purchases; ``purchases`` holds those of the simulated days.

    Times are whole seconds of local time from the first day's midnight (``at_s``), days their number from it.
    """
    start = datetime.combine(world.first_day, datetime.min.time())
    create_zone_macros(con, world.timezone, start - timedelta(days=2), start + timedelta(days=world.days + 2))
    con.execute("SET VARIABLE seed_text = CAST($1 AS VARCHAR)", [str(world.seed)])
    con.execute("SET VARIABLE first_day = CAST($1 AS DATE)", [world.first_day.isoformat()])
    for macro in (*MACROS, *LINE_MACROS, *_MACROS):
        con.execute(macro)
    con.execute(
        MERCHANTS,
        {
            "adoption": list(ADOPTION_PERMILLE),
            "basket": list(curves.BASKET_FEN),
            "merchants": world.merchants,
            "providers": providers(world),
        },
    )
    con.execute(
        PAIRS,
        {
            "days": world.days,
            "before": DAYS_BEFORE,
            "visiting": list(curves.VISITING_DAYS),
            "visit": list(curves.VISIT_IN_256),
            "gap": list(curves.PURCHASE_GAP_S),
            "pair_spend": list(curves.PAIR_SPEND_PERMILLE),
            "repeats": list(curves.PURCHASES_AFTER_FIRST),
            "of_user": list(curves.MERCHANTS_OF_USER),
            "users": world.users,
            "merchants": world.merchants,
        },
    )
    con.execute(
        PURCHASES,
        {
            "days": world.days,
            "before": DAYS_BEFORE,
            "wait": list(curves.WAIT_PERMILLE),
            "monday": world.first_day.weekday() + 7 * DAYS_BEFORE,
        },
    )
    _create_scene_mix(con)


def providers(world: World) -> int:
    """How many service providers there are: one for each 40 merchants."""
    return 1 + world.merchants // 40


def _create_scene_mix(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE OR REPLACE TABLE scene_mix(k INTEGER, scene VARCHAR, promo_position VARCHAR)")
    rows = [(scene, position) for weight, scene, position in SCENES for _ in range(weight)]
    con.executemany(
        "INSERT INTO scene_mix VALUES (?, ?, ?)",
        [[k, scene, position] for k, (scene, position) in enumerate(rows)],
    )
