"""A login at hallpass that lasts."""

from ._async import AsyncSession
from ._errors import HallpassError
from ._openapi import ErrorCode, InvalidField, Registered, RegistrationTaken, User
from ._patience import Clock
from ._store import FileStore, MemoryStore, Store
from ._sync import Session

__all__ = [
    "AsyncSession",
    "Clock",
    "ErrorCode",
    "FileStore",
    "HallpassError",
    "InvalidField",
    "MemoryStore",
    "Registered",
    "RegistrationTaken",
    "Session",
    "Store",
    "User",
]
