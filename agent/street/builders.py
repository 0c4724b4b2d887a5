"""What builds a figure of each class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.street.meshes import BICYCLE, BUS, CAR, MOTORCYCLE, PERSON, TRUCK, Figure
from agent.street.people import bicycle, motorcycle, person
from agent.street.vehicles import bus, car, truck

BUILDERS: dict[int, Callable[[np.random.Generator], Figure]] = {
    PERSON: person,
    BICYCLE: bicycle,
    CAR: car,
    MOTORCYCLE: motorcycle,
    BUS: bus,
    TRUCK: truck,
}
