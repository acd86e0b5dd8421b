"""``ccare simulate``: landing files of any size from a seed, every stream, all rows simulated.

A day's files are a function of (seed, merchants, users, days, first day) and that day alone, so days may be shared
out among processes or machines in any way and the files are the same, byte for byte.
"""

from ccare.simulate.scale.landing import Simulated as Simulated
from ccare.simulate.scale.landing import simulate_landing as simulate_landing
from ccare.simulate.scale.world import World as World
