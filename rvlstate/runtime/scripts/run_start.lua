-- Open the report of a run. KEYS run, history, events; ARGV[1] run id, ARGV[2] how many runs are kept,
-- ARGV[3] how many events, ARGV[4] what the keys of runs begin with, then field, value, ... of the report.
local report = read(KEYS[1])
pass_full_memory(KEYS[1])
if not report then
  redis.call('LPUSH', KEYS[2], ARGV[1])
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'run', ARGV[1], 'event', 'run_started', unpack(ARGV, 5))
end
write(KEYS[1], take_arguments({result = 'running', started = now()}, 5))
-- The keys of old runs cannot be declared beforehand; they share the hash tag, hence the slot.
for _, old in ipairs(redis.call('LRANGE', KEYS[2], ARGV[2], -1)) do
  redis.call('DEL', ARGV[4] .. old)
end
redis.call('LTRIM', KEYS[2], 0, ARGV[2] - 1)
return 1
