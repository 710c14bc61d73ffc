"""The stores of a single process, for trying out and for tests. They behave as those in Redis do
(`tests/contracts/`), and everything in them is lost when the process ends."""

from authproxy.storage.memory.attempts import MemoryAttempts
from authproxy.storage.memory.challenges import MemoryChallenges
from authproxy.storage.memory.enrolments import MemoryEnrolments
from authproxy.storage.memory.grants import MemoryGrants
from authproxy.storage.memory.limits import MemoryLimits
from authproxy.storage.memory.logout_tokens import MemoryLogoutTokens
from authproxy.storage.memory.machine_keys import MemoryMachineKeys
from authproxy.storage.memory.notices import MemoryNotices
from authproxy.storage.memory.people import MemoryPeople
from authproxy.storage.memory.sessions import MemorySessions
from authproxy.storage.memory.shared_octets import MemorySharedOctets
from authproxy.storage.memory.used_proofs import MemoryUsedProofs

__all__ = [
    "MemoryAttempts",
    "MemoryChallenges",
    "MemoryEnrolments",
    "MemoryGrants",
    "MemoryLimits",
    "MemoryLogoutTokens",
    "MemoryMachineKeys",
    "MemoryNotices",
    "MemoryPeople",
    "MemorySessions",
    "MemorySharedOctets",
    "MemoryUsedProofs",
]
