"""Checks hallpass access tokens: signature, claims and revocation."""

from ._check import Verified, bearer_token
from ._clock import Clock
from ._validator import AsyncValidator, Settings, Status, Validator
from .errors import PROBLEM_TYPE, IssuerError, MetadataError, SettingsError, TokenError

__all__ = [
    "PROBLEM_TYPE",
    "AsyncValidator",
    "Clock",
    "IssuerError",
    "MetadataError",
    "Settings",
    "SettingsError",
    "Status",
    "TokenError",
    "Validator",
    "Verified",
    "bearer_token",
]
