-- KEYS[1] state, KEYS[2] lock; ARGV[1] lock id, ARGV[2] fencing token.
-- The lock must be held under this id, and no later token may have been given out.
local function holds_lease()
  local held = redis.call('HMGET', KEYS[2], 'id', 'token')
  return held[1] == ARGV[1] and held[2] == ARGV[2] and redis.call('HGET', KEYS[1], 'fence') == ARGV[2]
end

