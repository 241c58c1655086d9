-- In front of every script that writes documents: one whose lease may be over writes nothing. The last two arguments
-- are the millisecond until which it is certain, by the clock of this node, and what the lock holds as long as it is
-- ours; then the lock is the last key. "": no lock is looked at. The scripts behind see neither of them.
local held, until_ms = table.remove(ARGV), tonumber(table.remove(ARGV))
local lock = held ~= '' and table.remove(KEYS)
local now = redis.call('TIME')
if now[1] * 1000 + now[2] / 1000 >= until_ms then
  return redis.error_reply('FENCED the lease of who sent this may be over')
end
if lock and not string.find(redis.call('GET', lock) or '', held, 1, true) then
  return redis.error_reply('FENCED the lock is not held by who sent this')
end
