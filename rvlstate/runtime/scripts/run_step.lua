-- Note that a step began or ended. KEYS run, events; ARGV[1] run id, ARGV[2] step id, ARGV[3] result,
-- ARGV[4] how many events are kept, then field, value, ... of the step.
-- Replies 0 when the run's report is gone: half of one would be worse than none.
local run, step, result = KEYS[1], ARGV[2], ARGV[3]
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'run', ARGV[1], 'event', 'step_' .. result, 'step', step,
  unpack(ARGV, 5))
if redis.call('EXISTS', run) == 0 then
  return 0
end
if redis.call('HEXISTS', run, 'order:' .. step) == 0 then
  redis.call('HSET', run, 'order:' .. step, redis.call('HINCRBY', run, 'steps_seen', 1), 'started:' .. step, now())
end
if result == 'running' then
  redis.call('HSET', run, 'started:' .. step, now())
  redis.call('HDEL', run, 'finished:' .. step)
else
  redis.call('HSET', run, 'finished:' .. step, now())
end
if result == 'done' and redis.call('HGET', run, 'result:' .. step) ~= 'done' then
  redis.call('HINCRBY', run, 'steps_done', 1)
end
redis.call('HSET', run, 'result:' .. step, result)
for index = 5, #ARGV, 2 do
  redis.call('HSET', run, ARGV[index] .. ':' .. step, ARGV[index + 1])
end
return 1
