-- KEYS[1] fence, KEYS[2] lock; ARGV[1] lock id, ARGV[2] fencing token.
-- The lock must be held under this id, and no later token may have been given out.
local function holds_lease()
  local held = read(KEYS[2]) or {}
  return held.id == ARGV[1] and held.token == ARGV[2] and redis.call('GET', KEYS[1]) == ARGV[2]
end

