-- Close the report of a run. KEYS run, events; ARGV[1] run id, ARGV[2] result, ARGV[3] error, ARGV[4] events kept.
-- Replies 0 when the run's report is gone.
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'run', ARGV[1], 'event', 'run_' .. ARGV[2], 'error', ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'result', ARGV[2], 'error', ARGV[3], 'finished', now())
return 1
