"""The in-process twins of the Redis stores, for one process and for tests: the same answers, and nothing
outlives the process."""

from authproxy.storage.memory.attempts import MemoryAttempts
from authproxy.storage.memory.challenges import MemoryChallenges
from authproxy.storage.memory.enrolments import MemoryEnrolments
from authproxy.storage.memory.grants import MemoryGrants
from authproxy.storage.memory.kept import MemoryKept, MemoryLogoutTokens
from authproxy.storage.memory.limits import MemoryLimits
from authproxy.storage.memory.notices import MemoryNotices
from authproxy.storage.memory.people import MemoryPeople
from authproxy.storage.memory.sessions import MemorySessions
from authproxy.storage.memory.used_proofs import MemoryUsedProofs

__all__ = [
    "MemoryAttempts",
    "MemoryChallenges",
    "MemoryEnrolments",
    "MemoryGrants",
    "MemoryKept",
    "MemoryLimits",
    "MemoryLogoutTokens",
    "MemoryNotices",
    "MemoryPeople",
    "MemorySessions",
    "MemoryUsedProofs",
]
