-- Give the lock back if it is still ours. KEYS lock; ARGV[1] lock id. Replies how many locks were removed.
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
