"""What an implementer gives to the suite."""

from collections.abc import Callable
from typing import TypeAlias

from batchflow.ports.state import StateStore

Connect: TypeAlias = Callable[[], StateStore]
