-- Give the lock back if it is still ours. KEYS lock; ARGV[1] lock id. Replies how many locks were removed.
local held = read(KEYS[1])
if held and held.id == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
