-- Prolong the lease. After the guard's: ARGV[3] lease in milliseconds, ARGV[4] step.
-- Replies 1, or 0 when the lease is no longer ours.
if not holds_lease() then
  return 0
end
-- A server whose memory is full judges a script by its first write, and lets this one pass.
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local held = read(KEYS[2])
held.renewed, held.lease, held.step = now(), ARGV[3], ARGV[4]
write(KEYS[2], held)
return 1
