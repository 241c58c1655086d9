-- KEYS[1] state, KEYS[2] lock; ARGV[1] lock id, ARGV[2] fencing token.
-- The lock must be held under this id, and no later token may have been given out.
local function holds_lease()
  local held, state = read(KEYS[2]) or {}, read(KEYS[1]) or {}
  return held.id == ARGV[1] and held.token == ARGV[2] and state.fence == ARGV[2]
end

