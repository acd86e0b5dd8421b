"""The shapes that draws are read from, as whole numbers: entry i is what the i-th of equally likely bands means.

Whole numbers, worked out once, so that no library's last digit can change a file. Purchases follow the published
BG/NBD model of the CDNOW sample (Fader, Hardie, Lee 2005: r .243, alpha 4.414 weeks, a .793, b 2.426), amounts its
Gamma-Gamma model (Fader, Hardie 2013: p 6.25, q 3.74).
"""

PURCHASE_GAP_S = (
    *(4_000_000_000,) * 12,
    *(3282590465, 2392078341, 1782780651, 1354807308, 1047250502, 821749269, 653447517, 525830608, 427678301),
    *(351213395, 290947133, 242942040, 204331183, 172998552, 147362776, 126228389, 108682018, 94018922),
    *(81690342, 71265322, 62402717, 54830458, 48330040, 42724821, 37871113, 33651348, 29968796, 26743454),
    *(23908822, 21409358, 19198465, 17236880, 15491376, 13933727, 12539852, 11289134, 10163845, 9148686),
    *(8230392, 7397413, 6639636, 5948147, 5315019, 4733122, 4195922, 3697263, 3231075, 2790907, 2369001),
    *(1953944, 1522159, 930542),
)
"""Mean seconds between purchases of a pair: 64 bands of Gamma(r, alpha), each at its mean rate."""

PURCHASES_AFTER_FIRST = (
    *(1,) * 16,
    *(
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        3,
        3,
        3,
        3,
        3,
        3,
        4,
        4,
        4,
        4,
        5,
        5,
        5,
        6,
        6,
        6,
        7,
        7,
        8,
        9,
        9,
        10,
        11,
        12,
        13,
    ),
    *(15, 16, 18, 21, 24, 28, 33, 40, 50, 64, 89, 137, 263, 1056),
)
"""Purchases after the first until a pair drops out: 64 bands of Beta-geometric(a, b)."""

WAIT_PERMILLE = (
    *(
        8,
        24,
        40,
        56,
        73,
        90,
        107,
        125,
        143,
        161,
        179,
        198,
        217,
        237,
        257,
        277,
        298,
        319,
        341,
        363,
        386,
        409,
        433,
    ),
    *(458, 483, 508, 535, 562, 589, 618, 647, 678, 709, 741, 775, 809, 845, 882, 920, 960, 1002, 1045, 1091),
    *(1139, 1189, 1241, 1297, 1356, 1418, 1485, 1556, 1633, 1717, 1808, 1908, 2019, 2145, 2288, 2456, 2657),
    *(2910, 3249, 3773, 5159),
)
"""One wait over its mean, per mille: 64 bands of Exponential(1)."""

PAIR_SPEND_PERMILLE = (
    *(
        268,
        323,
        354,
        378,
        399,
        417,
        434,
        450,
        466,
        481,
        495,
        509,
        523,
        537,
        550,
        564,
        577,
        591,
        604,
        618,
        631,
    ),
    *(
        645,
        659,
        673,
        687,
        701,
        716,
        731,
        746,
        762,
        778,
        795,
        811,
        829,
        847,
        865,
        884,
        904,
        925,
        946,
        969,
        992,
    ),
    *(1017, 1043, 1070, 1099, 1130, 1163, 1198, 1236, 1277, 1322, 1371, 1426, 1487, 1557, 1638, 1733, 1848),
    *(1992, 2183, 2460, 2938, 4777),
)
"""A pair's mean spend over everybody's, per mille: 64 bands of inverse Gamma(q)."""

TRADE_SPEND_PERMILLE = (
    *(
        279,
        370,
        418,
        454,
        485,
        512,
        536,
        558,
        579,
        599,
        617,
        635,
        652,
        669,
        686,
        702,
        717,
        733,
        748,
        763,
        778,
    ),
    *(
        792,
        807,
        822,
        836,
        851,
        866,
        880,
        895,
        910,
        925,
        940,
        955,
        970,
        986,
        1002,
        1018,
        1034,
        1050,
        1067,
        1085,
    ),
    *(1103, 1121, 1140, 1159, 1179, 1200, 1222, 1245, 1269, 1294, 1320, 1348, 1379, 1411, 1447, 1486, 1530),
    *(1580, 1639, 1711, 1805, 1945, 2287),
)
"""A trade over its pair's mean, per mille: 64 bands of Gamma(p)."""

MERCHANTS_OF_USER = (1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 6, 12)
"""Merchants that a user meets in the whole simulation, duplicates of the draw included: 16 bands, ours."""

VISIT_IN_256 = (1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12, 18, 28, 45, 90)
"""Chance of a visit without purchase on an average day, in 256: 16 bands, ours."""

VISITING_DAYS = (7, 14, 21, 28, 42, 56, 70, 90, 120, 150, 180, 240, 300, 400, 600, 900)
"""Days from a pair's first purchase in which it visits at all: 16 bands, ours."""

WEEKDAY_PERCENT = (82, 80, 84, 90, 112, 132, 120)
"""Visits by weekday, Monday first, over an average day's: ours."""

STAY_S = (1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 24, 31, 42, 58, 85, 160)
"""Seconds on a page, 16 bands laid over the public statistics' classes 0-2, 3-5, 6-10, ... 51-100, over 100."""

BASKET_FEN = (
    600,
    900,
    1200,
    1500,
    1800,
    2200,
    2600,
    3200,
    3900,
    4800,
    6000,
    8000,
    11000,
    16000,
    28000,
    70000,
)
"""A merchant's mean trade: 16 bands, ours."""
