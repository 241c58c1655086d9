-- Close the report of a run. KEYS run, events; ARGV[1] run id, ARGV[2] result, ARGV[3] error, ARGV[4] events kept.
-- Replies 0 when the run's report is gone.
pass_full_memory(KEYS[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'run', ARGV[1], 'event', 'run_' .. ARGV[2], 'error', ARGV[3])
local report = read(KEYS[1])
if not report then
  return 0
end
report.result, report.error, report.finished = ARGV[2], ARGV[3], now()
write(KEYS[1], report)
return 1
