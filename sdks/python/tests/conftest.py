from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from issuer import AUDIENCE, SECRET, Issuer, MovedClock


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.stop()


@pytest.fixture
def moved() -> MovedClock:
    return MovedClock()


@pytest.fixture
def settings(issuer: Issuer, moved: MovedClock) -> dict[str, Any]:
    return {
        "issuer": issuer.url,
        "audience": AUDIENCE,
        "client_id": "orders",
        "client_secret": SECRET,
        "clock": moved.clock(),
    }
