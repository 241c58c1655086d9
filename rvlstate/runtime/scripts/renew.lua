-- Prolong the lease. After the guard's: ARGV[3] lease in milliseconds, ARGV[4] step.
-- Replies 1, or 0 when the lease is no longer ours.
if not holds_lease() then
  return 0
end
-- A server whose memory is full judges a script by its first write, and lets this one pass.
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[2], 'renewed', now(), 'step', ARGV[4])
return 1
