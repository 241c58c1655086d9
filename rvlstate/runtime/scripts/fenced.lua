-- Goes in front of a script that changes indexes, so that both run in one instant or neither does. The guard's keys and
-- first two arguments are taken off: the script behind sees no keys, and the arguments that come after them.
if not holds_lease() then
  return redis.error_reply('FENCED the lock is not held by who sent this')
end
-- An alias needs next to no memory, and a way back begins with one.
if string.find(ARGV[3] or '', '^FT%.ALIAS') then
  pass_full_memory(KEYS[2])
end
local KEYS, ARGV = {}, {unpack(ARGV, 3)}
