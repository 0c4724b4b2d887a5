"""The second look (paper 2): small and turned objects are looked at again where their pixels are.

    first look ─▶ plan ─▶ regions ─▶ same model ─▶ mend, merge (LHMD) ─▶ judge of enlarged faces ─▶ tracker

`still` does it to one picture, `stage` to a camera within a budget. What always holds: without a budget for
it everything is as the first look says; this room knows the stages before it (boxes, models), none after.
"""

from agent.look.still import SecondLook

__all__ = ["SecondLook"]
