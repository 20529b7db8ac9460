"""The agents' resting orders against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from phx.sim.markets.resting import RestingOrder, RestingOrders

ORDERS = st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 30), st.booleans()), max_size=60)


@given(ORDERS, st.sampled_from([1, -1]), st.integers(1, 30), st.integers(0, 12))
def test_queries_agree_with_a_list(made, side, price_ticks, width):
    resting, plain = RestingOrders(), []
    for n, (order_side, order_ticks, removed) in enumerate(made):
        resting.add(n, RestingOrder(order_side, order_ticks, 1))
        plain.append((n, order_side, order_ticks))
        if removed:
            resting.remove(n // 2)
            resting.remove(n // 2)
            plain = [one for one in plain if one[0] != n // 2]
    ranked = sorted((-side * ticks, n) for n, order_side, ticks in plain if order_side == side)
    assert resting.count(side) == len(ranked) and len(resting.orders) == len(plain)
    if ranked:
        assert resting.best_ticks(side) == -side * ranked[0][0]
    assert resting.reached(side, price_ticks) == [n for rank, n in ranked if rank <= -side * price_ticks]
    assert resting.at(side, price_ticks) == [n for rank, n in ranked if rank == -side * price_ticks]
    first, last = resting.span(side, price_ticks, price_ticks - side * width)
    wanted = [n for rank, n in ranked if -side * price_ticks <= rank < -side * price_ticks + width]
    assert [resting.number_at(side, place) for place in range(first, last)] == wanted
    first, last = resting.span(side, price_ticks, None)
    assert [resting.number_at(side, i) for i in range(first, last)] == [
        n for r, n in ranked if r >= -side * price_ticks
    ]
