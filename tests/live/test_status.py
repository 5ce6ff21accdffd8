"""What `procver status` costs."""

from __future__ import annotations

from tests.faults import Proxy
from tests.workshop import Workshop


def test_the_cost_does_not_grow_with_versions(workshop: Workshop) -> None:
    cost = []
    for count in (1, 40):
        for index in range(count):
            workshop.write(
                **{
                    f"f{index}": f"CREATE FUNCTION app.f{index}x() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
                }
            )
        workshop.publish(str(count))
        with Proxy(workshop.url) as proxy:
            workshop.run("status", "-t", proxy.url)
        cost.append((proxy.syncs, len(proxy.statements)))
    assert cost[0] == cost[1]
    assert cost[0][0] <= 6
