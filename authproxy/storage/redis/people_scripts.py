"""The scripts of the register of people. Each of them first checks that the parts of the register belong
together.

The register is four hashes in one slot: what it says of itself, the index of names, the people, and blocked
accounts of people outside the register. The first hash counts the entries of the others. If one of them is
missing or has lost an entry, the next script notices it.
"""

from __future__ import annotations

from typing import Any, Final

from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis.answer_shapes import Script

NOT_WHOLE: Final = -1
"""What a script answers, alone or as the first item, if the parts do not belong together. Then it has changed
nothing."""

# `counts` is "revision names people", as of the last change. If an older version runs at the same time, it
# raises the revision without counting. Then only what can be said without counts is checked, and the next
# question counts anew.
_BEGINNING: Final = """
local register = redis.call('HMGET', KEYS[1], 'revision', 'key', 'counts', 'accounts', 'accounts_key')
local names, people, accounts = redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3]), redis.call('HLEN', KEYS[4])
local counted_at, counted_names, counted_people = string.match(register[3] or '', '^(%d+) (%d+) (%d+)$')
local is_counted = counted_at ~= nil and counted_at == register[1]
local function is_whole()
  if accounts ~= tonumber(register[4] or '0') then return false end
  if not register[1] then return names + people + accounts == 0 end
  if is_counted then return names == tonumber(counted_names) and people == tonumber(counted_people) end
  return names >= people and (names > 0) == (people > 0)
end
local function counts(revision)
  return string.format('%.0f %.0f %.0f', revision, redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3]))
end
"""
_ENDING: Final = """
local revision = redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('HSET', KEYS[1], 'counts', counts(revision))
return revision
"""


def _state(answer: Any) -> bool:
    """1, the revision, the key, and the key of blocked accounts; or NOT_WHOLE."""
    return isinstance(answer, list) and (
        answer == [NOT_WHOLE] or (len(answer) == 4 and answer[0] == 1 and answer_shapes.texts(answer[1:]))
    )


def _found(answer: Any) -> bool:
    """The state. Then, for each name that was asked for, nothing, or a list of the owner's name, the owner,
    and the blocked account."""
    if not isinstance(answer, list) or not _state(answer[:4]):
        return False
    return all(found is None or answer_shapes.fields(3)(found) for found in answer[4:])


# The counts are written with `pcall`, so that a store that takes no writes at the moment still answers.
_STATE: Final = (
    _BEGINNING
    + """
if not is_whole() then return {-1} end
if register[1] and not is_counted then redis.pcall('HSET', KEYS[1], 'counts', counts(register[1])) end
local answer = {1, register[1], register[2], register[5]}
"""
)
LOOK: Final = Script(_STATE + "return answer\n", _state)
FIND: Final = Script(
    _STATE
    + """
for at = 1, #ARGV do
  local name = redis.call('HGET', KEYS[2], ARGV[at])
  local blocked = accounts > 0 and redis.call('HGET', KEYS[4], ARGV[at])
  answer[at + 4] = (name or blocked) and {name, name and redis.call('HGET', KEYS[3], name), blocked}
end
return answer
""",
    _found,
)
# The person is compared with what the caller has read: of two changes to the same person at once, one must
# start again. A key that somebody else has is refused.
CHANGE: Final = Script(
    _BEGINNING
    + """
if not is_whole() then return -1 end
if register[2] ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[3] then return 0 end
local gone = 6 + tonumber(ARGV[6])
for at = gone + 1, #ARGV do
  local owner = redis.call('HGET', KEYS[2], ARGV[at])
  if owner and owner ~= ARGV[2] then return 0 end
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
if ARGV[5] ~= '' then redis.call('SADD', KEYS[5], ARGV[5]) end
for at = 7, gone do redis.call('HDEL', KEYS[2], ARGV[at]) end
for at = gone + 1, #ARGV do redis.call('HSET', KEYS[2], ARGV[at], ARGV[2]) end
"""
    + _ENDING,
    answer_shapes.whole,
)
# Without a revision a new register begins, whatever is left of an earlier one. Its revisions go on from the
# last known one.
TAKE_OVER: Final = Script(
    _BEGINNING
    + """
local begins_anew = ARGV[1] == ''
local is_lost = not begins_anew and not is_whole()
if is_lost or (not begins_anew and (register[1] or '0') ~= ARGV[1]) then
  redis.call('DEL', KEYS[6], KEYS[7], KEYS[8], KEYS[9])
  return is_lost and -1 or 0
end
local staged = {redis.call('HLEN', KEYS[6]), redis.call('HLEN', KEYS[7]), redis.call('HLEN', KEYS[8]), redis.call('SCARD', KEYS[9])}
for at = 1, 4 do
  if staged[at] ~= tonumber(ARGV[at + 3]) then return -2 end
end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
for at = 6, 8 do
  if redis.call('PERSIST', KEYS[at]) == 1 then redis.call('RENAME', KEYS[at], KEYS[at - 4]) end
end
redis.call('SUNIONSTORE', KEYS[5], KEYS[5], KEYS[9])
redis.call('DEL', KEYS[9])
redis.call('HSET', KEYS[1], 'key', ARGV[2])
if staged[3] > 0 then
  redis.call('HSET', KEYS[1], 'accounts', staged[3], 'accounts_key', ARGV[2])
else
  redis.call('HDEL', KEYS[1], 'accounts', 'accounts_key')
end
if begins_anew then
  local last = math.max(tonumber(register[1] or '') or 0, tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'revision', string.format('%.0f', last))
end
"""
    + _ENDING,
    answer_shapes.whole,
)
# An empty record ends the account's block.
SET_ACCOUNT: Final = Script(
    _BEGINNING
    + """
if not is_whole() then return -1 end
if (register[1] or '0') ~= ARGV[1] then return 0 end
if ARGV[5] == '' then redis.call('HDEL', KEYS[4], ARGV[4]) else redis.call('HSET', KEYS[4], ARGV[4], ARGV[5]) end
if ARGV[6] ~= '' then redis.call('SADD', KEYS[5], ARGV[6]) end
if not register[2] then redis.call('HSET', KEYS[1], 'key', ARGV[2]) end
local left = redis.call('HLEN', KEYS[4])
if left > 0 then
  redis.call('HSET', KEYS[1], 'accounts', left, 'accounts_key', ARGV[3])
else
  redis.call('HDEL', KEYS[1], 'accounts', 'accounts_key')
end
"""
    + _ENDING,
    answer_shapes.whole,
)
GONE_MEANWHILE: Final = -2
"""What `TAKE_OVER` answers if what was prepared is incomplete."""
