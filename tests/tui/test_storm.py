"""Any keys in any order at any size, while data come: nothing raises."""

import asyncio

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .driving import opened, settle
from .recording import Frames
from .sessions import SESSIONS

NAMED = """plus minus space comma full_stop less_than_sign greater_than_sign home end left_square_bracket
right_square_bracket tab shift+tab escape enter slash at question_mark up down left right pageup pagedown
shift+left shift+right colon left_curly_bracket right_curly_bracket"""
KEYS = [*"1234567", *"hjklHL0ysrogGcRefivxSmtCO", *NAMED.split()]
sizes = st.tuples(st.integers(1, 160), st.integers(1, 50))
actions = st.lists(st.one_of(st.sampled_from(KEYS), sizes), min_size=10, max_size=30)


async def storm(session, mode, told):
    source = Frames(SESSIONS[session](), each=25)
    async with opened(session, mode=mode, source=source) as (app, pilot):
        for action in told:
            if isinstance(action, tuple):
                await pilot.resize_terminal(*action)
            else:
                await pilot.press(action)
            app.clock.now += 0.3
            app.tick()
        await settle(app, pilot)
        assert app._exception is None


# to shrink a storm takes minutes
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
@given(st.sampled_from(["faulty", "overfitting", "crashed", "waiting"]), st.sampled_from(["attach", "replay"]), actions)
def test_a_storm_of_keys_and_sizes(session, mode, told):
    asyncio.run(storm(session, mode, told))
